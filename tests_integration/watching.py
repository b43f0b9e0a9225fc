"""Looking at a running system until it is as it should be."""

from __future__ import annotations

import time
from collections.abc import Callable

from stack import Stack

ACTIVE = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")


def unfinished(stack: Stack) -> list[str]:
    """All jobs of the queue that are not over."""
    batch, queue = stack.aws("batch"), stack.provisioned["SCALER_JOB_QUEUE"]
    return [
        job["jobId"] for status in ACTIVE for job in batch.list_jobs(jobQueue=queue, jobStatus=status)["jobSummaryList"]
    ]


def wait_for(condition: Callable[[], bool], within: float = 60) -> None:
    """Look until a condition holds: what happens in another process comes with no event."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
