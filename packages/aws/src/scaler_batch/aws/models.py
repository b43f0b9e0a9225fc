"""Jobs of AWS Batch: what it is told about one, and what it says of one. All frozen."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

logger = logging.getLogger(__name__)

DEFAULT_LOG_GROUP: Final = "/aws/batch/job"
"""Where AWS Batch keeps the log of a job whose definition names no group."""


@dataclass(frozen=True, slots=True)
class JobShape:
    """What AWS Batch is told about a job besides its payload. Tasks of one shape can share an array.

    Attributes:
        queue: Name or ARN of the job queue.
        definition: Name, ``name:revision`` or ARN of the job definition.
        timeout: Seconds one attempt may run; AWS Batch takes 60 or more.
        vcpus: Processors, in place of the definition's.
        memory: MiB, in place of the definition's.
        gpus: Graphics processors, in place of the definition's.
        attempts: How often the job may be started where its host is reclaimed or its image cannot be pulled, 1 to 10.
        share: Fair-share identifier; ``None`` for a queue without a scheduling policy.
        scheduling_priority: Order within the share, 0 to 9999, higher first.
        tags: Tags of the job and of its container's ECS task, each a name and a value.
        variables: Variables of the container's environment, each a name and a value; whoever may describe jobs sees
            them.
    """

    queue: str
    definition: str
    timeout: int
    vcpus: float | None = None
    memory: int | None = None
    gpus: int | None = None
    attempts: int = 3
    share: str | None = None
    scheduling_priority: int | None = None
    tags: tuple[tuple[str, str], ...] = ()
    variables: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One SubmitJob.

    Attributes:
        name: At most 128 letters, digits, ``-`` and ``_``; unique to this submission, so that it can be looked up.
        shape: Queue, definition, timeout, and what replaces the definition's own.
        parameters: Values for the ``Ref::`` elements of the definition's command; not shown, since tasks' data and keys
            are among them.
        size: 1 for a single job, 2 to 10,000 for an array.
    """

    name: str
    shape: JobShape
    parameters: dict[str, str] = field(repr=False)
    size: int


class JobStatus(StrEnum):
    """AWS Batch's states of a job, by AWS's names."""

    SUBMITTED = "SUBMITTED"
    PENDING = "PENDING"
    RUNNABLE = "RUNNABLE"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"
    """Not AWS's: a state that this release does not know, or none at all. The job is watched on."""

    @property
    def is_final(self) -> bool:
        """Whether nothing will change any more."""
        return self in (JobStatus.SUCCEEDED, JobStatus.FAILED)


@dataclass(frozen=True, slots=True)
class JobReport:
    """What AWS Batch says of a job.

    Attributes:
        job_id: Batch's id; ``parent:index`` for a child of an array.
        status: The job's state.
        index: Place in its array, for a child.
        failed_children: How many children have failed, for the parent of an array.
        attempt: How many attempts were made; 0 where AWS Batch did not say, as for a child in a listing.
        exit_code: The container's exit code in its last attempt, if it came that far.
        reason: What ECS says about the container.
        status_reason: What Batch says about the state.
        log_stream: Name of the last attempt's log stream.
        log_group: The log group it lies in.
        log_tail: The last lines of the log, where they were asked for.
        terminated: Whether somebody asked AWS Batch to end it.
    """

    job_id: str
    status: JobStatus
    index: int | None = None
    failed_children: int = 0
    attempt: int = 0
    exit_code: int | None = None
    reason: str = ""
    status_reason: str = ""
    log_stream: str = ""
    log_group: str = DEFAULT_LOG_GROUP
    log_tail: tuple[str, ...] = ()
    terminated: bool = False


def is_numbered(name: str, prefix: str) -> bool:
    """Whether a name is ``prefix`` and a number: one run's id may begin with another's."""
    return name.startswith(prefix) and name[len(prefix) :].isdecimal()


_unknown_states: Final[set[str]] = set()
"""States that people have been told of."""


def read_status(state: object) -> JobStatus:
    """Read a job's state. One that is not in the list is told of once, and is no reason to stop."""
    if isinstance(state, str) and state in JobStatus.__members__:
        return JobStatus(state)
    if str(state) not in _unknown_states:
        _unknown_states.add(str(state))
        logger.warning(
            "AWS Batch reports a job state that this release does not know: %s. Such jobs are watched on; "
            "a newer release of scaler-batch may know it",
            state,
        )
    return JobStatus.UNKNOWN


def read_reports(jobs: Any) -> dict[str, JobReport]:
    """Read all jobs of an answer, by id. A job that cannot be read concerns nobody but itself."""
    return {str(job["jobId"]): read_report(job) for job in jobs if job.get("jobId")}


def read_report(job: Any) -> JobReport:
    """Read a job as DescribeJobs and ListJobs show it; the latter leaves most out."""
    try:
        return _read(job)
    except (TypeError, AttributeError, ValueError, KeyError) as error:
        logger.warning("AWS Batch's answer on job %s cannot be read, asking again later: %r", job["jobId"], error)
        return JobReport(str(job["jobId"]), JobStatus.UNKNOWN)


def _read(job: Any) -> JobReport:
    array = job.get("arrayProperties") or {}
    container = job.get("container") or {}
    options = (container.get("logConfiguration") or {}).get("options") or {}
    attempts = job.get("attempts") or ()
    return JobReport(
        job_id=job["jobId"],
        status=read_status(job.get("status")),
        index=array.get("index"),
        failed_children=(array.get("statusSummary") or {}).get("FAILED") or 0,
        attempt=len(attempts),
        exit_code=container.get("exitCode"),
        reason=container.get("reason") or "",
        status_reason=job.get("statusReason") or "",
        log_stream=container.get("logStreamName") or _last_stream(attempts),
        log_group=options.get("awslogs-group") or DEFAULT_LOG_GROUP,
        terminated=bool(job.get("isTerminated") or job.get("isCancelled")),
    )


def _last_stream(attempts: Any) -> str:
    """The log of the last attempt that has one: the one that follows may not have come that far."""
    streams = [(attempt.get("container") or {}).get("logStreamName") for attempt in attempts]
    return next((str(stream) for stream in reversed(streams) if stream), "")
