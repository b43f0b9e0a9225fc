"""From what AWS says of a dead job to what its user reads.

One line of what happened and what to do, then the facts, then the end of the job's log. What is said of it stands in
the one table of failures (:mod:`scaler_batch.aws`); here each kind of failure gets its class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

from scaler_batch.aws import FailureKind, JobFailure, JobReport, JobStatus, failure_of, printable
from scaler_batch.tasks.errors import (
    ContainerStartError,
    EnvironmentMismatchError,
    ImagePullError,
    InterruptedJobError,
    JobCrashedError,
    JobFailedError,
    JobInputAlteredError,
    JobInputMissingError,
    JobLostError,
    JobOutOfMemoryError,
    JobStorageError,
    JobTimeoutError,
    OutcomeMissingError,
    OverridesTooLargeError,
    SpotReclaimedError,
    UnschedulableError,
)

_E = TypeVar("_E", bound=JobFailedError)

ERRORS: Final[Mapping[FailureKind, type[JobFailedError]]] = {
    FailureKind.TIMEOUT: JobTimeoutError,
    FailureKind.HOST_LOST: SpotReclaimedError,
    FailureKind.IMAGE_PULL: ImagePullError,
    FailureKind.OVERRIDES_TOO_LARGE: OverridesTooLargeError,
    FailureKind.UNSCHEDULABLE: UnschedulableError,
    FailureKind.OUT_OF_MEMORY: JobOutOfMemoryError,
    FailureKind.CONTAINER_START: ContainerStartError,
    FailureKind.INTERRUPTED: InterruptedJobError,
    FailureKind.ENVIRONMENT_MISMATCH: EnvironmentMismatchError,
    FailureKind.INPUT_MISSING: JobInputMissingError,
    FailureKind.INPUT_ALTERED: JobInputAlteredError,
    FailureKind.STORAGE: JobStorageError,
    FailureKind.CRASHED: JobCrashedError,
    FailureKind.RUNNER_FAILED: JobFailedError,
    FailureKind.OUTCOME_MISSING: OutcomeMissingError,
    FailureKind.OTHER: JobFailedError,
}
"""Which class a kind of failure has; every kind has one."""

LOG_LINES: Final = 50
"""Lines of a job's log that an error carries at most."""

LOG_LINE: Final = 1000
"""Characters of one such line at most: an event of CloudWatch Logs can have a million, and a client gets them all."""

_LOST: Final = "AWS Batch does not know it any more"


def job_failed(report: JobReport) -> JobFailedError:
    """Explain a job that ended without an outcome."""
    failure = failure_of(report)
    return _explained(ERRORS[failure.kind], headline_of(failure), report, _said(report))


def job_lost(job_id: str) -> JobLostError:
    """Explain a job that AWS Batch does not know any more."""
    headline = f"{_LOST}. It ended unseen, or was removed. Submit the task again."
    return _explained(JobLostError, headline, JobReport(job_id, JobStatus.FAILED), _LOST)


def unschedulable(report: JobReport) -> UnschedulableError:
    """Explain a job that has waited for too long for an instance that it fits."""
    return _explained(UnschedulableError, headline_of(failure_of(report)), report, _said(report))


def headline_of(failure: JobFailure) -> str:
    """What the user reads first."""
    return f"{failure.headline}. {failure.advice}"


def _explained(kind: type[_E], headline: str, report: JobReport, reason: str) -> _E:
    tail = tuple(printable(line[:LOG_LINE]) for line in report.log_tail[-LOG_LINES:])
    log = ["", "Last lines of the log:", *tail] if tail else []
    return kind(
        printable("\n".join([f"AWS Batch job failed: {headline}", *_facts(report, reason), *log])),
        job_id=report.job_id,
        attempt=report.attempt,
        exit_code=report.exit_code,
        reason=reason,
        log_tail=tail,
    )


def _facts(report: JobReport, reason: str) -> Iterator[str]:
    """What is known of the job, a line each."""
    yield f"job: {report.job_id}"
    if report.attempt:
        yield f"attempt: {report.attempt}"
    if report.exit_code is not None:
        yield f"exit code: {report.exit_code}"
    yield f"reason: {reason}"
    if report.log_stream:
        yield f"log: {report.log_stream} in {report.log_group}"


def _said(report: JobReport) -> str:
    said = [text for text in (report.status_reason, report.reason) if text]
    return "; ".join(said) or f"AWS Batch says {report.status} and nothing else"
