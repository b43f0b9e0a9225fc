"""The benchmark: the same work through the adapter that Scaler ships and through ours, in one run.

::

    plan ─► measuring (rounds of sides) ─► results ─► tables, plots, page

``quick`` takes a few minutes and a few rows. ``--publish`` writes a page of the documentation. Figures of an earlier
run are shown, or published, without measuring anything by ``--from FILE``. ``--against REV`` measures another commit of
ours beside this one, and nothing else.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

import lithops_peer
from authentication_costs import authentication_costs
from bench import against, sides, tables, works
from bench.goals import AUTO, LITHOPS, LITHOPS_BUNDLED, OURS, SPAWNED_SIDE, THEIRS, goals
from bench.limits import rates
from bench.measuring import Plan, Sample, connected, rounds
from bench.meters import Meter
from bench.recovery import Recovery, recovery
from bench.results import Memory, Results, machine, read
from bench.sides import SPAWNED, Side
from bench.summary import growth, summaries
from bench.works import KB, MB, Work
from payload_costs import payload_costs
from stack import Stack
from startup_costs import startup_costs
from upstream import start_worker_manager, warm_python
from wire_costs import codec_costs, idle_costs

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks"
BUNDLED = ("--tasks-per-job", "auto")


def plan(quick: bool, warm: Path) -> Plan:
    """Who does what, how often, in one round."""
    few: list[tuple[Work, int]] = [(works.idle(), 1), (works.one_task(), 3 if quick else 5), (works.map_of(100), 1)]
    if quick:
        return [(sides.theirs(THEIRS, warm), few), *((side, few) for side in _others())]
    thousand = [*few, (works.map_of(1000), 1)]
    sizes = [(way(size), 2) for way in (works.argument, works.result) for size in (KB, 100 * KB, 50 * MB)]
    everything = [*thousand, (works.mixed(), 1), *sizes]
    ours, bundled, alone = _others()
    return [
        (sides.theirs(THEIRS, warm), everything),
        (ours, everything),
        (bundled, [*thousand, (works.mixed(), 1)]),
        (alone, thousand),
    ]


def once(quick: bool, largest: int, warm: Path) -> Plan:
    """What is measured in a single round: rows that take long, and say the same each time.

    Upstream's largest map is smaller, since a tenth of a second a task would keep it for a quarter of an hour.
    """
    if quick:
        return []
    spawned: list[tuple[Work, int]] = [(works.one_task(), 3), (works.map_of(100), 1)]
    largest_map = [(works.map_of(largest), 1)]
    ours, bundled, alone = _others()
    return [
        (sides.theirs(THEIRS + SPAWNED_SIDE, local=SPAWNED), spawned),
        (sides.ours(OURS + SPAWNED_SIDE, local=SPAWNED), spawned),
        (sides.ours(AUTO + SPAWNED_SIDE, BUNDLED, SPAWNED), spawned),
        *((side, spawned) for side in peers()),
        (sides.theirs(THEIRS, warm), [(works.map_of(largest * 3 // 10), 1)]),
        (ours, largest_map),
        (bundled, largest_map),
        (alone, largest_map),
    ]


def peers() -> list[Side]:
    """Others that bring their own client, where they are installed: with a job for each task, and with one a slot."""
    if not lithops_peer.installed():
        return []
    return [
        sides.lithops(LITHOPS + SPAWNED_SIDE, 1000, SPAWNED),
        sides.lithops(LITHOPS_BUNDLED + SPAWNED_SIDE, sides.SLOTS, SPAWNED),
    ]


def _others() -> tuple[Side, Side, Side]:
    return sides.ours(OURS), sides.ours(AUTO, BUNDLED), sides.alone()


def compared(revision: str, quick: bool, count: int) -> Results:
    """Measure another commit of ours beside this one, one task a job and bundled."""
    few: list[tuple[Work, int]] = [(works.idle(), 1), (works.one_task(), 5), (works.map_of(100), 3)]
    todo = few if quick else [*few, (works.map_of(1000), 1)]
    with tempfile.TemporaryDirectory() as folder:
        there = against.installed(revision, Path(folder))
        ours, bundled, _ = _others()
        theirs = [against.before(f"{OURS}, {revision}", there), against.before(f"{AUTO}, {revision}", there, BUNDLED)]
        plan: Plan = [(side, todo) for side in (theirs[0], ours, theirs[1], bundled)]
        return Results(machine=machine(), samples=list(rounds(plan, count)))


def recoveries(quick: bool, warm: Path) -> list[Recovery]:
    """Kill both adapters."""
    if quick:
        return []
    return [
        recovery(sides.theirs(THEIRS, warm), start_worker_manager),
        recovery(sides.ours(OURS), Stack.start_adapter),
    ]


def memory_over(maps: int, size: int) -> list[Memory]:
    """Watch our adapter's memory over many tasks."""
    side, found = sides.ours(AUTO, BUNDLED), []
    with Stack(side.options) as stack:
        side.start(stack)
        with connected(stack) as client:
            for number in range(1, maps + 1):
                works.map_of(size).run(client)
                found.append(Memory(number * size, Meter(stack).memory()))
                print(f"memory after {found[-1].tasks:,} tasks", file=sys.stderr, flush=True)
    return found


