"""Contracts, flows and faults on a machine that is busy: does any test fail that passes on a quiet one?

``python tests_integration/steady.py --rounds 5`` runs them five times. Meanwhile one process per processor does nothing
but compute, and one writes to the disk and waits for it, again and again. A test that fails in any round is named with
the rounds in which it failed, and the log of those rounds is kept.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).parent
ROOMS = ("contracts", "flows", "faults")
LOGS = HERE.parent / "build" / "steady"

BLOCK = bytes(4 * 1024 * 1024)
"""What the disk is given at a time."""

FACTOR = 4
"""How much longer a test may take than on a quiet machine before it counts as hanging."""


def main() -> int:
    """Run all rounds; return 1 if a test failed in any of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1, help="how often to run all tests (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="test processes side by side (default: %(default)s)")
    options, tests = parser.parse_known_args()
    LOGS.mkdir(parents=True, exist_ok=True)
    failures: dict[str, list[int]] = defaultdict(list)
    with busy():
        for number in range(1, options.rounds + 1):
            began = time.monotonic()
            failed = run(number, options.processes, tests)
            for test in failed:
                failures[test].append(number)
            print(
                f"round {number} of {options.rounds}: {len(failed)} failed, {time.monotonic() - began:.0f} s",
                flush=True,
            )
    for test, rounds in sorted(failures.items()):
        print(f"  failed in {', '.join(map(str, rounds))}: {test}")
    print(f"{options.rounds} rounds, {len(failures)} tests failed in at least one of them; logs in {LOGS}")
    return 1 if failures else 0


def run(number: int, processes: int, options: Sequence[str]) -> list[str]:
    """Run every test once and return those that failed."""
    report, log = LOGS / f"round-{number}.xml", LOGS / f"round-{number}.log"
    report.unlink(missing_ok=True)
    command = [
        *(sys.executable, "-m", "pytest", *(str(HERE / room) for room in ROOMS)),
        *(
            f"--numprocesses={processes}",
            "--dist=loadscope",
            f"--junit-xml={report}",
            f"--override-ini=timeout={300 * FACTOR}",
        ),
        *options,
    ]
    with log.open("w") as output:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False)
    if not report.exists():
        return [f"the test run itself, exit code {done.returncode}"]
    cases = ElementTree.parse(report).iter("testcase")
    return [
        f"{case.get('classname')}::{case.get('name')}"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]


@contextlib.contextmanager
def busy() -> Iterator[None]:
    """Keep every processor and the disk busy."""
    context = multiprocessing.get_context("spawn")
    loads = [context.Process(target=compute, daemon=True) for _ in range(os.cpu_count() or 1)]
    loads.append(context.Process(target=write, daemon=True))
    for load in loads:
        load.start()
    try:
        yield
    finally:
        for load in loads:
            load.terminate()
            load.join()


def compute() -> None:
    """Use a processor for ever."""
    while True:
        sum(range(100_000))


def write() -> None:
    """Have the disk busy for ever, in a file without a name."""
    with tempfile.TemporaryFile() as file:
        while True:
            file.seek(0)
            file.write(BLOCK)
            file.flush()
            os.fsync(file.fileno())


if __name__ == "__main__":
    sys.exit(main())
