"""Everything that is shown, as grids of words: for the terminal and for the page alike. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bench.goals import SPAWNED_SIDE, THEIRS, Goal, Table
from bench.limits import PUBLISHED, Rate
from bench.recovery import PATIENCE_OF_SCHEDULER, Recovery
from bench.results import Memory, Results
from bench.summary import Growth, Summary, jobs_cpu

NONE = "-"


@dataclass(frozen=True)
class Grid:
    """A table.

    Attributes:
        title: Above it.
        head: Names of the columns.
        rows: Cells, as many as there are columns.
    """

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def aims(found: Iterable[Goal]) -> Grid:
    """What was to be shown."""
    rows = [
        (
            goal.what,
            f"{'at least' if goal.at_least else 'at most'} {goal.wanted:,g}{goal.unit}",
            f"{goal.found:,.4g}{goal.unit}" if goal.unit else f"{goal.found:,.0f}",
            "yes" if goal.met else "no",
        )
        for goal in found
    ]
    return Grid("What it is to show", ("figure", "wanted", "found", "met"), rows)


def works(found: Sequence[Summary]) -> Grid:
    """Wall time, processor time, calls and memory of every row."""
    head = ("work", "side", "median s", "least, most s", "runs", "upstream ÷ this", "adapter CPU s", "jobs CPU s")
    more = ("other CPU s", "calls", "S3 $ a million tasks", "adapter MB")
    table = Table(found)
    return Grid("Rows", (*head, *more), [_work(row, table) for row in found])


def _work(row: Summary, table: Table) -> tuple[str, ...]:
    if not row.runs:
        return (row.work, row.side, row.trouble, *[NONE] * 9)
    idle = row.tasks == 0
    peer = THEIRS + row.side.removeprefix(row.side.partition(SPAWNED_SIDE)[0])
    ratio = None if idle else table.faster(row.work, peer, row.side)
    others = sum(row.cpu.values()) - row.adapter_cpu - jobs_cpu(row)
    return (
        row.work,
        row.side,
        f"{row.median:.3f}",
        f"{row.seconds[0]:.3f}, {row.seconds[2]:.3f}",
        f"{row.runs}",
        f"{ratio:.1f}" if ratio else NONE,
        f"{row.adapter_cpu:.2f}",
        f"{jobs_cpu(row):.2f}",
        f"{others:.2f}",
        f"{row.total_calls:,.0f}" if row.calls or row.callers else NONE,
        f"{row.dollars_a_million:.2f}" if row.calls else NONE,
        f"{row.memory / 1e6:.0f}",
    )


def operations(found: Sequence[Summary], work: str) -> Grid:
    """Calls by operation, of one row."""
    rows = [row for row in found if row.work == work and row.calls]
    names = sorted({name for row in rows for name in row.calls})
    cells = [(name, *(f"{row.calls.get(name, 0):,.0f}" for row in rows)) for name in names]
    makers = [(f"made by {who}", *(f"{row.callers.get(who, 0):,.0f}" for row in rows)) for who in ("adapter", "jobs")]
    total = ("all", *(f"{row.total_calls:,.0f}" for row in rows))
    return Grid(f"Calls of a {work}", ("operation", *(row.side for row in rows)), [*cells, *makers, total])


def growths(found: Sequence[Growth]) -> Grid:
    """What one more task takes."""
    rows = [
        (
            each.side,
            f"{each.seconds * 1000:.2f}",
            f"{each.cpu * 1000:.2f}",
            f"{each.calls:.2f}",
            ", ".join(f"{size:,}" for size in each.over),
        )
        for each in found
    ]
    return Grid("One more task", ("side", "wall ms", "adapter CPU ms", "calls", "line through maps of"), rows)


def recoveries(found: Sequence[Recovery]) -> Grid:
    """After the adapter was killed."""
    head = ("side", "first answer after s", "last answer after s", "answered")
    rows = [
        (each.side, _seconds(each.first), _seconds(each.last), f"{each.answered} of {each.tasks}") for each in found
    ]
    title = f"Adapter killed and started again, tasks under way, scheduler's patience {PATIENCE_OF_SCHEDULER} s"
    return Grid(title, head, rows)


def memories(found: Sequence[Memory]) -> Grid:
    """Our adapter's memory over many tasks."""
    rows = [(f"{each.tasks:,}", f"{each.resident / 1e6:.1f}") for each in found]
    return Grid("Memory of our adapter", ("tasks so far", "resident MB"), rows)


def pieces(results: Results) -> Iterator[Grid]:
    """What single parts cost."""
    yield Grid(
        "A job with one call as a process of its own, processor time",
        ("function", "ours ms", "least script with boto3 ms", "ratio"),
        [
            (cost.function, f"{statistics.median(cost.ours):.0f}", f"{statistics.median(cost.boto3):.0f}",
             f"{cost.ratio:.2f}")
            for cost in results.startup
        ],
    )  # fmt: skip
    yield Grid(
        "Writing and reading payloads, processor time",
        ("payload", "ours ms", "upstream's ms", "upstream ÷ ours", "our bytes", "upstream's bytes"),
        [
            (cost.payload, f"{cost.ours:.2f}", f"{cost.theirs:.2f}", f"{cost.theirs / cost.ours:.1f}",
             f"{cost.our_bytes:,}", f"{cost.their_bytes:,}")
            for cost in results.payload
        ],
    )  # fmt: skip
    if results.authentication:
        yield Grid(
            "Hashes and signatures, processor time",
            ("work", "with ms", "without ms", "added ms", "added %", "wanted", "met"),
            [
                (cost.work, f"{min(cost.checked):.1f}", f"{min(cost.unchecked):.1f}",
                 f"{cost.added:.2f}", f"{100 * cost.part:.2f}",
                 f"at most {100 * cost.most_added:g} %" if cost.is_part else f"at most {cost.most_added:g} ms",
                 "yes" if cost.is_good else "no")
                for cost in results.authentication
            ],
        )  # fmt: skip
    yield Grid(
        "Wire codec, processor time",
        ("message", "work", "ours µs", "published µs", "published ÷ ours"),
        [
            (cost.message, cost.work, f"{cost.ours:.1f}", f"{cost.theirs:.1f}", f"{cost.theirs / cost.ours:.1f}")
            for cost in results.codec
        ],
    )
    yield Grid(
        "A connected worker without tasks",
        ("transport", "% of a core"),
        [(each.transport, f"{each.percent:.3f}") for each in results.link],
    )


def limits(found: Sequence[Rate]) -> Grid:
    """What the surroundings allow."""
    here = [(f"{each.request}, local AWS, a second", f"{each.a_second:,.0f}", "measured here") for each in found]
    published = [(name, f"{figure:,.0f}", "published by AWS") for name, figure in PUBLISHED.items()]
    return Grid("Limits", ("what", "figure", "source"), [*here, *published])


def _seconds(value: float | None) -> str:
    return NONE if value is None else f"{value:.1f}"