def measured(quick: bool, count: int, largest: int, most: int) -> Results:
    """Measure everything."""
    about = machine()
    with tempfile.TemporaryDirectory() as folder:
        warm = warm_python(Path(folder) / "python")
        samples: list[Sample] = [*rounds(plan(quick, warm), count), *rounds(once(quick, largest, warm), 1)]
        recovered = recoveries(quick, warm)
    return Results(
        machine=about,
        samples=samples,
        recovery=recovered,
        memory=memory_over(*((10, most // 10) if not quick else (2, 100))),
        startup=startup_costs(3 if quick else 15),
        payload=payload_costs(2 if quick else 5),
        codec=codec_costs(),
        link=idle_costs(5.0 if quick else 20.0),
        rates=rates(200 if quick else 1000),
        authentication=authentication_costs(3 if quick else 15),
    )


def show(results: Results, console: Console) -> None:
    """Print the tables."""
    found = summaries(results.samples)
    console.print(", ".join(f"{name} {fact}" for name, fact in results.machine.items()))
    for grid in (
        tables.aims(goals(found)),
        tables.works(found),
        tables.operations(found, "map of 1,000" if any(row.tasks == 1000 for row in found) else "map of 100"),
        tables.growths(growth(found)),
        tables.recoveries(results.recovery),
        tables.memories(results.memory),
        *tables.pieces(results),
        tables.limits(results.rates),
    ):
        if grid.rows:
            table = Table(*grid.head, title=grid.title, title_justify="left")
            for row in grid.rows:
                table.add_row(*row)
            console.print(table)


def main() -> int:
    """Measure, print the tables, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("quick", nargs="?", choices=["quick"], help="few rows, one round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of all sides (default: %(default)s)")
    parser.add_argument("--largest", type=int, default=10_000, help="tasks of the largest map (default: %(default)s)")
    parser.add_argument("--tasks", type=int, default=100_000, help="tasks to watch memory over (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="write everything that was measured as JSON to this file, too")
    parser.add_argument("--from", type=Path, dest="earlier", metavar="FILE", help="measure nothing; take such a file")
    parser.add_argument("--publish", type=Path, nargs="?", const=PAGE, metavar="FOLDER",
                        help="write the page of the documentation, into docs/benchmarks or this folder")  # fmt: skip
    parser.add_argument("--against", metavar="REV", help="measure this commit of ours beside the one at hand")
    options = parser.parse_args()
    quick = options.quick is not None
    count = 1 if quick else options.rounds
    if options.earlier:
        results = read(options.earlier)
    elif options.against:
        results = compared(options.against, quick, options.rounds)
    else:
        results = measured(quick, count, options.largest, options.tasks)
    if options.output:
        results.write(options.output)
    show(results, Console(width=None if sys.stdout.isatty() else 200))
    if options.publish:
        from bench.page import publish

        publish(results, options.publish)
    return 0 if not any(sample.trouble for sample in results.samples) else 1


if __name__ == "__main__":
    sys.exit(main())
