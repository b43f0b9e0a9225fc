"""What AWS answers: jobs read, errors translated."""

from __future__ import annotations

from typing import Any, Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
    SSLError,
)

from scaler_batch.tasks.errors import ServiceError
from scaler_batch.tasks.vocabulary import JobReport, JobStatus

LOG_GROUP: Final = "/aws/batch/job"
"""Where AWS Batch keeps the log of a job whose definition names no group."""

_THROTTLED: Final = frozenset({"TooManyRequestsException", "ThrottlingException", "Throttling", "RequestLimitExceeded"})
_TOO_MANY_REQUESTS: Final = 429
_EXPIRED: Final = frozenset({"ExpiredTokenException", "ExpiredToken", "RequestExpired"})
"""Credentials that the SDK has new ones for by the next call."""
_UNREACHABLE: Final = (ConnectionError, CredentialRetrievalError, MetadataRetrievalError)
"""AWS itself, or where credentials come from."""


def report_of(job: Any) -> JobReport:
    """Read a job as DescribeJobs and ListJobs show it; the latter leaves most out."""
    array = job.get("arrayProperties") or {}
    container = job.get("container") or {}
    options = (container.get("logConfiguration") or {}).get("options") or {}
    return JobReport(
        job_id=job["jobId"],
        status=JobStatus(job["status"]),
        index=array.get("index"),
        failed_children=(array.get("statusSummary") or {}).get("FAILED", 0),
        attempt=len(job.get("attempts") or ()),
        exit_code=container.get("exitCode"),
        reason=container.get("reason", ""),
        status_reason=job.get("statusReason", ""),
        log_stream=container.get("logStreamName", ""),
        log_group=options.get("awslogs-group", LOG_GROUP),
        terminated=bool(job.get("isTerminated") or job.get("isCancelled")),
    )


def is_throttled(error: ClientError | BotoCoreError) -> bool:
    """Whether AWS asks for fewer calls."""
    return isinstance(error, ClientError) and (_status(error) == _TOO_MANY_REQUESTS or _code(error) in _THROTTLED)


def translated(error: ClientError | BotoCoreError) -> ServiceError:
    """Say of an error what a caller needs to know."""
    if isinstance(error, HTTPClientError | SSLError):
        # Sent, as far as we know, and no answer: it may have had its effect all the same.
        return ServiceError(str(error), retryable=True, ambiguous=True)
    if not isinstance(error, ClientError):
        # Never sent: no connection, no credentials, or a parameter that boto3 refuses.
        return ServiceError(str(error), retryable=isinstance(error, _UNREACHABLE))
    code = _code(error)
    failing = _status(error) >= 500 or code == "ServerException"
    again = is_throttled(error) or code in _EXPIRED
    return ServiceError(str(error), retryable=failing or again, ambiguous=failing, code=code)


def _code(error: ClientError) -> str:
    return error.response["Error"].get("Code", "")


def _status(error: ClientError) -> int:
    return error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
