"""Waiting with a deadline, and a reason when it is over.

AWS makes, changes and removes most things after it has said yes. Whoever waits passes a probe that says, in words,
what is still missing; the words are shown meanwhile and end up in the error.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from scaler_batch.provision.errors import WaitError

if TYPE_CHECKING:
    from collections.abc import Callable

Probe: TypeAlias = "Callable[[], str | None]"
"""Looks once: ``None`` when all is there, else what is missing."""


def _tell_nobody(_: str) -> None:
    """Wait in silence."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each wait may last, in seconds.

    Attributes:
        ready: For a compute environment or queue to become VALID; usually well under a minute.
        gone: For one to be removed; jobs and instances have to end first.
        propagation: For a change in IAM or S3 to be seen by every part of AWS; AWS gives no signal.
        related: For AWS Batch to forget that a queue that was removed led to a compute environment.
    """

    ready: float = 600
    gone: float = 1200
    propagation: float = 60
    related: float = 120


@dataclass(frozen=True, slots=True)
class Waiter:
    """Looks again and again, less and less often.

    Attributes:
        patience: How long each kind of wait may last.
        notify: Told in words what is being waited for, before each pause.
        clock: Seconds that only grow.
        sleep: Pauses for so many seconds.
        first_pause: Seconds before the second look.
        longest_pause: Seconds that no pause exceeds.
    """

    patience: Patience = field(default_factory=Patience)
    notify: Callable[[str], None] = _tell_nobody
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    first_pause: float = 1.0
    longest_pause: float = 10.0

    def until(self, what: str, probe: Probe, *, seconds: float) -> None:
        """Return once the probe finds nothing missing.

        Args:
            what: What is waited for, as it reads after "waited for".
            probe: Looks once.
            seconds: How long this may last.

        Raises:
            WaitError: Time is over; carries the probe's last words.
        """
        give_up = self.clock() + seconds
        pause = self.first_pause
        while (reason := probe()) is not None:
            left = give_up - self.clock()
            if left <= 0:
                raise WaitError(what, reason=reason, seconds=seconds)
            self.notify(f"{what}: {reason}")
            self.sleep(min(pause, left))
            pause = min(pause * 1.5, self.longest_pause)
