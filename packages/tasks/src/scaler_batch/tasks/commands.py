"""What the state wants done, all frozen. Each command but the last two is answered by one event."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from scaler_batch.aws import JobReport, JobSpec
from scaler_batch.payload import Call, Client, JobSeal, Reference
from scaler_batch.payload.buffers import Buffer
from scaler_batch.tasks.models import Result, TaskRequest


class LoadInput(NamedTuple):
    """Fetch an input; above ``threshold`` bytes, compute its digest as well."""

    name: bytes
    threshold: int


class StoreObject(NamedTuple):
    """Put a large input into S3."""

    digest: str
    ask: int
    reference: Reference
    data: Buffer


class WritePack(NamedTuple):
    """Make the pack of a submission, a list of calls for each job, and put it into S3 unless it travels inline."""

    sequence: int
    calls: Sequence[Sequence[Call]]
    client: Client | None
    processes: int
    inline_limit: int


class SubmitJob(NamedTuple):
    """Submit a job or an array."""

    sequence: int
    ask: int
    job: JobSpec


class FindJob(NamedTuple):
    """Look for a job by its name."""

    sequence: int
    ask: int
    name: str
    queue: str


class ListOutcomes(NamedTuple):
    """List the run's outcomes."""

    listing: int


class FetchOutcome(NamedTuple):
    """Fetch an outcome object of a job with ``positions`` calls, and open it at once if it is small."""

    read: int
    key: str
    positions: int
    seal: JobSeal


class OpenOutcome(NamedTuple):
    """Open a large object of outcomes beside the event loop."""

    read: int
    key: str
    positions: int
    seal: JobSeal
    sealed: Buffer


class DescribeJobs(NamedTuple):
    """Ask AWS Batch how jobs are."""

    checkup: int
    job_ids: Sequence[str]


class ListFailedChildren(NamedTuple):
    """Ask AWS Batch which children of an array have failed."""

    checkup: int
    sequence: int
    job_id: str


class DiagnoseJobs(NamedTuple):
    """Find out why jobs died, with the ends of their logs."""

    checkup: int
    reports: Sequence[JobReport]


class PrepareReply(NamedTuple):
    """Store a result for whoever asked for the task."""

    life: int
    request: TaskRequest
    result: Result


class TerminateJobs(NamedTuple):
    """Ask AWS Batch to end jobs."""

    group: int
    job_ids: Sequence[str]
    reason: str


class RemoveObjects(NamedTuple):
    """Remove objects of the run."""

    keys: Sequence[str]


class DescribeEnded(NamedTuple):
    """Ask AWS Batch whether jobs have ended."""

    ask: int
    job_ids: Sequence[str]


class ListNamedJobs(NamedTuple):
    """Look for all jobs of the run that are not over, in some queues."""

    ask: int
    prefix: str
    queues: Sequence[str]


class PurgeRun(NamedTuple):
    """Remove everything the run has written."""


class Announce(NamedTuple):
    """Answer a task, at once."""

    request: TaskRequest
    prepared: Any


class Discard(NamedTuple):
    """Undo what preparing a reply did: its task was cancelled meanwhile. At once."""

    request: TaskRequest
    prepared: Any


Command = (
    LoadInput
    | StoreObject
    | WritePack
    | SubmitJob
    | FindJob
    | ListOutcomes
    | FetchOutcome
    | OpenOutcome
    | DescribeJobs
    | ListFailedChildren
    | DiagnoseJobs
    | PrepareReply
    | TerminateJobs
    | RemoveObjects
    | DescribeEnded
    | ListNamedJobs
    | PurgeRun
    | Announce
    | Discard
)
