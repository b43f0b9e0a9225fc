"""From samples to what the tables say: medians, spread, calls, their price at AWS, and how work grows. Pure.

Nothing is thrown away but what did not come to its end, and that is said.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bench.measuring import Sample
from bench.meters import ADAPTER, JOBS
from bench.prices import dollars


@dataclass(frozen=True)
class Summary:
    """All runs of one work by one side.

    Attributes:
        side: Who.
        work: What.
        tasks: Tasks of one run.
        runs: How many came to their end.
        seconds: Wall time: least, median, most.
        cpu: Seconds of processor time of one run by part, medians.
        calls: Calls of one run by operation, adapter and jobs together, medians.
        callers: How many of them each of the two made.
        memory: Peak of the adapter in bytes, the most of all runs.
        trouble: Why a run did not come to its end, where one did not.
    """

    side: str
    work: str
    tasks: int
    runs: int
    seconds: tuple[float, float, float]
    cpu: dict[str, float]
    calls: dict[str, float]
    callers: dict[str, float]
    memory: int
    trouble: str = ""

    @property
    def median(self) -> float:
        """Seconds."""
        return self.seconds[1]

    @property
    def adapter_cpu(self) -> float:
        """Seconds of processor time."""
        return self.cpu.get(ADAPTER, 0.0)

    @property
    def total_calls(self) -> float:
        """Calls of adapter and jobs."""
        return sum(self.calls.values())

    @property
    def dollars_a_million(self) -> float:
        """What S3 would charge for its requests, a million tasks."""
        return dollars(self.calls) / self.tasks * 1e6 if self.tasks else 0.0


def summaries(samples: Sequence[Sample]) -> list[Summary]:
    """One for each side and work, in the order in which works and sides first appear."""
    keys = dict.fromkeys((sample.work, sample.side) for sample in samples)
    works = list(dict.fromkeys(work for work, _ in keys))
    return [
        summary([sample for sample in samples if (sample.work, sample.side) == key])
        for key in sorted(keys, key=lambda key: works.index(key[0]))
    ]


def summary(samples: Sequence[Sample]) -> Summary:
    """Sum up the runs of one work by one side."""
    ended = [sample for sample in samples if sample.seconds is not None]
    times = sorted(sample.seconds for sample in ended if sample.seconds is not None)
    spread = (times[0], statistics.median(times), times[-1]) if times else (0.0, 0.0, 0.0)
    each = [sum((Counter(counts) for counts in sample.calls.values()), Counter[str]()) for sample in ended]
    return Summary(
        samples[0].side,
        samples[0].work,
        samples[0].tasks,
        len(ended),
        spread,
        medians([sample.cpu for sample in ended]),
        medians(each),
        medians([{who: sum(counts.values()) for who, counts in sample.calls.items()} for sample in ended]),
        max((sample.memory for sample in ended), default=0),
        next((sample.trouble for sample in samples if sample.trouble), ""),
    )


def medians(counts: Sequence[dict[str, float] | dict[str, int] | Counter[str]]) -> dict[str, float]:
    """The median of each name; what is not counted is none."""
    names = sorted({name for each in counts for name in each})
    return {name: statistics.median(each.get(name, 0) for each in counts) for name in names}


@dataclass(frozen=True)
class Growth:
    """How something grows with the number of tasks: a straight line through medians.

    Attributes:
        side: Whose.
        seconds: Wall seconds that one more task takes.
        start: Wall seconds that no task would take.
        cpu: Seconds of processor time of the adapter that one more task takes.
        calls: Calls that one more task takes.
        over: The numbers of tasks that the line was drawn through.
    """

    side: str
    seconds: float
    start: float
    cpu: float
    calls: float
    over: tuple[int, ...]


def growth(found: Sequence[Summary]) -> list[Growth]:
    """The growth of each side, over its maps of many sizes; none where there is only one size."""
    maps: dict[str, list[Summary]] = {}
    for each in found:
        if each.work == f"map of {each.tasks:,}" and each.runs:
            maps.setdefault(each.side, []).append(each)
    return [_grown(side, rows) for side, rows in maps.items() if len(rows) > 1]


def _grown(side: str, rows: Sequence[Summary]) -> Growth:
    sizes = [row.tasks for row in rows]
    wall = statistics.linear_regression(sizes, [row.median for row in rows])
    cpu = statistics.linear_regression(sizes, [row.adapter_cpu for row in rows])
    calls = statistics.linear_regression(sizes, [row.total_calls for row in rows])
    return Growth(side, wall.slope, wall.intercept, cpu.slope, calls.slope, tuple(sizes))


def jobs_cpu(row: Summary) -> float:
    """Seconds of processor time of all jobs of a run."""
    return row.cpu.get(JOBS, 0.0)
