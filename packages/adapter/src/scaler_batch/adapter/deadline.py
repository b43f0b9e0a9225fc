"""The time that stopping may take, shared by everything that has to be stopped.

::

    told ───── drain ─────┬───── end jobs, remove objects, give back the lease ─────┬── say goodbye ── close ── exit
                          └─ ENDING, with --on-shutdown drain                       └─ RESERVE

The last part is reserved, whatever the others came to: a scheduler that hears the goodbye gives the tasks to other
workers at once, and not only when it has missed our heartbeats for long enough.
"""

from __future__ import annotations

import asyncio
from typing import Final

RESERVE: Final = 0.3
"""Part of the deadline that is left for saying goodbye, closing connections and ending the process."""

LONGEST_RESERVE: Final = 4.0
"""Seconds."""

ENDING: Final = 0.4
"""Part of the deadline that draining leaves for ending jobs, besides what is reserved."""

LONGEST_ENDING: Final = 25.0
"""Seconds."""

_CLOSING: Final = 0.05
"""Part of the deadline that closing one connection may take."""

_LONGEST_CLOSING: Final = 1.0
"""Seconds."""


class Deadline:
    """When stopping is over. It begins with the first word of stopping, and once.

    Args:
        seconds: How long stopping may take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._begun: float | None = None

    def begin(self) -> None:
        """Take note that stopping has begun, unless it had."""
        if self._begun is None:
            self._begun = asyncio.get_running_loop().time()

    def until_terminating(self) -> float:
        """Seconds until what is not drained has to be ended."""
        return self._left(min(self._seconds * ENDING, LONGEST_ENDING) + reserve(self._seconds))

    def until_goodbye(self) -> float:
        """Seconds until we have to say goodbye."""
        return self._left(reserve(self._seconds))

    def until_over(self) -> float:
        """Seconds until everything has to be closed; half of what is reserved stays for the end of the process."""
        return self._left(reserve(self._seconds) / 2)

    def _left(self, reserved: float) -> float:
        begun = asyncio.get_running_loop().time() if self._begun is None else self._begun
        return max(0.0, begun + self._seconds - reserved - asyncio.get_running_loop().time())


def reserve(seconds: float) -> float:
    """Return how much of a deadline is kept for what comes after the goodbye, and for the goodbye itself."""
    return min(seconds * RESERVE, LONGEST_RESERVE)


def closing(seconds: float) -> float:
    """Return how long one connection may take to close, within a deadline."""
    return min(seconds * _CLOSING, _LONGEST_CLOSING)
