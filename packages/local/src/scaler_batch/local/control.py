"""Talking to a server about itself: the client of the paths in :mod:`.web.control`.

Each function takes the environment that leads to the server: its address, and the secret that opens these paths.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from .errors import FaultError, NotRunningError
from .faults.reading import Plan, to_json
from .web.control import CLOCK, COUNTERS, FAULTS, RESET, SERVER
from .web.counters import Counters

_SECONDS = 60.0


def process_id(environment: Mapping[str, str]) -> int:
    """The server's process.

    Raises:
        NotRunningError: Nothing answers, or not a server with this key.
    """
    return int(_ask("GET", environment, SERVER)["pid"])


def counters(environment: Mapping[str, str]) -> Counters:
    """The calls that were counted."""
    return Counters(**_ask("GET", environment, COUNTERS))


def reset_counters(environment: Mapping[str, str]) -> None:
    """Count from nothing again."""
    _ask("DELETE", environment, COUNTERS)


def reset(environment: Mapping[str, str]) -> None:
    """End every job, forget every resource, and count from nothing again."""
    _ask("POST", environment, RESET)


def inject(environment: Mapping[str, str], plan: Plan) -> list[int]:
    """Put faults in force. Returns their numbers.

    Raises:
        FaultError: The server does not take them.
    """
    order = {"seed": plan.seed, "faults": [to_json(fault) for fault in plan.faults]}
    return list(_ask("POST", environment, FAULTS, order)["numbers"])


def faults(environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """The faults in force, and how often each has struck."""
    return list(_ask("GET", environment, FAULTS)["faults"])


def remove_faults(environment: Mapping[str, str], numbers: Sequence[int] = ()) -> None:
    """Take these faults back; all of them when none is named.

    Raises:
        FaultError: One of them is not there.
    """
    query = "?" + "&".join(f"number={number}" for number in numbers) if numbers else ""
    _ask("DELETE", environment, FAULTS + query)


def jump_clock(environment: Mapping[str, str], seconds: float) -> None:
    """Have the clock show another time at once.

    Raises:
        FaultError: It is more than ten years.
    """
    _ask("POST", environment, CLOCK, {"seconds": seconds})


def _ask(method: str, environment: Mapping[str, str], path: str, order: object = None) -> dict[str, Any]:
    """Ask without a proxy, whatever the environment says: the server is on this machine."""
    body = None if order is None else json.dumps(order).encode()
    headers = {"Authorization": f"Bearer {environment['AWS_SECRET_ACCESS_KEY']}"}
    address = environment["AWS_ENDPOINT_URL"]
    request = urllib.request.Request(address + path, body, headers, method=method)  # noqa: S310 - http by construction
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_SECONDS) as response:
            return dict(json.load(response))
    except urllib.error.HTTPError as error:
        with error:
            if error.code == HTTPStatus.UNAUTHORIZED:
                raise NotRunningError(f"what answers at {address} was not started with this key") from error
            raise FaultError(json.load(error).get("error", str(error))) from error
    except (urllib.error.URLError, OSError) as error:
        raise NotRunningError(f"nothing answers at {address}: {error}") from error
