"""Simulate the task manager against a model of AWS, and write what that shows into `docs/benchmarks`.

    python tests_integration/simulate.py [--tasks 10000 1000000] [--slots 100 1000 10000]
    python tests_integration/simulate.py --publish

Every workload on every number of slots: one task a job, bundled, and upstream's rules. Nothing here is measured; the
model's figures and their sources are in `scaler_batch.tasks.simulation.Cloud`. What is published goes up to ten
million tasks, which takes half an hour and 7 GB.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from scaler_batch.tasks import TaskManagerSettings
from scaler_batch.tasks.simulation import WORKLOADS, Cloud, Report, simulate, simulate_upstream

FOLDER = Path(__file__).parents[1] / "docs" / "benchmarks"

SIDES = ("ours", "ours, bundled", "upstream's rules")

Plan = Sequence[tuple[int, Sequence[int], Sequence[str]]]
"""Numbers of tasks, each with the numbers of slots and the workloads to simulate."""

PUBLISHED: Plan = (
    (10_000, (100, 1000), tuple(WORKLOADS)),
    (1_000_000, (10_000,), tuple(WORKLOADS)),
    (10_000_000, (10_000,), tuple(WORKLOADS)[:1]),
)
"""What the page shows."""

UPSTREAM_LIMIT = 100_000
"""Tasks above which upstream's rules are left out: one request after another, they take days of virtual time."""

INTRODUCTION = """# At AWS, simulated

Nobody has run this on an account. It is the task manager's own state on virtual time, against a model of AWS;
upstream's rules run against the same model. Times are seconds until the last answer, latencies those of single tasks
from arrival to answer; *idle* is the part of the slots' time in which no task ran, which with one task a job is mostly
the start of containers. `nox -s simulate -- --publish` writes this page.

"""


class Row(NamedTuple):
    """One simulation.

    Attributes:
        side: Who decides.
        slots: Jobs that may run at once.
        report: What it has shown.
        taken: Seconds of processor time that it took.
    """

    side: str
    slots: int
    report: Report
    taken: float


def main() -> None:
    """Simulate what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, nargs="+", default=[10_000], help="how many tasks (default: 10000)")
    parser.add_argument("--slots", type=int, nargs="+", default=[100, 1000], help="how many slots (default: 100 1000)")
    parser.add_argument("--workloads", nargs="+", default=list(WORKLOADS), choices=list(WORKLOADS))
    parser.add_argument(
        "--publish", action="store_true", help="simulate what the page in docs/benchmarks shows, and write it"
    )
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    rows: list[Row] = []
    chosen = [(tasks, options.slots, options.workloads) for tasks in options.tasks]
    for row in simulated(PUBLISHED if options.publish else chosen):
        print(line(row), flush=True)
        rows.append(row)
    if options.publish:
        publish(rows)


def simulated(plan: Plan) -> Iterator[Row]:
    """Every workload on every number of slots, by everybody."""
    for tasks, slots, workloads in plan:
        for name in workloads:
            for number in slots:
                for side in SIDES:
                    if side != SIDES[2] or tasks <= UPSTREAM_LIMIT:
                        yield one(side, name, tasks, number)


def one(side: str, workload: str, tasks: int, slots: int) -> Row:
    """Simulate one side; results are fetched by more transfers where there are many slots."""
    work = WORKLOADS[workload](tasks)
    settings = TaskManagerSettings(
        "queue",
        "definition",
        max_concurrent_jobs=slots,
        tasks_per_job="auto" if side == SIDES[1] else 1,
        transfers=max(16, slots // 40),
    )
    started = time.process_time()
    run = simulate_upstream if side == SIDES[2] else simulate
    report = run(work, settings, Cloud(slots=slots, warm=slots))
    return Row(side, slots, report, time.process_time() - started)


COLUMNS = (
    "workload", "tasks", "slots", "side", "seconds", "P50", "P99", "calls of AWS Batch", "requests to S3", "$ slots",
    "$ S3", "idle",
)  # fmt: skip


def cells(row: Row) -> list[str]:
    """One line of the table."""
    report = row.report
    batch = sum(count for name, count in report.calls.items() if "Job" in name)
    s3 = sum(report.calls.values()) - batch
    return [
        report.workload, f"{report.tasks:,}", f"{row.slots:,}", row.side, f"{report.seconds:,.0f}",
        f"{report.median:,.1f}", f"{report.slowest:,.1f}", f"{batch:,}", f"{s3:,}", f"{report.compute:,.2f}",
        f"{report.requests:,.2f}", f"{report.idle:.0%}",
    ]  # fmt: skip


def line(row: Row) -> str:
    """One simulation for people at a terminal."""
    return "  ".join(cells(row)) + f"  (simulated in {row.taken:.1f} s)"


def publish(rows: Sequence[Row]) -> None:
    """Write the page, and the picture beside it."""
    table = [COLUMNS, ["---"] * len(COLUMNS), *map(cells, rows)]
    text = "\n".join(f"| {' | '.join(each)} |" for each in table)
    picture = "\n\n![Seconds until the last answer, by workload](simulation.svg)\n"
    (FOLDER / "simulation.md").write_text(f"{INTRODUCTION}{text}{picture}")
    draw(rows, FOLDER / "simulation.svg")


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw the seconds of each side, workload by workload, for the fewest tasks on the most slots."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    tasks = min(row.report.tasks for row in rows)
    slots = max(row.slots for row in rows if row.report.tasks == tasks)
    shown = [row for row in rows if (row.report.tasks, row.slots) == (tasks, slots)]
    names = list(dict.fromkeys(row.report.workload for row in shown))
    with mpl.rc_context({"svg.hashsalt": "scaler-batch", "svg.fonttype": "path", "font.size": 9}):
        figure = Figure(figsize=(7, 3), layout="constrained")
        axes = figure.subplots()
        for offset, side in enumerate(SIDES):
            seconds = [row.report.seconds for row in shown if row.side == side]
            axes.bar([place + 0.27 * offset for place in range(len(seconds))], seconds, 0.25, label=side)
        axes.set_xticks([place + 0.27 for place in range(len(names))], names)
        axes.set_yscale("log")
        axes.set_ylabel(f"seconds, {tasks:,} tasks on {slots:,} slots")
        axes.legend()
        figure.savefig(path, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))


if __name__ == "__main__":
    main()
