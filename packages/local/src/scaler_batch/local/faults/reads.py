"""Faults of what DescribeJobs and ListJobs show, and of what bulk operations report of single jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .base import Fault, require

BULK_ERRORS: Final = {
    "ThrottlingException": "Rate exceeded",
    "ServerException": "An internal error occurred",
    "ClientException": "The request failed",
    "ValidationException": "The job identifier is not valid",
    "AccessDenied": "The caller is not authorized to end this job",
}
"""The codes that AWS documents for single jobs, with messages of our own."""


@dataclass(frozen=True)
class SightFault(Fault):
    """A fault of what DescribeJobs and ListJobs show.

    Attributes:
        jobs: Which jobs, by name.
        calls: In which answers: ``batch.DescribeJobs``, ``batch.ListJobs``; both unless one is named.
    """

    jobs: str = "*"
    calls: str = "batch.*"


@dataclass(frozen=True)
class Vanish(SightFault):
    """Jobs are not found any more. ``share`` and ``count`` are about jobs: one that has vanished stays so."""


@dataclass(frozen=True)
class Stale(SightFault):
    """Jobs are shown as they were a while ago, and new ones not at all. ``share`` and ``count`` are about calls.

    Attributes:
        seconds: How long ago.
    """

    seconds: float = 5.0

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        require(self.seconds > 0, "seconds must be above 0")


@dataclass(frozen=True)
class Duplicate(SightFault):
    """Jobs are shown twice in one answer. ``share`` and ``count`` are about calls."""


@dataclass(frozen=True)
class UnknownState(SightFault):
    """Jobs are shown in a state that no model has. ``share`` and ``count`` are about jobs.

    Attributes:
        state: The state that is shown.
    """

    state: str = "HIBERNATING"

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        require(bool(self.state), "state must not be empty")


@dataclass(frozen=True)
class Omit(SightFault):
    """Jobs are shown without fields that AWS's model does not require. ``share`` and ``count`` are about jobs.

    Attributes:
        field: Which ones, by name: ``container``, ``status*``. Required fields stay.
    """

    field: str = "*"


@dataclass(frozen=True)
class BulkError(Fault):
    """TerminateJobs and CancelJobs answer 200 and report an error for single jobs.

    ``share`` and ``count`` are about jobs in requests: a job that is named in three requests counts three times.

    Attributes:
        jobs: Which jobs, by name.
        calls: In which answers: ``batch.TerminateJobs``, ``batch.CancelJobs``.
        code: One of AWS's: ``ThrottlingException``, ``ServerException``, ``ClientException``, ``ValidationException``,
            ``AccessDenied``.
        tries: Fails the first so many requests about each job; None for all of them.
        done: Whether the job is ended nevertheless.
    """

    jobs: str = "*"
    calls: str = "batch.*"
    code: str = "ThrottlingException"
    tries: int | None = None
    done: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        require(self.code in BULK_ERRORS, f"code must be one of {', '.join(BULK_ERRORS)}")
        require(self.tries is None or self.tries >= 1, "tries must be at least 1")
