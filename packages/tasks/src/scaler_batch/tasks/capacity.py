"""How many jobs may start now.

Slots are refilled in portions, since a job that ends by itself would otherwise be replaced by one that starts by
itself, one SubmitJob a task. Nothing waits that could all go, nothing that is urgent, and nothing for long.
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
    patience: float = 1.0


def may_start(room: Room) -> int:
    """Return how many jobs may start; 0 says to wait for more room."""
    if room.free <= 0 or room.wanted <= 0:
        return 0
    fits = room.wanted <= room.free
    large = room.free * _PORTION >= room.slots
    return room.free if fits or large or room.urgent or room.waited >= room.patience else 0
