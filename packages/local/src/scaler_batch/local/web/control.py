"""The server's own paths, below ``/_scaler_batch/``. They are not calls to AWS, and are not counted.

All but ``health`` are for whoever knows the secret of the user's access key: ``Authorization: Bearer SECRET``.

============================  ==================================================================================
``GET    …/health``           that it answers
``GET    …/server``           the process id
``GET    …/counters``         calls so far, as JSON
``DELETE …/counters``         count from nothing again
``GET    …/metrics``          calls so far, as Prometheus reads them
``GET    …/faults``           the faults in force, and how often each has struck
``POST   …/faults``           inject faults: ``{"seed": 7, "faults": [{"kind": "Throttle", …}]}``; gives their numbers
``DELETE …/faults?number=N``  take one fault back; without a number, all of them
``POST   …/clock``            jump: ``{"seconds": 3600}``
``POST   …/reset``            end every job, forget every resource, count from nothing again
============================  ==================================================================================
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

from ..errors import LocalError
from .chain import Answer, Call, Proceed

PREFIX: Final = "/_scaler_batch/"
HEALTH: Final = f"{PREFIX}health"
SERVER: Final = f"{PREFIX}server"
COUNTERS: Final = f"{PREFIX}counters"
METRICS: Final = f"{PREFIX}metrics"
FAULTS: Final = f"{PREFIX}faults"
CLOCK: Final = f"{PREFIX}clock"
RESET: Final = f"{PREFIX}reset"


@dataclass(frozen=True)
class Order:
    """What came with a request to the server itself."""

    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Text:
    """An answer that is not JSON."""

    kind: str
    content: bytes


Action = Callable[[Order], Mapping[str, Any] | Text]


class ControlLayer:
    """Answers requests to the server itself, and lets all others pass.

    Args:
        actions: What to do, by method and path. What they raise of this package's errors is the asker's mistake.
    """

    def __init__(self, actions: Mapping[tuple[str, str], Action]) -> None:
        self._actions = actions

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        """Act, or pass on."""
        path = call.environ.get("PATH_INFO", "")
        if not path.startswith(PREFIX):
            return proceed()
        order = Order(parse_qs(str(call.environ.get("QUERY_STRING", ""))), call.environ["wsgi.input"].read())
        action = self._actions.get((call.environ.get("REQUEST_METHOD", ""), path))
        if action is None:
            return _json("404 Not Found", {"paths": sorted({path for _, path in self._actions})})
        try:
            said = action(order)
        except LocalError as error:
            return _json("400 Bad Request", {"error": str(error)})
        return _answer("200 OK", said) if isinstance(said, Text) else _json("200 OK", said)


def _json(status: str, content: Mapping[str, Any]) -> Answer:
    return _answer(status, Text("application/json", json.dumps(content).encode()))


def _answer(status: str, text: Text) -> Answer:
    headers = [("Content-Type", text.kind), ("Content-Length", str(len(text.content)))]
    return Answer(status, headers, [text.content])
