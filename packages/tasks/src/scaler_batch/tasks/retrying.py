"""When to try a call again. Randomness and time come from outside; nothing here waits."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with full jitter.

    Attributes:
        first: Seconds that the first wait takes at most.
        longest: Seconds that any wait takes at most.
        within: Seconds of waiting, all together, after which to give up. AWS's throttling lasts seconds, an outage of
            its service minutes; tasks are cheaper to hold than to lose.
    """

    first: float = 0.1
    longest: float = 20.0
    within: float = 300.0

    def waits(self, jitter: Callable[[float, float], float] = random.uniform) -> Iterator[float]:
        """Yield seconds to wait before each further try, until it is time to give up."""
        ceiling, spent = self.first, 0.0
        while spent < self.within:
            # At least half: a wait of nothing would turn an outage into a storm of our own.
            wait = jitter(ceiling / 2, ceiling)
            yield wait
            spent += wait
            ceiling = min(ceiling * 2, self.longest)
