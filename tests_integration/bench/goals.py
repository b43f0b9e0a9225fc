"""What the benchmark is to show, and whether it did. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.summary import Summary
from bench.works import IDLE_FOR

OURS, AUTO, THEIRS, ALONE = "ours", "ours, bundled", "upstream", "Scaler alone"
LITHOPS, LITHOPS_BUNDLED = "lithops", "lithops, bundled"
SPAWNED_SIDE = ", new interpreter"
"""Ends the name of a side whose jobs each start an interpreter; compared with its like."""


@dataclass(frozen=True)
class Goal:
    """One of them.

    Attributes:
        what: In words.
        wanted: The figure to reach.
        found: The figure that was reached.
        at_least: Whether more is better.
        unit: Of both.
    """

    what: str
    wanted: float
    found: float
    at_least: bool
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether it was reached."""
        return self.found >= self.wanted if self.at_least else self.found <= self.wanted


class Table:
    """Summaries by work and side."""

    def __init__(self, found: Sequence[Summary]) -> None:
        self._found = {(row.work, row.side): row for row in found if row.runs}

    def row(self, work: str, side: str) -> Summary | None:
        """One of them."""
        return self._found.get((work, side))

    def faster(self, work: str, slow: str, fast: str) -> float | None:
        """How many times as long one side takes as another."""
        one, other = self.row(work, slow), self.row(work, fast)
        return one.median / other.median if one and other and other.median else None


def goals(found: Sequence[Summary]) -> list[Goal]:
    """All that can be judged with what was measured."""
    return [*_times(Table(found)), *_counts(Table(found))]


def _times(table: Table) -> Iterator[Goal]:
    wanted = [
        ("one task, faster than upstream", "one task", THEIRS, OURS, 8.0, True),
        ("map of 1,000, one task a job, faster than upstream", "map of 1,000", THEIRS, OURS, 5.0, True),
        (
            "map of 100, one task a job, a new interpreter for each, faster than upstream",
            "map of 100",
            THEIRS + SPAWNED_SIDE,
            OURS + SPAWNED_SIDE,
            5.0,
            True,
        ),
        ("map of 1,000, bundled, faster than upstream", "map of 1,000", THEIRS, AUTO, 15.0, True),
        ("map of 1,000, bundled, beside Scaler alone", "map of 1,000", AUTO, ALONE, 1.5, False),
        ("argument of 50 MB, faster than upstream", "argument of 50 MB", THEIRS, OURS, 3.0, True),
        ("result of 50 MB, faster than upstream", "result of 50 MB", THEIRS, OURS, 3.0, True),
    ]
    for what, work, slow, fast, figure, at_least in wanted:
        if (ratio := table.faster(work, slow, fast)) is not None:
            yield Goal(what, figure, ratio, at_least, " times")


def _counts(table: Table) -> Iterator[Goal]:
    ours, auto, theirs = (table.row("map of 1,000", side) for side in (OURS, AUTO, THEIRS))
    if ours:
        yield Goal("map of 1,000, one task a job, calls", 2150, ours.total_calls, False)
    if auto:
        yield Goal("map of 1,000, bundled, calls", 130, auto.total_calls, False)
    if ours and theirs:
        share = ours.adapter_cpu / theirs.adapter_cpu * 100
        yield Goal("map of 1,000, processor time of the adapter, of upstream's", 10, share, False, " %")
    if idle := table.row(f"idle for {IDLE_FOR:.0f} s", OURS):
        yield Goal("idle adapter, of a core", 0.5, idle.adapter_cpu / idle.median * 100, False, " %")
