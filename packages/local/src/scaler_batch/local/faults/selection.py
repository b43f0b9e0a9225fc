"""Which of the events that a fault is about it strikes: decided from its seed and what came before, without a clock.

Events of calls come one after another: the n-th takes the n-th number of a row that the seed determines. Jobs are met
again and again and in any order: each takes a number of its own, that the seed and its place in line determine.
"""

from __future__ import annotations

import random
import threading
from collections import Counter

from .base import Fault
from .calls import CallFault, RateLimit

Place = tuple[int, int]
"""A job's place in line: its order, and its index in an array, or -1."""


class Selection:
    """The chances of one injected fault, and the sole owner of how often it has struck. Thread-safe.

    Args:
        fault: The fault.
        since: When it was injected, in seconds of the clock whose readings the other methods get.
        seed: What its chances are drawn from.
    """

    def __init__(self, fault: Fault, since: float, seed: str) -> None:
        self._fault = fault
        self._begin = since + fault.after
        self._seed = seed
        self._random = random.Random(seed)
        self._allowance = Allowance(fault, since) if isinstance(fault, RateLimit) else None
        self._left_to_skip = fault.skip if isinstance(fault, CallFault) else 0
        self._chosen: set[Place] = set()
        self._tries: Counter[Place] = Counter()
        self._lock = threading.Lock()
        self.strikes = 0

    @property
    def exhausted(self) -> bool:
        """Whether it has struck as often as it may."""
        return self._fault.count is not None and self.strikes >= self._fault.count

    def lasts(self, now: float) -> bool:
        """Whether the fault has begun, and has not passed."""
        span = self._fault.span
        return self._begin <= now and (span is None or now < self._begin + span)

    def over(self, now: float) -> bool:
        """Whether it will not strike any more."""
        span = self._fault.span
        return self.exhausted or (span is not None and now >= self._begin + span)

    def strike_call(self, now: float) -> bool:
        """Whether the next event is struck; counted if so."""
        with self._lock:
            return self._strike_call(now)

    def strike_attempt(self) -> bool:
        """Whether the next event is struck, whatever the time; counted if so."""
        with self._lock:
            return self._draw_next()

    def strike_try(self, place: Place, most: int | None, now: float) -> bool:
        """Whether the next event about the job of this place is struck; ``most`` events of each job are at most."""
        with self._lock:
            if most is not None and self._tries[place] >= most:
                return False
            struck = self._strike_call(now)
            self._tries[place] += struck
            return struck

    def strike_job(self, place: Place, now: float) -> bool:
        """Whether the job of this place in line is struck: always the same answer while the fault lasts."""
        with self._lock:
            if not self.lasts(now):
                return False
            if place in self._chosen:
                return True
            if self.exhausted or not self._draws(place):
                return False
            if self._fault.count is not None:
                self._chosen.add(place)
            return self._count(True)

    def _strike_call(self, now: float) -> bool:
        if self.exhausted or not self.lasts(now):
            return False
        if self._allowance is not None and self._allowance.take(now):
            return False
        if self._left_to_skip > 0:
            self._left_to_skip -= 1
            return False
        return self._draw_next()

    def _draw_next(self) -> bool:
        return not self.exhausted and self._count(self._random.random() < self._fault.share)

    def _draws(self, place: Place) -> bool:
        return self._fault.share >= 1 or random.Random(f"{self._seed}/{place}").random() < self._fault.share

    def _count(self, struck: bool) -> bool:
        self.strikes += struck
        return struck


class Allowance:
    """Calls that may still pass: so many a second, saved up to the burst.

    Args:
        limit: The rate and the burst.
        since: When the saving began; the burst was there from the start.
    """

    def __init__(self, limit: RateLimit, since: float) -> None:
        self._rate = limit.per_second
        self._most = float(limit.burst or max(1.0, limit.per_second))
        self._saved = self._most
        self._at = since

    def take(self, now: float) -> bool:
        """Whether one more passes now."""
        self._saved = min(self._most, self._saved + (now - self._at) * self._rate)
        self._at = now
        if self._saved < 1:
            return False
        self._saved -= 1
        return True
