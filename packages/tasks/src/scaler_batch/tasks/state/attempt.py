"""One submission under way, from the tasks that were chosen to the job that AWS Batch has taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum

from scaler_batch.aws import JobShape, JobSpec, ServiceError
from scaler_batch.payload import Call
from scaler_batch.payload.bundles import Value
from scaler_batch.tasks.errors import TaskFailedError
from scaler_batch.tasks.state.tables import Task


class Step(Enum):
    """How far a submission has come."""

    LOADING = "loading"
    """Its inputs are fetched."""
    CHECKING = "checking"
    """Outcomes are listed, since that was given up: a job would run in vain otherwise."""
    PACKING = "packing"
    """Its pack is made, and stored unless it travels inline."""
    SUBMITTING = "submitting"
    """AWS Batch was asked to take it."""
    WAITING = "waiting"
    """AWS Batch did not take it, and will be asked again."""
    LOOKING = "looking"
    """AWS Batch may have taken it, and will be asked for its name."""
    FINDING = "finding"
    """AWS Batch was asked for its name."""


class Attempt:
    """One submission under way.

    Attributes:
        sequence: Its number in the run.
        shape: What its jobs are told.
        bundles: The tasks of each job.
        tasks: All of them, in order.
        step: How far it has come.
        portion: Index of the task behind those whose inputs are being fetched.
        room: Bytes of inputs that fit in yet.
        values: Inputs that have come, or why they have not, by name.
        missing: Names of inputs that have not come.
        calls: What each task's job will be given.
        listing: The look at outcomes that decides whether to go on.
        job: What AWS Batch is asked to take.
        stored_at: When the pack was put into S3; ``None`` for one that travels inline.
        waits: Seconds to wait before each further try to submit.
        looks: Seconds to wait before each further look for the job.
        find_waits: Seconds to wait before each further try of one such look.
        error: Why the last try to submit failed.
        ask: What AWS Batch is being asked, by number.
        sent: How often AWS Batch was asked to take it.
        is_unsure: Whether AWS Batch may have taken it unheard.
    """

    __slots__ = (
        "ask", "bundles", "calls", "error", "find_waits", "is_unsure", "job", "listing", "looks", "missing", "portion",
        "room", "sent", "sequence", "shape", "step", "stored_at", "tasks", "values",
        "waits",
    )  # fmt: skip

    def __init__(self, sequence: int, shape: JobShape, bundles: Sequence[Sequence[Task]], room: int) -> None:
        self.sequence = sequence
        self.shape = shape
        self.keep(bundles)
        self.step = Step.LOADING
        self.portion = 0
        self.room = room
        self.values: dict[bytes, Value | TaskFailedError] = {}
        self.missing: set[bytes] = set()
        self.calls: dict[Task, Call] = {}
        self.listing: int | None = None
        self.job: JobSpec | None = None
        self.stored_at: float | None = None
        self.waits: Iterator[float] = iter(())
        self.looks: Iterator[float] = iter(())
        self.find_waits: Iterator[float] = iter(())
        self.error: ServiceError | None = None
        self.ask = 0
        self.sent = 0
        self.is_unsure = False

    def keep(self, bundles: Sequence[Sequence[Task]]) -> None:
        """Go on with these jobs only."""
        self.bundles = bundles
        self.tasks = [task for bundle in bundles for task in bundle]
