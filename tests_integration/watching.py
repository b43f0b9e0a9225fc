"""Looking at a running system until it is as it should be."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Callable
from typing import Any

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


def metrics_port(stack: Stack) -> int:
    """Where the adapter of a stack, started with `--metrics-port 0`, tells its figures."""
    found = re.search(r"metrics at http://127\.0\.0\.1:(\d+)", stack.part("adapter").log.read_text())
    assert found is not None
    return int(found[1])


def worker_status(stack: Stack) -> dict[str, Any]:
    """What the one worker of that adapter says of itself."""
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port(stack)}/status") as answer:
        (worker,) = json.load(answer)["workers"]
    return dict(worker)
