"""How long to wait before the next attempt to connect."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Delays that grow from attempt to attempt, spread so that many peers do not come back at the same moment.

    Attributes:
        first: the longest delay before the second attempt, in seconds.
        growth: the factor from one attempt to the next.
        longest: the longest delay of all, in seconds.
    """

    first: float = 0.1
    growth: float = 2.0
    longest: float = 5.0

    def delay(self, attempt: int, chance: Callable[[], float] = random.random) -> float:
        """Return the seconds to wait after the failure number `attempt`, counted from 1.

        Args:
            attempt: failures in a row so far.
            chance: returns a number between 0 and 1; decides where between half and the whole delay to wait.
        """
        whole = min(self.longest, self.first * self.growth ** min(attempt - 1, 64))
        return whole * (0.5 + chance() / 2)
