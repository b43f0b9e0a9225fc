"""What Batch refuses, and the one table of its numbers.

Where AWS's own text is known it is used; a text that begins with "Error executing request" is AWS's form for what its
scheduler finds wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ..errors import ApiError

SUBMIT_BYTES: Final = 30 * 1024
DEFINITION_BYTES: Final = 24 * 1024
DESCRIBED_JOBS: Final = 100
BULK_JOBS: Final = 50
ARRAY_SIZES: Final = range(2, 10_001)
ATTEMPTS: Final = range(1, 11)
EXIT_RULES: Final = 5
DEPENDENCIES: Final = 20
TAGS: Final = 50
REASON_CHARACTERS: Final = 1024
SECONDS: Final = 60
LEAST_MEMORY: Final = 4
"""MiB."""

SCHEDULING_PRIORITIES: Final = range(10_000)

NO_SHARE: Final = "shareIdentifier must be specified."
"""As boto/boto3#3158 shows it."""

NO_PRIORITY: Final = "Either schedulingPriority in job definition or schedulingPriorityOverride should be specified."
"""As nextflow-io/nextflow pull request 3505 shows it."""

NO_FAIR_SHARE: Final = (
    "Job with shareIdentifier or schedulingPriority can only be submitted "
    "to job queue with fair share scheduling policy"
)
"""As users report it."""

_SHARE = re.compile(r"[A-Za-z0-9]{1,255}\*?")
_JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_DEFINITION_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")


def refuse(message: str) -> ApiError:
    """The error for a request that AWS's scheduler turns down."""
    return ApiError(f"Error executing request, Exception : {message}")


def check_job_name(name: object) -> str:
    """A job's name: letters, digits, hyphens, underscores; 128 at most; a letter or digit first."""
    if not isinstance(name, str) or not _JOB_NAME.fullmatch(name):
        raise ApiError("Job name should match valid pattern")
    return name


def check_definition_name(name: object) -> None:
    """A job definition's name: letters, digits, hyphens, underscores; 128 at most."""
    if not isinstance(name, str) or not _DEFINITION_NAME.fullmatch(name):
        raise ApiError("Job definition name should match valid pattern")


def check_size(body: bytes, limit: int, what: str) -> None:
    """A request may have so many bytes."""
    if len(body) > limit:
        raise refuse(f"{what} has {len(body)} bytes, and at most {limit} are allowed.")


def check_array_size(properties: Mapping[str, Any] | None) -> int | None:
    """The size of an array job, or None when it is none."""
    size = (properties or {}).get("size")
    if size is None:
        return None
    if not _is_integer(size) or size not in ARRAY_SIZES:
        raise refuse(f"Array size must be between {ARRAY_SIZES.start} and {ARRAY_SIZES.stop - 1}.")
    return int(size)


def check_timeout(timeout: Mapping[str, Any] | None, minimum: int) -> int | None:
    """A timeout in seconds, or None."""
    seconds = (timeout or {}).get("attemptDurationSeconds")
    if seconds is None:
        return None
    if not _is_integer(seconds) or seconds < minimum:
        raise refuse(f"attemptDurationSeconds must be at least {minimum}.")
    return int(seconds)


def check_tags(tags: Mapping[str, str] | None) -> dict[str, str]:
    """Tags of a job or a definition: 50 at most."""
    if tags and len(tags) > TAGS:
        raise refuse(f"At most {TAGS} tags are allowed.")
    return dict(tags or {})


def check_share(share: object) -> str:
    """A share identifier: 255 letters and digits at most, and maybe an asterisk."""
    if not isinstance(share, str) or not _SHARE.fullmatch(share):
        raise refuse("shareIdentifier must have 1 to 255 letters and digits.")
    return share


def check_priority(priority: object) -> int:
    """A scheduling priority."""
    if not _is_integer(priority) or priority not in SCHEDULING_PRIORITIES:
        raise refuse(f"Scheduling priority must be between 0 and {SCHEDULING_PRIORITIES.stop - 1}.")
    return int(str(priority))


def check_reason(reason: object) -> str:
    """Why a job is to be cancelled or terminated."""
    if not isinstance(reason, str) or not reason:
        raise ApiError("'reason' is a required field (cannot be an empty string)")
    return reason[:REASON_CHARACTERS]


def check_ids(ids: object, limit: int) -> list[str]:
    """A list of job ids of bounded length."""
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise ApiError("'jobs' must be a list of job ids")
    if len(ids) > limit:
        raise ApiError(f"At most {limit} jobs can be named in one request; there are {len(ids)}")
    return ids


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
