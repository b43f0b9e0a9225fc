"""The scheduler and the object storage die and come again, with nothing of what they held in memory."""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from stack import Options, Stack

ACTIVE = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")

ASK_AND_WAIT = """
import os, sys, time
from scaler import Client

def wait(folder, number):
    open(f"{folder}/{number}", "w").close()
    while not os.path.exists(f"{folder}/never"):
        time.sleep(0.05)

client = Client(address=sys.argv[1])
futures = [client.submit(wait, sys.argv[2], number) for number in range(2)]
[future.result() for future in futures]
"""

ASK = """
import sys
from scaler import Client

with Client(address=sys.argv[1]) as client:
    print(client.map(abs, [-1, 2, -3]))
"""


def jobs(stack: Stack, *states: str) -> list[str]:
    """All jobs of the queue in these states."""
    batch = stack.aws("batch")
    return [
        job["jobId"]
        for status in states
        for job in batch.list_jobs(jobQueue=stack.provisioned["SCALER_JOB_QUEUE"], jobStatus=status)["jobSummaryList"]
    ]


def wait_for(condition: Callable[[], bool], within: float = 60) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def calls(stack: Stack) -> Counter[str]:
    """The local AWS's own count of requests, by operation."""
    with urllib.request.urlopen(f"{stack.environment['AWS_ENDPOINT_URL']}/_scaler_batch/counters") as answer:
        return Counter(json.load(answer)["operations"])


@pytest.mark.parametrize("backend", ["zmq", "ymq"])
def test_a_new_scheduler_gets_a_new_worker_and_no_job_runs_for_the_old_one(
    cloud: Stack, tmp_path: Path, backend: str
) -> None:
    with Stack(Options(worker=("--heartbeat-interval", "0.5"))) as stack:
        stack.environment["SCALER_NETWORK_BACKEND"] = backend
        adapter = stack.join(cloud).start_adapter()
        asking = stack.start_client(ASK_AND_WAIT, str(tmp_path))
        wait_for(lambda: len(list(tmp_path.iterdir())) == 2)
        before = calls(stack)

        stack.stop(stack.part("scheduler"), signal.SIGKILL)
        stack.start_scheduler()
        wait_for(lambda: jobs(stack, *ACTIVE) == [])
        assert adapter.says("the scheduler was started anew")
        stack.stop(asking, signal.SIGKILL)
        # The jobs were ended, and nothing was submitted again for whoever waits no more.
        since = calls(stack)
        since.subtract(before)
        assert since["batch.TerminateJob"] + since["batch.TerminateJobs"] > 0
        assert since["batch.SubmitJob"] == 0
        assert stack.run("new client", "-c", ASK, stack.scheduler_address) == "[1, 2, 3]\n"

        stack.stop(stack.part("object storage"), signal.SIGKILL)
        stack.start_storage()
        assert stack.run("new client", "-c", ASK, stack.scheduler_address) == "[1, 2, 3]\n"
        assert adapter.process.poll() is None
        assert jobs(stack, *ACTIVE) == []
