"""From what AWS says of a dead job to what its user reads."""

from __future__ import annotations

from typing import Final

from scaler_batch.payload.contract import ExitCode
from scaler_batch.tasks.errors import JobFailedError, JobLostError
from scaler_batch.tasks.vocabulary import JobReport

_EXITS: Final = {
    ExitCode.PUBLISHED: "it ended well and left nothing in S3: is the job definition the one that was provisioned, and "
    "does its role write to this bucket?",
    ExitCode.USAGE: "its command line is not the one this version writes: provision the job definition again",
    ExitCode.BAD_PACK: "it could not read the task: install the same release in the worker and in the container image",
    ExitCode.NO_INPUT: "the task's data was not in S3: is the bucket's lifecycle shorter than the queue's backlog?",
    ExitCode.STORE_UNAVAILABLE: "it could not reach S3: check the job role's permissions and the network",
    ExitCode.INTERRUPTED: "it was told to stop before the task ended: a timeout, a termination, or a reclaimed host",
    137: "it was killed, most often for using more memory than the job definition allows",
}


def job_failed(report: JobReport) -> JobFailedError:
    """Explain a job that ended without an outcome."""
    said = [text for text in (report.status_reason, report.reason) if text]
    reason = "; ".join(said) or f"AWS Batch says {report.status} and nothing else"
    facts = [f"AWS Batch job failed: {reason}"]
    if report.exit_code is not None:
        hint = _EXITS.get(report.exit_code)
        facts.append(f"exit code {report.exit_code}" + (f": {hint}" if hint else ""))
    facts.append(f"job {report.job_id}" + (f", attempt {report.attempt}" if report.attempt else ""))
    if report.log_stream:
        facts.append(f"log stream {report.log_stream}")
    return JobFailedError(
        " | ".join(facts),
        job_id=report.job_id,
        attempt=report.attempt,
        exit_code=report.exit_code,
        reason=reason,
    )


def job_lost(job_id: str) -> JobLostError:
    """Explain a job that AWS Batch does not know any more."""
    reason = "AWS Batch does not know the job any more"
    return JobLostError(
        f"{reason}: job {job_id} ended unseen, or was removed. Submit the task again",
        job_id=job_id,
        attempt=0,
        exit_code=None,
        reason=reason,
    )
