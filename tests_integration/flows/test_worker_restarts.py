"""The scheduler and the object storage die and come again, with nothing of what they held in memory."""

from __future__ import annotations

import contextlib
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import counting
from stack import Options, Part, Stack
from watching import unfinished, wait_for

NUMBER = 300
"""Tasks of the map."""

SLOTS = 8
"""Jobs in flight at most: all of them are, so none is submitted while none ends."""

MAP = """
import os, sys, time
from scaler import Client

def wait(folder, number):
    open(f"{folder}/{number}", "w").close()
    while not os.path.exists(f"{folder}/open"):
        time.sleep(0.05)
    return number

folder, number = sys.argv[2], int(sys.argv[3])
with Client(address=sys.argv[1]) as client:
    print(client.map(wait, [folder] * number, range(number)) == list(range(number)))
"""

ASK = """
import sys
from scaler import Client

with Client(address=sys.argv[1]) as client:
    print(client.map(abs, [-1, 2, -3]))
"""


def submitted_jobs(adapter: Part) -> int:
    """How many jobs AWS Batch has taken."""
    log = adapter.log.read_text()
    announced = dict(re.findall(r"submitting (\S+): \d+ task\(s\) in (\d+) job", log))
    return sum(int(announced[name]) for name in re.findall(r"submitted (\S+) as job", log))


@contextlib.contextmanager
def in_a_map(cloud: Stack, folder: Path, backend: str) -> Iterator[tuple[Stack, Part]]:
    """A stack whose worker has all tasks of a map and has submitted all jobs that it may, with its client."""
    options = ("--heartbeat-interval", "0.5", "--max-concurrent-jobs", str(SLOTS), "--name", f"restarts-{backend}")
    telling = ("--log-level", "DEBUG")
    with Stack(Options(worker=(*options, *telling), scheduler=("-ct", "5"))) as stack:
        stack.environment["SCALER_NETWORK_BACKEND"] = backend
        adapter = stack.join(cloud).start_adapter()
        client = stack.start_client(MAP, str(folder), str(NUMBER))
        wait_for(lambda: adapter.log.read_text().count("is taken on") == NUMBER and len(list(folder.iterdir())) >= 2)
        wait_for(lambda: submitted_jobs(adapter) == SLOTS)
        yield stack, client


BOTH = pytest.mark.parametrize("backend", ["zmq", "ymq"])


@BOTH
def test_a_new_scheduler_gets_a_new_worker_and_no_job_runs_for_the_old_one(
    cloud: Stack, tmp_path: Path, backend: str
) -> None:
    with in_a_map(cloud, tmp_path, backend) as (stack, client):
        before = counting.calls(stack)
        stack.stop(stack.part("scheduler"), signal.SIGKILL)
        stack.start_scheduler()
        wait_for(lambda: unfinished(stack) == [])
        assert stack.part("adapter").says("the scheduler was started anew")
        stack.stop(client, signal.SIGKILL)
        # The jobs were ended, and nothing was submitted again for whoever waits no more.
        since = counting.calls(stack)
        since.subtract(before)
        assert since["batch.TerminateJob"] + since["batch.TerminateJobs"] > 0
        assert since["batch.SubmitJob"] == 0
        assert stack.run("new client", "-c", ASK, stack.scheduler_address) == "[1, 2, 3]\n"
        assert unfinished(stack) == []


@pytest.mark.long
@BOTH
def test_an_object_storage_that_forgot_everything_is_found_again(cloud: Stack, tmp_path: Path, backend: str) -> None:
    with in_a_map(cloud, tmp_path, backend) as (stack, client):
        stack.stop(stack.part("object storage"), signal.SIGKILL)
        stack.start_storage()
        # What the map was about is gone. So is its client now, which the scheduler notices, and cancels its tasks.
        stack.stop(client, signal.SIGKILL)
        wait_for(lambda: unfinished(stack) == [])
        assert stack.run("new client", "-c", ASK, stack.scheduler_address) == "[1, 2, 3]\n"
        assert stack.part("adapter").process.poll() is None
        assert unfinished(stack) == []
