"""Every way in which a task can fail to be answered by itself, made to happen on the local AWS."""

from __future__ import annotations

import asyncio
import math
import os
import pickle
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import cloudpickle
import pytest

from scaler_batch.aws import BatchJobService, JobShape
from scaler_batch.local import LocalAWS, LocalSettings
from scaler_batch.local.faults import Drop, ExpiredToken, Kill, LoseResponse, Reclaim, ServerError, Throttle, Vanish
from scaler_batch.local.resources import Wanted, make
from scaler_batch.payload import Outcome, RunLocation, Status
from scaler_batch.payload.calls import make_call
from scaler_batch.payload.s3 import S3RunStore, boto3_credentials
from scaler_batch.tasks import AWSHPCTaskManager, Backoff, Polling, TaskManagerSettings
from scaler_batch.tasks import errors as failures
from scaler_batch.tasks.models import Result, job_names
from scaler_batch.tasks.testing import MemoryInputs, RecordingSink

cloudpickle.register_pickle_by_value(sys.modules[__name__])

WANTED = Wanted(bucket="faults", queue="faults", definition="faults")
SHAPE = JobShape("faults", "faults", 60)


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAWS]:
    with LocalAWS(LocalSettings(slots=4, minimum_timeout=1, stop_grace=2.0)) as running:
        make(WANTED, running.environment)
        yield running


@dataclass
class Manager:
    """A task manager on the local AWS, with its two ends."""

    aws: LocalAWS
    manager: AWSHPCTaskManager
    run_id: str
    inputs: MemoryInputs = field(default_factory=MemoryInputs)
    sink: RecordingSink = field(default_factory=RecordingSink)

    def ask(self, function: Callable[..., Any], *arguments: Any, shape: JobShape | None = None) -> bytes:
        """Submit a call and return its task's id."""
        task_id = uuid4().bytes
        self.manager.submit(self.inputs.request(task_id, make_call(function, *arguments), shape=shape))
        return task_id

    async def result(self, task_id: bytes) -> Result:
        """Wait for what a task comes to."""
        async with asyncio.timeout(60):
            while task_id not in self.sink.results:
                await self.sink.answers(len(self.sink.announced) + 1)
        return self.sink.results[task_id]

    async def failure(self, task_id: bytes) -> failures.TaskFailedError:
        """Wait for a task that is not answered by itself."""
        found = await self.result(task_id)
        assert isinstance(found, failures.TaskFailedError), found
        return found

    async def value(self, task_id: bytes) -> Any:
        """Wait for a task that succeeds."""
        found = await self.result(task_id)
        assert isinstance(found, Outcome), found
        assert found.status is Status.SUCCESS, found.failure
        return pickle.loads(found.value)


Managers = Callable[..., AbstractAsyncContextManager[Manager]]


@pytest.fixture
def managers(aws: LocalAWS, monkeypatch: pytest.MonkeyPatch) -> Iterator[Managers]:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)

    @asynccontextmanager
    async def managed(**settings: Any) -> AsyncIterator[Manager]:
        session = boto3.Session(region_name="us-east-1")
        jobs = BatchJobService(session, "us-east-1")
        run = RunLocation("faults", "runs", uuid4().hex[:12], "us-east-1")
        made = Manager(aws, None, run.run_id)  # type: ignore[arg-type]
        made.manager = AWSHPCTaskManager(
            replace(
                TaskManagerSettings("faults", "faults", polling=Polling(patience=3.0), backoff=Backoff(longest=1.0)),
                **settings,
            ),
            run,
            jobs=jobs,
            store=S3RunStore(run, credentials=boto3_credentials(session)),
            inputs=made.inputs,
            sink=made.sink,
        )
        async with made.manager:
            yield made
            await made.manager.stop(20)
        jobs.close()

    yield managed
    aws.remove_faults()


def sleep(seconds: float) -> str:
    time.sleep(seconds)
    return "slept"


def kill_the_runner() -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


def use_memory(megabytes: int) -> int:
    held = bytearray(b"x") * (megabytes * 1_000_000)
    time.sleep(20)
    return len(held)


def wait_for(path: str) -> str:
    while not Path(path).exists():
        time.sleep(0.05)
    return "done"


async def test_a_killed_job_is_told_with_its_log(managers: Managers) -> None:
    async with managers() as manager:
        error = await manager.failure(manager.ask(kill_the_runner))
        assert isinstance(error, failures.JobFailedError)
        assert error.exit_code == 137
        assert error.job_id in str(error)


async def test_a_job_that_times_out_is_told_so(managers: Managers) -> None:
    async with managers() as manager:
        error = await manager.failure(manager.ask(sleep, 60, shape=replace(SHAPE, timeout=2)))
        assert isinstance(error, failures.JobTimeoutError)
        assert "timeout" in str(error)


