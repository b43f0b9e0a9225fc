"""The clock of a local AWS: it runs evenly, and jumps when it is told to."""

from __future__ import annotations

import time


class Clock:
    """The time of day as it was at the start, and from there on a clock that nobody sets but :meth:`jump`."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()
        self._ahead = 0.0

    @property
    def ahead(self) -> float:
        """Seconds by which it is ahead of the time of day; negative when it is behind."""
        return self._ahead

    def now(self) -> float:
        """Seconds since 1970."""
        return time.monotonic() + self._offset + self._ahead

    def jump(self, seconds: float) -> None:
        """Be so many seconds later, or earlier, at once."""
        self._ahead += seconds
