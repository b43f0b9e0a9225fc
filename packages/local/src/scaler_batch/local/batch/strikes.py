"""What can happen to running attempts from outside, at a moment: something that Batch did not ask for."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass

from .job import Job
from .vocabulary import Ending


@dataclass(frozen=True, slots=True)
class Strike:
    """A signal to the processes of some running attempts.

    Attributes:
        chosen: Asked once for each job that runs, in the order of submission.
        signal: What is sent to its processes.
        fate: How their attempts are seen to have ended; None for what the processes end with. An attempt that still
            succeeds in time has succeeded.
        grace: Seconds until they are killed, where there is a fate; None for the grace of other stops.
    """

    chosen: Callable[[Job], bool]
    signal: int = int(signal.SIGTERM)
    fate: Ending | None = None
    grace: float | None = None

    def notice(self, otherwise: float) -> float:
        """Seconds from the signal to the end; ``otherwise`` is the grace of other stops."""
        return otherwise if self.grace is None else self.grace
