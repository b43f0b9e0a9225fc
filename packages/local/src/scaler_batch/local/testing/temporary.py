"""Temporary credentials as providers hand them out, and the variables that lead an SDK to one provider only."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

KEYS: Final = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"})
"""SDKs look at these before they look at profiles and endpoints."""

EXPIRED: Final = -60.0
"""Seconds from now until credentials expire that have expired already."""


def moment(seconds: float) -> str:
    """The time in so many seconds, as AWS writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def keys_of(environment: Mapping[str, str]) -> tuple[str, str]:
    """The access key in an environment such as :attr:`LocalAWS.environment`: its id and its secret."""
    return environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]


def leading(environment: Mapping[str, str], **variables: str) -> dict[str, str]:
    """The environment with these variables, and without keys."""
    return {**{name: value for name, value in environment.items() if name not in KEYS}, **variables}
