"""How fast AWS may be called.

AWS Batch states one rate, 50 SubmitJob a second, and throttles everything else by rates it does not tell. So all calls
share one budget that finds out: every call that AWS serves makes it a little faster, every call that AWS throttles much
slower. That is how TCP finds the width of its way (additive increase, multiplicative decrease).

:class:`AimdRate` is arithmetic on a clock that it is given, :class:`AdaptiveRateLimiter` the waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from scaler_batch.aws.limits import SUBMITS_PER_SECOND

SUBMIT: Final = "SubmitJob"
"""The operation with a rate of its own."""

_TICK: Final = 1e-6
"""Seconds for which nobody waits."""


@dataclass(frozen=True, slots=True)
class RateSettings:
    """Bounds of a rate.

    Attributes:
        highest: Calls a second at most, and to begin with; what eight calls at a time come to anyway.
        lowest: Calls a second however often AWS throttles, so that somebody notices when it no longer does.
        slower: What a throttled call leaves of the rate.
        faster: Calls a second that the rate gains in a second of calling at that rate. Small, because each time too
            much is found out by a call that fails.
        submits: SubmitJob a second at most, whatever the rate. AWS's own limit for an account in a region.
    """

    highest: float = 100.0
    lowest: float = 0.5
    slower: float = 0.5
    faster: float = 1.0
    submits: float = SUBMITS_PER_SECOND

    def __post_init__(self) -> None:
        """Refuse what would stand still or never slow down."""
        if not 0 < self.lowest <= self.highest:
            raise ValueError(f"between {self.lowest} and {self.highest} calls a second: 0 < lowest <= highest")
        if min(self.submits, self.faster) <= 0 or not 0 < self.slower < 1:
            raise ValueError(f"{self}: 0 < submits, 0 < faster, 0 < slower < 1")


class AimdRate:
    """When the next call may go. All moments are seconds on one clock.

    Attributes:
        rate: Calls a second at present.
    """

    def __init__(self, settings: RateSettings) -> None:
        self._settings = settings
        self.rate = settings.highest
        self._next = self._next_submit = self._slowed = float("-inf")

    def wait(self, operation: str, now: float) -> float:
        """Return for how many seconds a call has to wait, as things are now."""
        due = max(self._next, self._next_submit) if operation == SUBMIT else self._next
        # Rounding leaves a rest that a clock may be too coarse to ever see pass.
        return due - now if due - now > _TICK else 0.0

    def spend(self, operation: str, now: float) -> bool:
        """Let a call go out, if it need not wait."""
        if self.wait(operation, now) > 0:
            return False
        self._next = now + 1 / self.rate
        if operation == SUBMIT:
            self._next_submit = now + 1 / self._settings.submits
        return True

    def served(self) -> None:
        """AWS did not throttle a call."""
        self.rate = min(self.rate + self._settings.faster / self.rate, self._settings.highest)

    def throttled(self, sent: float, now: float) -> None:
        """AWS throttled a call that went out at ``sent``.

        Calls that were under way together are throttled together, and say so once.
        """
        if sent < self._slowed:
            return
        self._slowed = now
        self.rate = max(self.rate * self._settings.slower, self._settings.lowest)
        self._next = max(self._next, now + 1 / self.rate)


class AdaptiveRateLimiter:
    """Lets calls through one by one, in the order in which they come.

    Args:
        settings: How fast.
        clock: Seconds that only go forward; the event loop's by default.
    """

    def __init__(self, settings: RateSettings, clock: Callable[[], float] | None = None) -> None:
        self._rate = AimdRate(settings)
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._turn = asyncio.Lock()

    @property
    def rate(self) -> float:
        """Calls a second at present."""
        return self._rate.rate

    async def enter(self, operation: str) -> float:
        """Wait until a call may go out, and return the moment."""
        async with self._turn:
            while True:
                now = self._clock()
                if self._rate.spend(operation, now):
                    return now
                # Not for good: the rate may drop meanwhile.
                await asyncio.sleep(self._rate.wait(operation, now))

    def served(self) -> None:
        """AWS took a call."""
        self._rate.served()

    def throttled(self, sent: float) -> None:
        """AWS throttled a call that was let through at ``sent``."""
        self._rate.throttled(sent, self._clock())
