"""What all faults have: how often and for how long. Patterns are those of file names: ``*`` stands for any text."""

from __future__ import annotations

from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from math import isfinite

from ..errors import FaultError


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What all faults have.

    Attributes:
        share: Of the events that a fault is about, how many it strikes: 1 is all of them, 0.1 every tenth. Which ones
            is drawn from the seed, so the same events are struck when a run is repeated.
        count: After this many the fault is over; None for no such end.
        after: Seconds from its injection until it begins.
        span: Seconds that it lasts; None for ever.

    Raises:
        FaultError: A value is out of its range.
    """

    share: float = 1.0
    count: int | None = None
    after: float = 0.0
    span: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for each in fields(self):
            check_type(each.name, getattr(self, each.name), str(each.type))
        require(0 < self.share <= 1, "share must be above 0, and 1 at most")
        require(self.count is None or self.count >= 1, "count must be at least 1")
        require(self.after >= 0, "after must not be negative")
        require(self.span is None or self.span > 0, "span must be above 0")


def fits(text: str, pattern: str) -> bool:
    """Whether a text is one that a pattern stands for."""
    return fnmatchcase(text, pattern)


_TYPES: dict[str, type | tuple[type, ...]] = {"str": str, "int": int, "bool": bool, "float": (int, float)}


def check_type(name: str, value: object, annotation: str) -> None:
    """Values come from files and requests, so they may be anything."""
    kind, _, optional = annotation.partition(" | ")
    if optional and value is None:
        return
    good = isinstance(value, _TYPES[kind]) and (kind == "bool" or not isinstance(value, bool))
    require(good, f"{name} must be of type {kind}")
    require(not isinstance(value, float) or isfinite(value), f"{name} must be finite")


def require(condition: bool, otherwise: str) -> None:
    """Refuse a value unless the condition is met."""
    if not condition:
        raise FaultError(otherwise)