async def test_a_job_whose_host_is_reclaimed_runs_again(managers: Managers, tmp_path: Path) -> None:
    async with managers() as manager:
        task = manager.ask(wait_for, str(tmp_path / "gate"))
        await until_running(manager)
        manager.aws.inject(Reclaim(notice=0.5))
        await asyncio.sleep(1)
        (tmp_path / "gate").touch()
        assert await manager.value(task) == "done"


async def test_a_job_whose_hosts_are_reclaimed_each_time_says_so(managers: Managers) -> None:
    async with managers() as manager:
        task = manager.ask(sleep, 60, shape=replace(SHAPE, attempts=1))
        await until_running(manager)
        manager.aws.inject(Reclaim(notice=0.5))
        error = await manager.failure(task)
        assert isinstance(error, failures.SpotReclaimedError)


async def test_a_definition_that_is_gone_is_told_at_once(managers: Managers) -> None:
    async with managers() as manager:
        error = await manager.failure(manager.ask(abs, -1, shape=replace(SHAPE, definition="gone")))
        assert isinstance(error, failures.SubmitRejectedError)
        assert "gone" in str(error)


async def test_a_disabled_queue_is_told_at_once_and_other_tasks_go_on(managers: Managers, aws: LocalAWS) -> None:
    batch = aws.client("batch")
    make(Wanted(queue="disabled"), aws.environment)
    batch.update_job_queue(jobQueue="disabled", state="DISABLED")
    async with managers() as manager:
        refused, fine = manager.ask(abs, -1, shape=replace(SHAPE, queue="disabled")), manager.ask(abs, -2)
        assert isinstance(await manager.failure(refused), failures.SubmitRejectedError)
        assert await manager.value(fine) == 2
    batch.close()


@pytest.mark.parametrize(
    "fault",
    [
        Throttle("batch.*", span=3.0),
        Throttle("s3.*", span=3.0),
        ServerError("s3.*", status=503, span=3.0),
        pytest.param(ServerError("batch.*", status=500, span=3.0), marks=pytest.mark.long),
        ServerError("batch.SubmitJob", status=500, done=True, count=2),
        LoseResponse("batch.SubmitJob", count=1),
        LoseResponse("s3.PutObject", count=2),
        Drop("batch.*", share=0.3),
        Drop("s3.*", share=0.2),
        ExpiredToken("batch.*", count=2),
        ExpiredToken("s3.*", count=4),
    ],
    ids=lambda fault: f"{type(fault).__name__} {fault.calls}",
)
async def test_a_bad_spell_of_aws_costs_time_and_nothing_else(managers: Managers, aws: LocalAWS, fault: Any) -> None:
    async with managers() as manager:
        aws.inject(fault, seed=3)
        tasks = [manager.ask(math.sqrt, number * number) for number in range(20)]
        assert [await manager.value(task) for task in tasks] == [float(number) for number in range(20)]
        batch = aws.client("batch")
        aws.remove_faults()
        ran = batch.list_jobs(
            jobQueue="faults", filters=[{"name": "JOB_NAME", "values": [f"{job_names(run_of(manager))}*"]}]
        )
        names = [job["jobName"] for job in ran["jobSummaryList"]]
        assert names
        assert len(names) == len(set(names)), "no job was submitted twice"
        batch.close()


async def test_a_job_that_vanishes_is_not_awaited_for_ever(managers: Managers) -> None:
    async with managers() as manager:
        task = manager.ask(sleep, 60)
        await until_running(manager)
        manager.aws.inject(Vanish())
        assert isinstance(await manager.failure(task), failures.JobLostError)


async def test_jobs_that_are_killed_at_random_are_each_answered_once(managers: Managers) -> None:
    async with managers() as manager:
        manager.aws.inject(Kill(share=0.3, after=0.3), seed=5)
        tasks = [manager.ask(sleep, 0.1) for _ in range(30)]
        results = [await manager.result(task) for task in tasks]
        assert all(isinstance(found, Outcome | failures.JobFailedError) for found in results)
        assert len(manager.sink.announced) == 30


async def test_a_job_that_uses_up_its_memory_is_told_so(managers: Managers) -> None:
    async with managers() as manager:
        task = manager.ask(use_memory, 600, shape=replace(SHAPE, memory=300))
        found = await manager.result(task)
        said = found.failure.message if isinstance(found, Outcome) and found.failure else str(found)
        assert "memory" in said or "SIGKILL" in said


async def until_running(manager: Manager) -> None:
    """Wait until AWS Batch says that a job runs."""

    def wait() -> None:
        batch = manager.aws.client("batch")
        while not batch.list_jobs(jobQueue="faults", jobStatus="RUNNING")["jobSummaryList"]:
            time.sleep(0.05)
        batch.close()

    await asyncio.to_thread(wait)


def run_of(manager: Manager) -> str:
    """The run's id, which the names of its jobs carry."""
    return manager.run_id
