"""How a task manager behaves. Plain values; reading flags, environment and files is the adapter's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from scaler_batch.payload.placement import INLINE_LIMIT, MAX_INLINE_LIMIT
from scaler_batch.tasks.errors import SettingsError
from scaler_batch.tasks.vocabulary import JobShape

SHORTEST_TIMEOUT: Final = 60
"""Seconds; AWS Batch refuses a shorter ``attemptDurationSeconds``."""


@dataclass(frozen=True, slots=True)
class Polling:
    """How often the watcher looks.

    It looks soon after something happened and ever more rarely while nothing does: waiting ``share`` of the time that
    has passed since, between ``shortest`` and ``longest``. A job of a second is seen within a tenth of one, a job of an
    hour costs some hundred looks.

    Attributes:
        share: Part of the time since the last event to wait before the next look.
        shortest: Seconds between two looks at the store at least.
        longest: Seconds between two looks at the store at most.
        health: Looks at AWS Batch come this many times less often than looks at the store, since they only find jobs
            that died without an outcome.
        health_shortest: Seconds between two looks at AWS Batch at least.
        patience: Seconds for which AWS Batch may not know a job before the job counts as lost. Longer than it takes a
            new job to become visible everywhere.
    """

    share: float = 0.1
    shortest: float = 0.05
    longest: float = 10.0
    health: float = 3.0
    health_shortest: float = 1.0
    patience: float = 60.0

    def __post_init__(self) -> None:
        """Refuse what would look without a pause, or never."""
        if not 0 < self.shortest <= self.longest:
            raise SettingsError(
                f"looks at the store between {self.shortest} s and {self.longest} s: 0 < shortest <= longest"
            )
        if min(self.share, self.health, self.health_shortest, self.patience) < 0:
            raise SettingsError(f"no time of {self} can be negative")


@dataclass(frozen=True, slots=True)
class TaskManagerSettings:
    """Settings of one task manager.

    Attributes:
        job_queue: Queue that jobs go to.
        job_definition: Definition that jobs are made of.
        max_concurrent_jobs: How many jobs may be in flight at once; the child of an array counts as one.
        job_timeout: Seconds after which AWS Batch ends an attempt; overrides the definition's. At least 60.
        inline_limit: Largest pack that travels in job parameters, in bytes before base64; 0 sends all through S3.
        transfers: How many objects are fetched, and how many results stored, at the same time.
        polling: How often to look for what happened.
    """

    job_queue: str
    job_definition: str
    max_concurrent_jobs: int = 100
    job_timeout: int = 3600
    inline_limit: int = INLINE_LIMIT
    transfers: int = 16
    polling: Polling = field(default_factory=Polling)

    def __post_init__(self) -> None:
        """Refuse now what AWS Batch would refuse later."""
        if not self.job_queue or not self.job_definition:
            raise SettingsError("a job queue and a job definition are needed; the provisioner makes both")
        if self.max_concurrent_jobs < 1:
            raise SettingsError(f"max_concurrent_jobs is {self.max_concurrent_jobs}, but at least 1 job has to run")
        if self.job_timeout < SHORTEST_TIMEOUT:
            raise SettingsError(
                f"a job timeout of {self.job_timeout} s is below the {SHORTEST_TIMEOUT} s that AWS Batch takes at least"
            )
        if self.transfers < 1:
            raise SettingsError(f"transfers is {self.transfers}, but at least 1 object has to move at a time")
        if not 0 <= self.inline_limit <= MAX_INLINE_LIMIT:
            raise SettingsError(f"inline_limit is {self.inline_limit}; AWS Batch takes 0 to {MAX_INLINE_LIMIT} bytes")

    @property
    def shape(self) -> JobShape:
        """What every job is told besides its payload."""
        return JobShape(self.job_queue, self.job_definition, self.job_timeout)
