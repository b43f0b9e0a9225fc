"""What can go wrong on a real account and be brought about there: each fault, and what the client must be told of it.

Nothing here needs anything but a client of Scaler, AWS Batch and the worker: the tasks run on machines that share no
file with this one, so what they are doing is known from AWS Batch alone.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import cloudpickle
from scaler import Client

cloudpickle.register_pickle_by_value(sys.modules[__name__])

OVER = ("SUCCEEDED", "FAILED")
ACTIVE = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")
LOOK_EVERY = 1.0
TERMINATED = "ended by the account test"


class UnexpectedError(Exception):
    """The client was not told what it should have been."""


def fail(message: str) -> None:
    raise ValueError(message)


def sleep(seconds: float, value: Any) -> Any:
    time.sleep(seconds)
    return value


def use_memory(megabytes: int) -> int:
    """Use memory, a piece at a time so that whoever watches it sees it grow."""
    held = []
    for _ in range(megabytes // 64):
        held.append(bytearray(os.urandom(1)) * (64 << 20))
        time.sleep(0.05)
    time.sleep(20)
    return len(held)


def jobs_of(batch: Any, queue: str, *statuses: str) -> list[str]:
    """Ids of a queue's jobs in these states."""
    pages = batch.get_paginator("list_jobs")
    return [
        job["jobId"]
        for status in statuses
        for page in pages.paginate(jobQueue=queue, jobStatus=status)
        for job in page["jobSummaryList"]
    ]


@dataclass
class Scene:
    """A running system on an account.

    Attributes:
        client: Of the scheduler.
        batch: Reaches AWS Batch.
        queue: Whose jobs are looked at.
        memory_mb: What a job has.
        restart: Stops the worker, and starts another.
        within: Seconds for a job to start, machine included, and for an answer.
    """

    client: Client
    batch: Any
    queue: str
    memory_mb: int
    restart: Callable[[], None]
    within: float
    _known: set[str] = field(default_factory=set)

    def next_running(self) -> str:
        """Wait until a job runs that did not yet, and return its id."""
        for _ in self._until("no job has started"):
            if new := set(jobs_of(self.batch, self.queue, "RUNNING")) - self._known:
                self._known |= new
                return min(new)
        raise AssertionError

    def wait_until_over(self, job: str) -> None:
        """Wait until a job has ended."""
        for _ in self._until(f"job {job} has not ended"):
            if self.batch.describe_jobs(jobs=[job])["jobs"][0]["status"] in OVER:
                return

    def failure(self, future: Any, *words: str) -> str:
        """What a task failed with, which has to contain one of these words."""
        try:
            value = future.result(self.within)
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        else:
            raise UnexpectedError(f"the task returned {value!r}")
        if not any(word in said for word in words):
            raise UnexpectedError(f"the client was told: {said}")
        return said.splitlines()[0]

    def _until(self, otherwise: str) -> Iterator[None]:
        give_up = time.monotonic() + self.within
        while time.monotonic() < give_up:
            yield
            time.sleep(LOOK_EVERY)
        raise UnexpectedError(f"{otherwise} after {self.within:.0f} s")


@dataclass
class TimeOut:
    """A task that takes longer than its job may; begun first, because the shortest time-out is a minute."""

    future: Any

    @classmethod
    def begin(cls, scene: Scene) -> TimeOut:
        future = scene.client.submit(sleep, 600, "too late")
        scene.next_running()
        return cls(future)

    def end(self, scene: Scene) -> str:
        return scene.failure(self.future, "timeout", "timed out", "JobTimeoutError")


def raises(scene: Scene) -> str:
    return scene.failure(scene.client.submit(fail, "on purpose"), "ValueError: on purpose")


def exits(scene: Scene) -> str:
    return scene.failure(scene.client.submit(os._exit, 3), "exit code 3")


def runs_out_of_memory(scene: Scene) -> str:
    return scene.failure(scene.client.submit(use_memory, 2 * scene.memory_mb), "memory", "SIGKILL")


def is_cancelled(scene: Scene) -> str:
    future = scene.client.submit(sleep, 600, "not cancelled")
    job = scene.next_running()
    if not future.cancel():
        raise UnexpectedError("the task could not be cancelled")
    scene.wait_until_over(job)
    return "its job has ended"


def is_terminated(scene: Scene) -> str:
    future = scene.client.submit(sleep, 600, "not terminated")
    scene.batch.terminate_job(jobId=scene.next_running(), reason=TERMINATED)
    return scene.failure(future, TERMINATED, "terminated", "SIGTERM")


def loses_its_worker(scene: Scene) -> str:
    future = scene.client.submit(sleep, 15, "done")
    job = scene.next_running()
    scene.restart()
    scene.wait_until_over(job)
    value = future.result(scene.within)
    if value != "done":
        raise UnexpectedError(f"the task returned {value!r}")
    return "its job was ended; the next worker ran it again, and it was answered once"


FAULTS: dict[str, Callable[[Scene], str]] = {
    "a task that raises": raises,
    "a task that exits": exits,
    "a task that runs out of memory": runs_out_of_memory,
    "a task that is cancelled": is_cancelled,
    "a job that is terminated": is_terminated,
}
"""Those that happen while a task waits for its time-out."""
