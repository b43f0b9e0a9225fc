"""How many jobs may start now, and when to gather a little longer.

Slots are refilled in portions, since a job that ends by itself would otherwise be replaced by one that starts by
itself, one SubmitJob a task. Nothing waits that could all go, nothing that is urgent, and nothing for long.

Tasks that keep coming are gathered, and the longer they keep coming, the more of them: a stream of any length leaves in
a few submissions. A task that comes by itself does not wait, nor do tasks that come one at a time because whoever sends
them waits for each: the fewer jobs are in flight, the shorter the gathering.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_PORTION: Final = 4
"""Slots are refilled when so many parts of them, one in this many, are free."""


@dataclass(frozen=True, slots=True)
class Room:
    """What there is to start jobs with.

    Attributes:
        slots: Jobs that may be in flight.
        free: Slots that are free.
        wanted: Jobs that would start if all slots were.
        urgent: Whether somebody waits who was given priority.
        waited: Seconds for which free slots have been left free.
        patience: Seconds for which they may be.
    """

    slots: int
    free: int
    wanted: int
    urgent: bool = False
    waited: float = 0.0
    patience: float = 2.0


def may_start(room: Room) -> int:
    """Return how many jobs may start; 0 says to wait for more room."""
    if room.free <= 0 or room.wanted <= 0:
        return 0
    fits = room.wanted <= room.free
    large = room.free * _PORTION >= room.slots
    return room.free if fits or large or room.urgent or room.waited >= room.patience else 0


_SHARE: Final = 0.5
"""Of the time for which tasks have been coming, spent gathering before the next submission."""

_PER_JOB: Final = 0.01
"""Seconds of gathering at most, for each job in flight."""

_LONGEST: Final = 1.0
"""Seconds of gathering at most."""


def gathering(streaming: float, in_flight: int) -> float:
    """Return for how long to gather between two submissions.

    Args:
        streaming: Seconds for which tasks have been coming without a pause.
        in_flight: Jobs that run.
    """
    return min(_SHARE * streaming, _PER_JOB * in_flight, _LONGEST)
