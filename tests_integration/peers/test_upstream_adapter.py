"""The adapter and the runner that opengris-scaler ships do their work on the local AWS: both can be compared on it.

Nothing of theirs is changed on disk. Their worker manager announces a concurrency of -1, which its own message cannot
hold, so the process that runs it is told to announce 1. Their image starts the runner by its entry point; here the
definition's command does.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from scaler import Client

from stack import Options, Part, Stack

RUNNER = "scaler.worker_manager.proxy.aws_batch.remote.job_runner"
PARAMETERS = {"task_id": "none", "payload": "none", "compressed": "0", "s3_bucket": "none", "s3_prefix": "none"}

WORKER_MANAGER = """
import functools, sys
from scaler.entry_points.worker_manager import main
from scaler.worker_manager.runner import WorkerManagerRunner

begin = WorkerManagerRunner.__init__

@functools.wraps(begin)
def with_one_unit(self, *arguments, **named):
    begin(self, *arguments, **{**named, "max_provisioner_units": 1})

WorkerManagerRunner.__init__ = with_one_unit
main()
"""


def define(stack: Stack) -> None:
    """Register a definition that runs their runner as their image would."""
    spec = importlib.util.find_spec(RUNNER)
    assert spec is not None
    assert spec.origin is not None
    parameters = {**PARAMETERS, "s3_key": "none"}
    options = [word for name in parameters for word in (f"--{name}", f"Ref::{name}")]
    batch = stack.aws("batch")
    batch.register_job_definition(
        jobDefinitionName="theirs",
        type="container",
        parameters=parameters,
        containerProperties={
            "image": "none",
            "command": ["python", spec.origin, *options],
            "vcpus": 1,
            "memory": 1024,
        },
    )
    batch.close()


@pytest.fixture(scope="module")
def upstream() -> Iterator[Stack]:
    """Scheduler, storage and their worker manager on a local AWS."""
    options = Options(
        slots=2,
        job_python=sys.executable,
        local=("--bucket", "theirs", "--queue", "theirs"),
        scheduler=("-pc", "allocate=even_load; scaling=vanilla"),
    )
    with Stack(options) as stack:
        for step in (stack.start_aws, stack.start_storage, stack.start_scheduler):
            step()
        define(stack)
        command = [sys.executable, "-c", WORKER_MANAGER, "aws_hpc", stack.scheduler_address]
        names = ["--job-queue", "theirs", "--job-definition", "theirs", "--s3-bucket", "theirs"]
        more = ["--worker-manager-id", "theirs", "--max-concurrent-jobs", "10"]
        part = Part("their worker manager", [*command, *names, *more], stack.environment, stack.directory)
        try:
            yield stack
        finally:
            part.stop()


def square(x: int) -> int:
    return x * x


def test_their_adapter_gets_tasks_done_by_their_runner(upstream: Stack, connect: Callable[..., Client]) -> None:
    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    client = connect(upstream)
    assert client.submit(square, 7).result() == 49
    assert client.map(square, range(4)) == [0, 1, 4, 9]


def test_their_jobs_are_ordinary_jobs(upstream: Stack) -> None:
    batch: Any = upstream.aws("batch")
    listed = batch.list_jobs(jobQueue="theirs", jobStatus="SUCCEEDED")["jobSummaryList"]
    assert listed
    batch.close()
