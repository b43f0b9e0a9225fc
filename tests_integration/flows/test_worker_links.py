"""Links that break in the middle of a map, with what was on its way, while everybody at their ends lives on."""

from __future__ import annotations

import itertools
import re
import signal
from pathlib import Path

import pytest

from severing import Cut, Proxy, Way
from stack import Options, Stack
from watching import unfinished, wait_for

NUMBER = 120
"""Tasks of the map."""

QUEUE = 20
"""Tasks that the scheduler keeps at the worker: so few that it sends more all the time."""

A_TASK = 250
"""Bytes that only a task or a result has, of all that scheduler and worker say to each other."""

MAP = """
import sys
from scaler import Client

def note(folder, number):
    with open(f"{folder}/{number}", "a") as file:
        file.write("x")
    return number

folder, number = sys.argv[2], int(sys.argv[3])
with Client(address=sys.argv[1]) as client:
    print(client.map(note, [folder] * number, range(number)) == list(range(number)))
"""


def options(stack: Stack, scheduler: Proxy, storage: Proxy) -> list[str]:
    names = stack.provisioned
    return [
        *("--scheduler-address", scheduler.address, "--object-storage-address", storage.address),
        *("--job-queue", names["SCALER_JOB_QUEUE"], "--job-definition", names["SCALER_JOB_DEFINITION"]),
        *("--s3-bucket", names["SCALER_S3_BUCKET"], "--aws-region", names["SCALER_AWS_REGION"]),
        *("--heartbeat-interval", "0.5", "--task-queue-size", f"{QUEUE}", "--max-concurrent-jobs", f"{QUEUE}"),
    ]


def lose_and_cut(link: Proxy, way: Way, how: Cut) -> None:
    """Lose at least one message of those that matter, and break the link then."""
    link.swallow(way)
    link.wait_for_loss(A_TASK)
    link.cut(how)


@pytest.mark.parametrize("how", Cut)
@pytest.mark.parametrize("backend", ["zmq", "ymq"])
def test_links_that_break_in_a_map_lose_nothing(cloud: Stack, tmp_path: Path, backend: str, how: Cut) -> None:
    def done() -> int:
        return sum(1 for _ in tmp_path.iterdir())

    with Stack(Options()) as stack:
        stack.environment["SCALER_NETWORK_BACKEND"] = backend
        stack.join(cloud)
        with Proxy(stack.scheduler_port) as scheduler, Proxy(stack.storage_port) as storage:
            adapter = stack.start_worker("adapter", *options(stack, scheduler, storage), "--name", f"links-{backend}")
            client = stack.start_client(MAP, str(tmp_path), str(NUMBER))
            for number, (link, way) in enumerate(itertools.product((scheduler, storage), Way), start=1):
                wait_for(lambda number=number: done() >= 15 * number)
                lose_and_cut(link, way, how)
            assert client.process.wait(120) == 0
            assert client.says("True")
            answered = re.findall(r"task ([0-9a-f]{32}): success", adapter.log.read_text())
            assert len(answered) == len(set(answered)) == NUMBER
            assert [path.read_text() for path in tmp_path.iterdir()] == ["x"] * NUMBER
            assert adapter.says("the link to the scheduler is back")
            assert unfinished(stack) == []
            assert stack.stop(adapter, signal.SIGTERM) == 0
