"""Links that break in the middle of a map, with what was on its way, while everybody at their ends lives on.

Tasks need a permit to run, and the test hands out a portion at a time. So whatever the machine does meanwhile, there is
something left to say when a link is about to lose it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from severing import Cut, Proxy, Way
from stack import Options, Stack
from watching import unfinished, wait_for

NUMBER = 120
"""Tasks of the map."""

PORTION = 24
"""Permits handed out at a time: the links break four times, so that a fifth portion is left for the end."""

QUEUE = 20
"""Tasks that the scheduler keeps at the worker: fewer than a portion, so that each needs more of them."""

A_TASK = 250
"""Bytes that only a task or a result has, of all that scheduler and worker say to each other."""

MAP = """
import sys
from scaler import Client

def note(permits, folder, number):
    with open(permits, "rb", buffering=0) as queue:
        queue.read(1)
    with open(f"{folder}/{number}", "a") as file:
        file.write("x")
    return number

permits, folder, number = *sys.argv[2:4], int(sys.argv[4])
with Client(address=sys.argv[1]) as client:
    print(client.map(note, [permits] * number, [folder] * number, range(number)) == list(range(number)))
"""


def options(stack: Stack, scheduler: Proxy, storage: Proxy) -> list[str]:
    names = stack.provisioned
    return [
        *("--scheduler-address", scheduler.address, "--object-storage-address", storage.address),
        *("--job-queue", names["SCALER_JOB_QUEUE"], "--job-definition", names["SCALER_JOB_DEFINITION"]),
        *("--s3-bucket", names["SCALER_S3_BUCKET"], "--aws-region", names["SCALER_AWS_REGION"]),
        *("--heartbeat-interval", "0.5", "--task-queue-size", f"{QUEUE}", "--max-concurrent-jobs", f"{QUEUE}"),
    ]


class Permits:
    """A pipe with a byte for each task that may run."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        # For reading as well: it has to be open however few tasks are reading.
        self._pipe = os.open(path, os.O_RDWR)

    def grant(self) -> None:
        """Let another portion of tasks run."""
        os.write(self._pipe, bytes(PORTION))

    def close(self) -> None:
        """Grant nothing more."""
        os.close(self._pipe)


@pytest.fixture
def permits(tmp_path: Path) -> Iterator[Permits]:
    with contextlib.closing(Permits(tmp_path / "permits")) as granted:
        yield granted


def lose_and_cut(link: Proxy, way: Way, how: Cut, permits: Permits) -> None:
    """Lose at least one message of those that matter, and break the link then."""
    link.swallow(way)
    permits.grant()
    link.wait_for_loss(A_TASK)
    link.cut(how)


@pytest.mark.parametrize("how", Cut)
@pytest.mark.parametrize("backend", ["zmq", "ymq"])
def test_links_that_break_in_a_map_lose_nothing(
    cloud: Stack, tmp_path: Path, permits: Permits, backend: str, how: Cut
) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()

    def done() -> int:
        return sum(1 for _ in notes.iterdir())

    with Stack(Options()) as stack:
        stack.environment["SCALER_NETWORK_BACKEND"] = backend
        stack.join(cloud)
        with Proxy(stack.scheduler_port) as scheduler, Proxy(stack.storage_port) as storage:
            adapter = stack.start_worker("adapter", *options(stack, scheduler, storage), "--name", f"links-{backend}")
            client = stack.start_client(MAP, str(permits.path), str(notes), str(NUMBER))
            permits.grant()
            for number, (link, way) in enumerate(itertools.product((scheduler, storage), Way), start=1):
                wait_for(lambda number=number: done() == PORTION * number)
                lose_and_cut(link, way, how, permits)
            assert client.process.wait(120) == 0
            assert client.says("True")
            answered = re.findall(r"task ([0-9a-f]{32}): success", adapter.log.read_text())
            assert len(answered) == len(set(answered)) == NUMBER
            assert [path.read_text() for path in notes.iterdir()] == ["x"] * NUMBER
            assert adapter.says("the link to the scheduler is back")
            assert unfinished(stack) == []
            assert stack.stop(adapter, signal.SIGTERM) == 0
