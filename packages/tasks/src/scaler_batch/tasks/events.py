"""What the state hears: every event that can change anything, all frozen.

Each event but the first three and :class:`Tick` answers one command (:mod:`~scaler_batch.tasks.commands`) and carries
what identifies it. Late, repeated or contradictory events are recognised by that and ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from scaler_batch.aws import JobReport, ServiceError
from scaler_batch.payload import Outcome
from scaler_batch.payload.buffers import Buffer
from scaler_batch.payload.errors import StoreError
from scaler_batch.tasks.errors import JobFailedError, TaskFailedError
from scaler_batch.tasks.models import TaskRequest


class TaskArrived(NamedTuple):
    """Somebody asks for a task."""

    request: TaskRequest


class CancelAsked(NamedTuple):
    """Somebody takes a task back; ``force`` says whether to stop it even if it may be running."""

    task_id: bytes
    force: bool


class StopAsked(NamedTuple):
    """The owner asks for everything to end; ``within`` is the time limit in seconds."""

    within: float


class Tick(NamedTuple):
    """Time has passed, and perhaps something is due."""


class InputLoaded(NamedTuple):
    """The bytes of an input; ``digest`` is empty for one small enough to travel in a pack."""

    name: bytes
    data: Buffer
    digest: str = ""


class InputFailed(NamedTuple):
    """An input cannot be had."""

    name: bytes
    failure: TaskFailedError


class ObjectStored(NamedTuple):
    """A large input lies in S3."""

    digest: str
    ask: int


class ObjectFailed(NamedTuple):
    """A large input could not be stored."""

    digest: str
    ask: int
    failure: TaskFailedError


class PackWritten(NamedTuple):
    """The pack of a submission is ready: the value of its job parameter, its bytes, and whether it lies in S3."""

    sequence: int
    parameter: str
    size: int
    stored: bool


class PackFailed(NamedTuple):
    """The pack of a submission could not be stored."""

    sequence: int
    failure: TaskFailedError


class Submitted(NamedTuple):
    """AWS Batch has taken a job."""

    sequence: int
    ask: int
    job_id: str


class SubmitFailed(NamedTuple):
    """AWS Batch did not take a job, or its answer was lost."""

    sequence: int
    ask: int
    error: ServiceError


class JobFound(NamedTuple):
    """What looking for a job by its name has shown."""

    sequence: int
    ask: int
    job_id: str | None


class FindFailed(NamedTuple):
    """Looking for a job by its name failed."""

    sequence: int
    ask: int
    error: ServiceError


class OutcomesListed(NamedTuple):
    """The keys of all outcomes of the run."""

    listing: int
    keys: Sequence[str]


class ListingFailed(NamedTuple):
    """The outcomes could not be listed."""

    listing: int
    error: StoreError


class OutcomeFetched(NamedTuple):
    """An object of outcomes that is too large to be opened on the event loop."""

    read: int
    sealed: Buffer


class OutcomeRead(NamedTuple):
    """The outcomes that an object holds."""

    read: int
    outcomes: Sequence[Outcome]


class OutcomeUnreadable(NamedTuple):
    """An object of outcomes cannot be believed."""

    read: int
    reason: str


class OutcomeRefused(NamedTuple):
    """An object was fetched that its job has not signed."""

    read: int


class FetchFailed(NamedTuple):
    """An object of outcomes could not be fetched."""

    read: int
    error: StoreError


class JobsReported(NamedTuple):
    """What AWS Batch says of jobs; those that it does not know are left out."""

    checkup: int
    reports: Mapping[str, JobReport]


class ReportsFailed(NamedTuple):
    """AWS Batch did not say how jobs are."""

    checkup: int
    error: ServiceError


class ChildrenListed(NamedTuple):
    """The failed children of an array."""

    checkup: int
    sequence: int
    children: Sequence[JobReport]


class ChildrenFailed(NamedTuple):
    """The failed children of an array could not be listed."""

    checkup: int
    sequence: int
    error: ServiceError


class JobsDiagnosed(NamedTuple):
    """Why jobs died, by their ids."""

    checkup: int
    failures: Mapping[str, JobFailedError]


class ReplyPrepared(NamedTuple):
    """A result is ready to be announced; ``answer`` is what it counts as."""

    life: int
    prepared: Any
    answer: str


class Terminated(NamedTuple):
    """AWS Batch was asked to end jobs; those in ``left`` have to be asked for again."""

    group: int
    left: Sequence[str]


class TerminateFailed(NamedTuple):
    """AWS Batch could not be asked to end jobs."""

    group: int
    error: ServiceError


class ObjectsRemoved(NamedTuple):
    """Objects were removed, or the bucket's lifecycle will have to."""


class EndReported(NamedTuple):
    """What AWS Batch says of jobs that were to be ended; ``None`` where it does not say."""

    ask: int
    reports: Mapping[str, JobReport] | None


class JobsNamed(NamedTuple):
    """Ids of this run's jobs that are not over, in all queues that were asked for."""

    ask: int
    job_ids: Sequence[str]


class RunPurged(NamedTuple):
    """Everything the run has written is removed, or left to the bucket's lifecycle."""


Event = (
    TaskArrived
    | CancelAsked
    | StopAsked
    | Tick
    | InputLoaded
    | InputFailed
    | ObjectStored
    | ObjectFailed
    | PackWritten
    | PackFailed
    | Submitted
    | SubmitFailed
    | JobFound
    | FindFailed
    | OutcomesListed
    | ListingFailed
    | OutcomeFetched
    | OutcomeRead
    | OutcomeUnreadable
    | OutcomeRefused
    | FetchFailed
    | JobsReported
    | ReportsFailed
    | ChildrenListed
    | ChildrenFailed
    | JobsDiagnosed
    | ReplyPrepared
    | Terminated
    | TerminateFailed
    | ObjectsRemoved
    | EndReported
    | JobsNamed
    | RunPurged
)
