"""Talking to a server about itself: the client of the paths in :mod:`.web.control`."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from .errors import NotRunningError
from .web.control import COUNTERS, HEALTH, RESET
from .web.counters import Counters

_SECONDS = 60.0


def health(endpoint_url: str) -> dict[str, Any]:
    """That it answers.

    Raises:
        NotRunningError: It does not.
    """
    return _ask("GET", endpoint_url, HEALTH)


def counters(endpoint_url: str) -> Counters:
    """The calls that were counted."""
    return Counters(**_ask("GET", endpoint_url, COUNTERS))


def reset_counters(endpoint_url: str) -> None:
    """Count from nothing again."""
    _ask("DELETE", endpoint_url, COUNTERS)


def reset(endpoint_url: str) -> None:
    """End every job, forget every resource, and count from nothing again."""
    _ask("POST", endpoint_url, RESET)


def _ask(method: str, endpoint_url: str, path: str) -> dict[str, Any]:
    """Ask without a proxy, whatever the environment says: the server is on this machine."""
    request = urllib.request.Request(endpoint_url + path, method=method)  # noqa: S310 - http by construction
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_SECONDS) as response:
            return dict(json.load(response))
    except (urllib.error.URLError, OSError) as error:
        raise NotRunningError(f"nothing answers at {endpoint_url}: {error}") from error
