"""The page of the documentation, written from one run. Nobody edits it by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench import plots, tables
from bench.goals import goals
from bench.plots import largest_common
from bench.results import Results
from bench.summary import growth, summaries
from bench.tables import Grid

RESULTS = "results.json"

INTRODUCTION = """\
# Benchmark

The same work, by the same Scaler client, scheduler and object storage, on the same local AWS with two job slots,
through

- **upstream**: the adapter of opengris-scaler 2.9.0 with its own runner, as published;
- **ours**: one task a job, as it is without options;
- **ours, bundled**: with `--tasks-per-job auto`;
- **Scaler alone**: a worker in one process and no AWS, which is what client and scheduler allow.

Beside them is **lithops**, which brings its own client: see [below](#what-is-not-compared).

Everything is started afresh in each round, and the sides take turns. Jobs are forked from a process that has the
runner in memory; upstream's finds a boto3 there that has made a client already. So the start of a
container is left out, and with it most of what a job with boto3 costs. Rows marked *new interpreter* start one for
each job instead. Figures are medians, and both sides of a ratio are from the same run.

This page is written by `nox -s bench -- --publish`; every single run is in {download}`results.json` beside it.
"""

NOTES = """\
## How it is measured

- **Processor time** is what the kernel books. Jobs are children of the local AWS's job host and are booked there, with
  the processes that they make; *other* is the local AWS, the scheduler, the object storage and the client together. It
  ends with the last answer; calls are counted until nobody calls any more.
- **Calls** are counted by the local AWS; who makes them is told by the key that they are signed with.
- **S3 $** is the price of S3's requests alone, in us-east-1. AWS Batch charges nothing for its calls.
- **adapter MB** is the peak of resident memory, the most of all runs, all processes of the adapter added up.
- On two cores the client, the scheduler, the jobs and the local AWS share what there is. Wall time of a map is mostly
  the processor time of all of them together; at AWS the jobs, and AWS itself, are elsewhere.

## What is not compared

Other tools that run Python functions on AWS Batch bring a client of their own and cannot be driven by Scaler's. One of
them is run beside, as published: lithops 3.8.0 with its backends `aws_batch` and `aws_s3`, which maps the same function
over the same numbers. What sets its rows apart:

- there is no Scaler between the caller and lithops: no scheduler, no object storage, nothing to spread tasks of several
  clients, and *adapter* is the process that has lithops's client;
- its image is not built, as the local AWS runs processes; a job definition of the name that it looks for has the entry
  point of that image as its command. Making a runtime known, which takes it twenty seconds, comes before what is
  measured;
- it has only rows with new interpreters: its entry point does not fit into a process that is forked;
- *lithops* makes a job of each call, as *ours* does; *lithops, bundled* was told of as many vCPUs as there are slots,
  and shares the calls out among as many jobs;
- it looks for answers once a second, which is most of what its single task takes.

Tools that put a workflow around each call, such as redun, Metaflow and Nextflow, were not run.
"""

AT_AWS = """\
## At AWS

[At AWS, simulated](simulation.md) shows what the same task manager does there, against a model of AWS's starts, rates
and prices, and upstream's rules beside it.
"""


def publish(results: Results, folder: Path) -> None:
    """Write the page, its pictures and the figures behind it."""
    folder.mkdir(parents=True, exist_ok=True)
    results.write(folder / RESULTS)
    found = summaries(results.samples)
    plots.draw(found, folder)
    common = largest_common([row for row in found if row.work == f"map of {row.tasks:,}"])
    machine = Grid("Machine", ("fact", ""), sorted(results.machine.items()))
    parts = [
        INTRODUCTION,
        table(tables.aims(goals(found))),
        image("maps", "Wall time of maps by number of tasks"),
        table(tables.works(found)),
        image("processors", f"Processor time of a map of {common:,} by part"),
        table(tables.growths(growth(found))),
        table(tables.operations(found, f"map of {common:,}")),
        image("calls", f"Calls to AWS of a map of {common:,}"),
        *(table(each) for each in (tables.recoveries(results.recovery), tables.memories(results.memory)) if each.rows),
        *map(table, tables.pieces(results)),
        table(tables.limits(results.rates)),
        AT_AWS,
        NOTES,
        table(machine),
    ]
    (folder / "index.md").write_text("\n".join(parts))


def table(grid: Grid) -> str:
    """A grid as Markdown."""
    rule = "|".join(["", *("---" for _ in grid.head), ""])
    return "\n".join([f"## {grid.title}", "", line(grid.head), rule, *map(line, grid.rows), ""])


def line(cells: Sequence[str]) -> str:
    """A row as Markdown."""
    return f"| {' | '.join(cell.replace('|', '/').replace(chr(10), ' ') for cell in cells)} |"


def image(name: str, what: str) -> str:
    """A picture as Markdown."""
    return f"![{what}]({name}.svg)\n"
