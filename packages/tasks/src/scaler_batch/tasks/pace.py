"""How long tasks take, learnt from those that have run."""

from __future__ import annotations

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
