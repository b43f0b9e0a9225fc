"""The user limits of a job (``ulimits``), as a process can set them for itself."""

from __future__ import annotations

import resource
from collections.abc import Iterable, Sequence

UNLIMITED = -1


def number_of(name: str) -> int | None:
    """The kernel's number of a limit such as ``nofile``; None when this machine has no such limit."""
    return getattr(resource, f"RLIMIT_{name.upper()}", None)


def impose(limits: Iterable[Sequence[str | int]]) -> None:
    """Set limits of the calling process. One above what this user may have becomes as high as that.

    Args:
        limits: Name, soft and hard limit of each; names that are not known were sorted out before.
    """
    for name, soft, hard in limits:
        number = number_of(str(name))
        if number is not None:
            allowed = resource.getrlimit(number)[1]
            within = _lower(int(hard), allowed)
            resource.setrlimit(number, (_lower(int(soft), within), within))


def _lower(wanted: int, allowed: int) -> int:
    if allowed == resource.RLIM_INFINITY:
        return resource.RLIM_INFINITY if wanted == UNLIMITED else wanted
    return allowed if wanted == UNLIMITED else min(wanted, allowed)
