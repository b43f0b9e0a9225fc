"""How a task manager behaves. Plain values; reading flags, environment and files is the adapter's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from scaler_batch.aws import JobShape
from scaler_batch.aws.limits import MOST_ATTEMPTS, SHORTEST_TIMEOUT
from scaler_batch.payload import Client, Seal
from scaler_batch.payload.contract import PRIVATE_VARIABLE
from scaler_batch.payload.objects import THRESHOLD
from scaler_batch.payload.placement import INLINE_LIMIT, MAX_INLINE_LIMIT
from scaler_batch.tasks import credentials, renewal, waiting
from scaler_batch.tasks.errors import SettingsError
from scaler_batch.tasks.retrying import Backoff
from scaler_batch.tasks.scheduling import LARGEST_BUNDLE

SHORTEST_RENEWAL: Final = 1.0
"""Seconds after which objects are renewed, at least."""


@dataclass(frozen=True, slots=True)
class Polling:
    """How often to look for what has become of jobs.

    A look comes soon after something happened and ever more rarely while nothing does: after ``backoff_fraction`` of
    the time that has passed since, between ``shortest`` and ``longest``. A job of a second is seen within a tenth of
    one, a job of an hour costs some hundred looks.

    Attributes:
        backoff_fraction: Part of the time since the last event to wait before the next look.
        shortest: Seconds between two looks at the store at least.
        longest: Seconds between two looks at the store at most.
        batch_check_ratio: Looks at AWS Batch come this many times less often than looks at the store, since they only
            find jobs that died without an outcome.
        batch_check_shortest: Seconds between two looks at AWS Batch at least.
        tasks_per_doubling: The shortest time between two looks grows by its own length for each this many running
            tasks.
        longest_scaled: Seconds that the shortest time grows to at most.
        patience: Seconds for which AWS Batch may not know a job before the job counts as lost. Longer than it takes a
            new job to become visible everywhere.
    """

    backoff_fraction: float = 0.1
    shortest: float = 0.05
    longest: float = 10.0
    batch_check_ratio: float = 3.0
    batch_check_shortest: float = 2.0
    tasks_per_doubling: int = 20
    longest_scaled: float = 1.0
    patience: float = 60.0

    def __post_init__(self) -> None:
        """Refuse what would look without a pause, or never."""
        if not 0 < self.shortest <= self.longest:
            raise SettingsError(
                f"looks at the store between {self.shortest} s and {self.longest} s: 0 < shortest <= longest"
            )
        if self.tasks_per_doubling < 1:
            raise SettingsError(f"tasks_per_doubling is {self.tasks_per_doubling}; give at least 1")
        fractions = min(self.backoff_fraction, self.batch_check_ratio)
        if min(self.longest_scaled, fractions, self.batch_check_shortest, self.patience) < 0:
            raise SettingsError(f"no time of {self} can be negative")


@dataclass(frozen=True, slots=True)
class TaskManagerSettings:
    """Settings of one task manager.

    Attributes:
        job_queue: Queue that jobs go to.
        job_definition: Definition that jobs are made of.
        max_concurrent_jobs: How many jobs may be in flight at once; the child of an array counts as one.
        tasks_per_job: How many tasks share a job, one after the other; ``"auto"`` decides by how many wait and how long
            they take.
        processes: How many tasks of a job run side by side; 0 leaves it to the container.
        job_attempts: How often a job may be started where its host is reclaimed or its image cannot be pulled.
        refill_wait: Seconds for which a free slot may wait for others, so that they are refilled by one call.
        job_timeout: Seconds after which AWS Batch ends an attempt; overrides the definition's. At least 60.
        inline_limit: Largest pack that travels in job parameters, in bytes before base64; 0 sends all through S3.
        object_threshold: Bytes above which an input is stored in S3 by itself, once for all submissions that use it.
        client: What writes the calls, for containers to compare themselves with; ``None`` leaves that out.
        transfers: How many objects are fetched, and how many results stored, at the same time.
        polling: How often to look for what happened.
        outage_patience: Seconds for which S3 or AWS Batch may fail before tasks fail with it. Less where the error says
            that trying again will not help.
        credentials_patience: Seconds for which to wait for credentials that AWS takes before tasks fail for want of
            them.
        misconfiguration_patience: Seconds for which a job may wait for a machine that is large enough before it is
            given up. AWS Batch says so too while an environment starts its first machine.
        renew_after: Seconds after which data in S3 that unfinished tasks need is stored again, so that the bucket's
            lifecycle does not remove it.
        payload_key: A key that containers have too, so that none travels in the parameters of jobs; ``None`` makes one
            for the run, and those of its submissions travel.
        share_identifier: Whose share of a fair-share queue jobs count against; ``None`` for a queue without shares.
        tags: Tags of every job, each a name and a value.
        scheduling_priority: Order of jobs within the share, 0 to 9999, higher first; ``None`` for the definition's.
        private: Whether job parameters and the runner's lines in logs are to hold nothing of tasks; packs travel
            through S3 then, so ``inline_limit`` has to be 0.
        backoff: When to try a call to AWS Batch again.
    """

    job_queue: str
    job_definition: str
    max_concurrent_jobs: int = 100
    tasks_per_job: int | Literal["auto"] = 1
    processes: int = 0
    job_attempts: int = 3
    refill_wait: float = 2.0
    job_timeout: int = 3600
    inline_limit: int = INLINE_LIMIT
    object_threshold: int = THRESHOLD
    client: Client | None = None
    transfers: int = 16
    polling: Polling = field(default_factory=Polling)
    outage_patience: float = 900.0
    credentials_patience: float = credentials.PATIENCE
    misconfiguration_patience: float = waiting.PATIENCE
    renew_after: float = renewal.AFTER
    payload_key: Seal | None = field(default=None, repr=False)
    share_identifier: str | None = None
    scheduling_priority: int | None = None
    tags: tuple[tuple[str, str], ...] = ()
    private: bool = False
    backoff: Backoff = field(default_factory=Backoff)

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
        if self.tasks_per_job != "auto" and not 1 <= self.tasks_per_job <= LARGEST_BUNDLE:
            raise SettingsError(f"tasks_per_job is {self.tasks_per_job}; give 1 to {LARGEST_BUNDLE}, or 'auto'")
        if not 1 <= self.job_attempts <= MOST_ATTEMPTS:
            raise SettingsError(f"job_attempts is {self.job_attempts}; AWS Batch takes 1 to {MOST_ATTEMPTS}")
        if self.processes < 0 or self.refill_wait < 0:
            raise SettingsError("processes and refill_wait cannot be negative")
        if min(self.outage_patience, self.credentials_patience, self.misconfiguration_patience) < 0:
            raise SettingsError("outage_, credentials_ and misconfiguration_patience cannot be negative")
        if self.renew_after < SHORTEST_RENEWAL:
            raise SettingsError(f"renew_after is {self.renew_after} s, but at least {SHORTEST_RENEWAL:g} s are needed")
        if self.transfers < 1:
            raise SettingsError(f"transfers is {self.transfers}, but at least 1 object has to move at a time")
        if self.object_threshold < 1:
            raise SettingsError(f"object_threshold is {self.object_threshold}, but an object has at least 1 byte")
        if not 0 <= self.inline_limit <= MAX_INLINE_LIMIT:
            raise SettingsError(f"inline_limit is {self.inline_limit}; AWS Batch takes 0 to {MAX_INLINE_LIMIT} bytes")
        if self.private and self.inline_limit:
            raise SettingsError(f"inline_limit is {self.inline_limit}; private needs 0, as job parameters can be read")

    @property
    def shape(self) -> JobShape:
        """What every job is told besides its payload."""
        return JobShape(
            self.job_queue,
            self.job_definition,
            self.job_timeout,
            attempts=self.job_attempts,
            share=self.share_identifier,
            scheduling_priority=self.scheduling_priority,
            tags=self.tags,
            variables=((PRIVATE_VARIABLE, "1"),) if self.private else (),
        )
