"""The benchmark table: what a task costs, from the real client to the local AWS and back.

Times depend on the machine and its mood; counts of calls do not. Both are shown for the same work in the same run, so
that rows can be compared with each other, and with the same rows of another worker on the same machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil
from rich.console import Console
from rich.table import Table
from scaler import Client

from stack import Part, Stack
from startup_costs import StartupCost, startup_costs
from wire_costs import CodecCost, IdleCost, codec_costs, idle_costs

IDLE_FOR = 10.0
"""Seconds for which the idle adapter is watched."""


LEFT: Any = {"title_justify": "left"}
"""How the titles of tables stand."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        work: What was done.
        seconds: Wall time of each run.
        adapter_cpu: Seconds of processor time the adapter spent on a run, on average.
        calls: Calls to AWS a run, by operation, on average.
    """

    work: str
    seconds: list[float]
    adapter_cpu: float
    calls: dict[str, float] = field(default_factory=dict)


class Bench:
    """Measures work on a running stack."""

    def __init__(self, stack: Stack, adapter: Part, client: Client) -> None:
        self._counters = f"{stack.environment['AWS_ENDPOINT_URL']}/_scaler_batch/counters"
        self._adapter = psutil.Process(adapter.process.pid)
        self._client = client

    def measure(self, work: str, run: Callable[[Client], object], times: int) -> Row:
        """Run some work several times."""
        run(self._client)
        self._request("DELETE")
        cpu, seconds = self._cpu(), []
        for _ in range(times):
            began = time.perf_counter()
            run(self._client)
            seconds.append(time.perf_counter() - began)
        calls = {name: count / times for name, count in self._calls().items()}
        return Row(work, seconds, (self._cpu() - cpu) / times, calls)

    def _cpu(self) -> float:
        spent = self._adapter.cpu_times()
        return float(spent.user + spent.system)

    def _calls(self) -> dict[str, int]:
        return dict(json.loads(self._request("GET"))["operations"])

    def _request(self, method: str) -> bytes:
        with urlopen(Request(self._counters, method=method)) as answer:
            return bytes(answer.read())


def double(x: int) -> int:
    """Do next to nothing."""
    return x * 2


def rows(bench: Bench, quick: bool) -> list[Row]:
    """Measure every row."""
    from cloudpickle import register_pickle_by_value

    register_pickle_by_value(sys.modules[__name__])
    return [
        bench.measure("one task", lambda client: client.submit(double, 21).result(), 3 if quick else 20),
        bench.measure("map of 100", lambda client: client.map(double, range(100)), 1 if quick else 5),
        bench.measure(f"idle for {IDLE_FOR:.0f} s", lambda _: time.sleep(IDLE_FOR), 1),
    ]


def show(measured: list[Row], console: Console) -> None:
    """Print the table."""
    table = Table("work", "median s", "min s", "max s", "adapter CPU s", "calls to AWS", title=machine(), **LEFT)
    for row in measured:
        calls = ", ".join(f"{name} {count:g}" for name, count in sorted(row.calls.items())) or "none"
        times = (statistics.median(row.seconds), min(row.seconds), max(row.seconds))
        table.add_row(row.work, *(f"{value:.3f}" for value in times), f"{row.adapter_cpu:.3f}", calls)
    console.print(table)


def show_wire(codec: list[CodecCost], idle: list[IdleCost], console: Console) -> None:
    """Print what the link alone costs."""
    table = Table("message", "work", "ours µs", "published µs", "ratio", title="Wire codec, processor time", **LEFT)
    for cost in codec:
        ratio = f"{cost.theirs / cost.ours:.1f}"
        table.add_row(cost.message, cost.work, f"{cost.ours:.1f}", f"{cost.theirs:.1f}", ratio)
    console.print(table)
    for each in idle:
        console.print(f"idle worker over {each.transport}: {each.percent:.3f} % of a core")


def show_startup(costs: list[StartupCost], console: Console) -> None:
    """Print what a job costs beside its call."""
    table = Table("function", "ours ms", "boto3 ms", "ratio", title="A job with one call, processor time", **LEFT)
    for cost in costs:
        medians = (statistics.median(cost.ours), statistics.median(cost.boto3))
        table.add_row(cost.function, *(f"{value:.0f}" for value in medians), f"{cost.ratio:.2f}")
    console.print(table)


def machine() -> str:
    """Describe the machine."""
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"


def main() -> int:
    """Measure, print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("quick", nargs="?", choices=["quick"], help="a few runs a row instead of many")
    parser.add_argument("--output", type=Path, help="write the rows as JSON to this file, too")
    options = parser.parse_args()
    with Stack() as stack:
        stack.start_all()
        os.environ["SCALER_NETWORK_BACKEND"] = stack.environment["SCALER_NETWORK_BACKEND"]
        with Client(address=stack.scheduler_address) as client:
            measured = rows(Bench(stack, stack.part("adapter"), client), options.quick is not None)
    startup = startup_costs(3 if options.quick else 15)
    codec, idle = codec_costs(), idle_costs(5.0 if options.quick else 20.0)
    console = Console(width=None if sys.stdout.isatty() else 160)
    show(measured, console)
    show_startup(startup, console)
    show_wire(codec, idle, console)
    if options.output:
        tables = {"rows": measured, "startup": startup, "codec": codec, "idle": idle}
        written = {name: [asdict(row) for row in table] for name, table in tables.items()}
        options.output.write_text(json.dumps({"machine": machine(), **written}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
