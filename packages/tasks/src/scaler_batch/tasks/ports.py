"""What the stages need from outside, each named for its role.

A port raises what its protocol names and nothing else: any other exception is a bug, and takes the task manager down. A
result that cannot be prepared is the exception: it may be what somebody has put into the bucket, so it fails its task.

The store is the fourth port; it is payload's own (:class:`scaler_batch.payload.Store`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from scaler_batch.aws import JobReport, JobSpec
from scaler_batch.payload.buffers import Buffer
from scaler_batch.tasks.models import Result, TaskRequest


class JobService(Protocol):
    """AWS Batch, as far as it is needed. Every method raises :class:`scaler_batch.aws.ServiceError`.

    No method tries again by itself: its callers know when that is safe, and what else to do meanwhile.
    """

    @property
    def calls(self) -> Mapping[str, int]:
        """How many requests were made, by operation."""

    async def submit(self, job: JobSpec) -> str:
        """Submit a job and return its id."""

    async def find(self, name: str, queue: str) -> str | None:
        """Return the id of the job that was submitted under this name, if it is listed.

        One that was taken a moment ago may not be listed yet: look several times before believing that there is none.
        """

    async def named(self, prefix: str, queue: str) -> list[str]:
        """Return the ids of all jobs in a queue that are not over and whose names are ``prefix`` and a number.

        Parents stand for arrays.
        """

    async def describe(self, job_ids: Sequence[str]) -> dict[str, JobReport]:
        """Report on single jobs and on parents of arrays; a job that Batch does not know is left out."""

    async def failed_children(self, job_id: str) -> list[JobReport]:
        """Report on the children of an array that have failed."""

    async def terminate(self, job_id: str, reason: str) -> None:
        """End a job, whatever its state; the id of a parent ends all its children."""

    async def terminate_many(self, job_ids: Sequence[str], reason: str) -> list[str]:
        """End many jobs, fifty a request; return the ids of those to try again. Refused ones are not among them."""

    async def tail(self, report: JobReport, lines: int) -> tuple[str, ...]:
        """Return the last lines of a job's log; none where there is no log."""


class InputLoader(Protocol):
    """Where the bytes of inputs come from."""

    async def load(self, object_id: bytes) -> Buffer:
        """Return an object's bytes, read-only; :class:`~.errors.InputError` where they cannot be had."""


class ReplySink(Protocol):
    """Who hears the results.

    A reply has two halves, because a cancellation may come between them: :meth:`prepare` may take its time and be
    abandoned, :meth:`announce` happens at once and exactly once for a task. Nothing here raises: who cannot store a
    result says so in what it announces.
    """

    async def prepare(self, request: TaskRequest, result: Result) -> Any:
        """Do what is slow (store the result), and return what :meth:`announce` needs."""

    def announce(self, request: TaskRequest, prepared: Any) -> None:
        """Answer the task."""

    def discard(self, request: TaskRequest, prepared: Any) -> None:
        """The task was cancelled meanwhile: undo what :meth:`prepare` did."""
