"""What is learnt from tasks: how long they take, and whether they keep coming."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_WEIGHT: Final = 0.1
"""Of the latest task, in the running mean."""


class Pace:
    """A running mean of what tasks of one shape took.

    Attributes:
        seconds: The mean; ``None`` before the first task.
    """

    def __init__(self) -> None:
        self.seconds: float | None = None

    def learn(self, seconds: float) -> None:
        """Take note of a task that has run."""
        self.seconds = seconds if self.seconds is None else self.seconds + _WEIGHT * (seconds - self.seconds)


_PAUSE: Final = 0.25
"""Seconds without a task after which the next one begins a new stream."""


class Stream:
    """Whether tasks keep coming, and since when.

    Args:
        clock: Seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = self._latest = -_PAUSE

    def note(self) -> None:
        """Take note of a task that has come."""
        now = self._clock()
        if now - self._latest > _PAUSE:
            self._began = now
        self._latest = now

    @property
    def seconds(self) -> float:
        """For how long tasks have been coming; 0 if there was a pause."""
        now = self._clock()
        return now - self._began if now - self._latest <= _PAUSE else 0.0
