"""The server's own paths, below ``/_scaler_batch/``. They are not calls to AWS, and are not counted.

==========================  =========================================================================
``GET    …/health``         that it answers
``GET    …/counters``       calls so far, as JSON
``DELETE …/counters``       count from nothing again
``POST   …/reset``          end every job, forget every resource, count from nothing again
==========================  =========================================================================
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from .chain import Answer, Call, Proceed

PREFIX: Final = "/_scaler_batch/"
HEALTH: Final = f"{PREFIX}health"
COUNTERS: Final = f"{PREFIX}counters"
RESET: Final = f"{PREFIX}reset"

Action = Callable[[], Mapping[str, Any]]


class ControlLayer:
    """Answers requests to the server itself, and lets all others pass.

    Args:
        actions: What to do, by method and path.
    """

    def __init__(self, actions: Mapping[tuple[str, str], Action]) -> None:
        self._actions = actions

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        """Act, or pass on."""
        path = call.environ.get("PATH_INFO", "")
        if not path.startswith(PREFIX):
            return proceed()
        action = self._actions.get((call.environ.get("REQUEST_METHOD", ""), path))
        if action is None:
            return _json("404 Not Found", {"paths": sorted({path for _, path in self._actions})})
        return _json("200 OK", action())


def _json(status: str, content: Mapping[str, Any]) -> Answer:
    body = json.dumps(content).encode()
    return Answer(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))], [body])
