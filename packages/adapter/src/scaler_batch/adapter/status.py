"""``scaler-batch-worker status``: what a running worker is doing, in the terminal, until one has seen enough."""

from __future__ import annotations

import argparse
import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from scaler_batch.adapter.metrics import PATIENCE, Status

EXIT_SEEN, EXIT_UNREACHABLE = 0, 1

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


def main(argv: Sequence[str]) -> int:
    """Show a worker's status; return 0, or 1 where the worker cannot be asked."""
    options = _parser().parse_args(argv)
    url = f"http://{options.host}:{options.metrics_port}/status"
    try:
        if options.json:
            print(json.dumps(fetch(url), indent=2))  # noqa: T201
        elif options.once:
            Console().print(picture(fetch(url)))
        else:
            _watch(url, options.interval)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        print(f"scaler-batch-worker: no worker answers at {url}: {reason}", file=sys.stderr)  # noqa: T201
        return EXIT_UNREACHABLE
    except KeyboardInterrupt:
        pass
    return EXIT_SEEN


def _parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(
        prog="scaler-batch-worker status",
        description="Show what a worker that was started with --metrics-port is doing, live, until Ctrl-C.",
    )
    command.add_argument("--metrics-port", type=int, required=True, metavar="PORT", help="the worker's --metrics-port")
    command.add_argument("--host", default="127.0.0.1", help="where it runs (default: 127.0.0.1)")
    command.add_argument("--interval", type=float, default=1.0, metavar="S", help="seconds between looks (default: 1)")
    command.add_argument("--once", action="store_true", help="look once")
    command.add_argument("--json", action="store_true", help="look once, and print JSON")
    return command


def fetch(url: str) -> Status:
    """Ask a worker."""
    with urllib.request.urlopen(url, timeout=PATIENCE * 2) as answer:  # noqa: S310 - built above from http://
        status: Status = json.load(answer)
    return status


def _watch(url: str, interval: float) -> None:
    with Live(picture(fetch(url)), auto_refresh=False) as live:
        while True:
            time.sleep(interval)
            live.update(picture(fetch(url)), refresh=True)


def picture(status: Status) -> Group:
    """Lay a status out for the terminal."""
    head = Text(
        f"{status['name']} {status['version']}, up {_duration(status['seconds'])}: "
        f"{status['scheduler']} to queue {status['queue']}"
    )
    return Group(head, *map(_table, status["workers"]))


def _table(worker: dict[str, Any]) -> Table:
    table = Table(title=f"run {worker['run']}", title_justify="left", show_header=False)
    for label, value in _rows(worker):
        table.add_row(label, value)
    return table


def _rows(worker: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("tasks", _counts(worker["stages"])),
        ("oldest task", _duration(worker["oldest"])),
        ("jobs in flight", f"{worker['jobs']}"),
        ("jobs that wait", _counts(worker["waiting"])),
        ("credentials", _credentials(worker["credentials_refused"])),
        ("answers", _counts(worker["answers"])),
        ("requests", _counts(worker["calls"])),
        ("to and from S3", f"{_size(worker['sent'])} sent, {_size(worker['received'])} received"),
    ]


def _counts(counts: dict[str, int]) -> str:
    return "  ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def _credentials(refused: float) -> str:
    return f"refused by AWS for {_duration(refused)}; see the log" if refused else "accepted"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _size(number: float) -> str:
    for unit in _UNITS:
        if number < 1024 or unit == _UNITS[-1]:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    raise AssertionError("the last unit takes everything")
