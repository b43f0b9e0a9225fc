"""Talking to a server about itself: the client of the paths in :mod:`.web.control`."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any

from .errors import FaultError, NotRunningError
from .faults.reading import Plan, to_json
from .web.control import CLOCK, COUNTERS, FAULTS, HEALTH, RESET
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


def inject(endpoint_url: str, plan: Plan) -> list[int]:
    """Put faults in force. Returns their numbers.

    Raises:
        FaultError: The server does not take them.
    """
    order = {"seed": plan.seed, "faults": [to_json(fault) for fault in plan.faults]}
    return list(_ask("POST", endpoint_url, FAULTS, order)["numbers"])


def faults(endpoint_url: str) -> list[dict[str, Any]]:
    """The faults in force, and how often each has struck."""
    return list(_ask("GET", endpoint_url, FAULTS)["faults"])


def remove_faults(endpoint_url: str, numbers: Sequence[int] = ()) -> None:
    """Take these faults back; all of them when none is named.

    Raises:
        FaultError: One of them is not there.
    """
    query = "?" + "&".join(f"number={number}" for number in numbers) if numbers else ""
    _ask("DELETE", endpoint_url, FAULTS + query)


def jump_clock(endpoint_url: str, seconds: float) -> None:
    """Have the clock show another time at once.

    Raises:
        FaultError: It is more than ten years.
    """
    _ask("POST", endpoint_url, CLOCK, {"seconds": seconds})


def _ask(method: str, endpoint_url: str, path: str, order: object = None) -> dict[str, Any]:
    """Ask without a proxy, whatever the environment says: the server is on this machine."""
    body = None if order is None else json.dumps(order).encode()
    request = urllib.request.Request(endpoint_url + path, body, method=method)  # noqa: S310 - http by construction
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_SECONDS) as response:
            return dict(json.load(response))
    except urllib.error.HTTPError as error:
        with error:
            raise FaultError(json.load(error).get("error", str(error))) from error
    except (urllib.error.URLError, OSError) as error:
        raise NotRunningError(f"nothing answers at {endpoint_url}: {error}") from error
