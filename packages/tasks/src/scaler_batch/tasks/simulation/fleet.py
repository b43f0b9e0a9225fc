"""Where jobs run in a simulation: slots that come with instances, and go when they are idle."""

from __future__ import annotations

import random
from typing import NamedTuple

from scaler_batch.tasks.simulation.figures import Cloud


class Boot(NamedTuple):
    """An instance that is being started.

    Attributes:
        slots: How many it will have.
        seconds: Until it takes jobs.
    """

    slots: int
    seconds: float


class Fleet:
    """The slots of a compute environment.

    Attributes:
        there: Slots of the instances that are there.
        booting: Slots of those that are being started.
        busy: Slots that jobs hold.
        slot_seconds: Seconds of slots that were paid for.
    """

    def __init__(self, cloud: Cloud, source: random.Random) -> None:
        self._cloud = cloud
        self._random = source
        self._since = 0.0
        self._idle_since = 0.0
        self.there = min(cloud.warm, cloud.slots)
        self.booting = 0
        self.busy = 0
        self.slot_seconds = 0.0

    @property
    def free(self) -> int:
        """Slots without a job."""
        return self.there - self.busy

    def account(self, now: float) -> None:
        """Take note of the time, before anything changes."""
        self.slot_seconds += self.there * (now - self._since)
        self._since = now

    def grow(self, waiting: int) -> list[Boot]:
        """Start instances for jobs that find no slot."""
        cloud, boots = self._cloud, []
        wanted = min(waiting - self.free - self.booting, cloud.slots - self.there - self.booting)
        while wanted > 0:
            slots = min(cloud.machine, cloud.slots - self.there - self.booting)
            # Most are near to the longest, as the mean says.
            seconds = self._random.triangular(*cloud.boot, cloud.boot[1]) + cloud.pull
            boots.append(Boot(slots, seconds))
            self.booting += slots
            wanted -= slots
        return boots

    def arrive(self, slots: int, now: float) -> None:
        """An instance takes jobs from now on."""
        self.account(now)
        self.booting -= slots
        self.there += slots

    def shrink(self, now: float) -> None:
        """Let instances go that have been idle for long."""
        if self.busy:
            self._idle_since = now
        elif now - self._idle_since >= self._cloud.keep and self.there > min(self._cloud.warm, self._cloud.slots):
            self.account(now)
            self.there = min(self._cloud.warm, self._cloud.slots)
