"""What S3 costs its caller: obstore beside boto3, for the requests that tasks make.

    python tests_integration/storage_costs.py

Both speak over loopback to :mod:`plain_s3`, which does next to nothing, so that what is measured is the client. Costs
are processor time of the client's process, all threads of it. Each figure is the median of several processes that live
for one measurement, and the libraries take turns, so that a busy machine is equally busy for each.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import uuid4

from plain_s3 import BROKEN, SLOW_FOR, serving, times_asked
from storage_clients import (
    CALLERS,
    CREDENTIALS,
    LARGE,
    LIBRARIES,
    PATIENT,
    REGION,
    WORKS,
    Work,
    cost_of_request,
    end_of_request,
    memory_of_request,
    survivors,
)

TROUBLES: Final = {
    f"503 for {SLOW_FOR:.0f} s, put": ("slow", "put"),
    f"connection cut {BROKEN} times, put": ("cut", "put"),
    f"object torn {BROKEN} times, get": ("torn", "get"),
    "403, put": ("forbidden", "put"),
    "no such bucket, put": ("missing", "put"),
    "no such bucket, list": ("missing", "list"),
}


def fresh(measure: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()


def in_turns(measure: Callable[[str], Sequence[float]], rounds: int) -> list[list[float]]:
    """Measure each library several times; return the medians of each."""
    measured = [[measure(library) for library in LIBRARIES] for _ in range(rounds)]
    return [
        [statistics.median(figures) for figures in zip(*samples, strict=True)]
        for samples in zip(*measured, strict=True)
    ]


class Start(NamedTuple):
    """What a whole process took.

    Attributes:
        processor: Milliseconds of processor time, from exec to exit.
        wall: Milliseconds.
        memory: Megabytes of resident memory at the peak.
    """

    processor: float
    wall: float
    memory: float


_PEAK: Final = """
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""

_OBSTORE_STORE: Final = """
store = S3Store("plain", prefix="run", region={region!r}, endpoint={endpoint!r}, client_options={{"allow_http": True}})
"""

STARTS: Final = {
    "obstore": (
        "import obstore; from obstore.store import S3Store",
        _OBSTORE_STORE,
        "obstore.put(store, 'outcomes/1', b'x' * 1000, use_multipart=False)",
    ),
    "obstore async": (
        "import asyncio, obstore; from obstore.store import S3Store",
        _OBSTORE_STORE,
        (
            "async def put(): await obstore.put_async(store, 'outcomes/1', b'x' * 1000, use_multipart=False)\n"
            "asyncio.run(put())"
        ),
    ),
    "boto3": (
        "import boto3",
        "s3 = boto3.client('s3', endpoint_url={endpoint!r}, region_name={region!r})",
        "s3.put_object(Bucket='plain', Key='run/outcomes/1', Body=b'x' * 1000)",
    ),
}
"""The life of a short process, in steps: the import, the client, a first request."""

STEPS: Final = ("nothing", "… and import", "… and make a client", "… and put 1 kB")


def start(endpoint: str, steps: int, library: str) -> Start:
    """Run a process that takes so many steps."""
    lines = [step.format(endpoint=endpoint, region=REGION) if "{" in step else step for step in STARTS[library][:steps]]
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", "\n".join([*lines, _PEAK])],
        env=os.environ | CREDENTIALS,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    peak = int(process.stdout.read())
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    return Start((used.ru_utime + used.ru_stime) * 1000, (time.perf_counter() - began) * 1000, peak / 1000)


class Ending(NamedTuple):
    """How a request fared that met with trouble.

    Attributes:
        how: ``worked``, or the exception with its ancestors.
        seconds: Until it ended.
        gaps: Seconds between its tries, as the server saw them.
    """

    how: str
    seconds: float
    gaps: list[float]

    def __str__(self) -> str:
        tries = f"{len(self.gaps) + 1} tries in {sum(self.gaps):.1f} s"
        return f"{self.how}, {tries}" + (f" ({', '.join(f'{gap:.2f}' for gap in self.gaps)})" if self.gaps else "")


def ending(endpoint: str, fault: str, verb: str, library: str) -> Ending:
    """Make a request of a bucket that fails; see how it ends."""
    bucket = f"{fault}-{uuid4().hex}"
    began = time.perf_counter()
    how = fresh(end_of_request, endpoint, Work("", verb, 100_000, 1), bucket, library)
    asked = times_asked(endpoint, bucket)
    return Ending(how, time.perf_counter() - began, [later - earlier for earlier, later in pairwise(asked)])


def table(title: str, rows: Iterable[tuple[str, Sequence[float]]], digits: int) -> None:
    """Print figures of the libraries, and how many times as much boto3 takes."""
    print(f"\n{title}\n{'':28}" + "".join(f"{library:>15}" for library in LIBRARIES) + f"{'boto3/obstore':>15}")
    for name, figures in rows:
        ratio = f"{figures[-1] / figures[0]:.1f}" if figures[0] >= 0.01 else ""
        print(f"{name:28}" + "".join(f"{figure:15.{digits}f}" for figure in figures) + f"{ratio:>15}", flush=True)


def requests(endpoint: str, rounds: int) -> Iterator[tuple[str, list[float]]]:
    """Measure what each kind of request costs."""
    for work in WORKS:
        measured = in_turns(lambda library: [fresh(cost_of_request, endpoint, work, library)], rounds)  # noqa: B023
        yield work.name, [median for [median] in measured]


def starts(endpoint: str, rounds: int) -> dict[str, list[list[float]]]:
    """Measure each step of a short process's life."""
    return {
        name: in_turns(lambda library: start(endpoint, steps, library), rounds)  # noqa: B023
        for steps, name in enumerate(STEPS)
    }


def memories(endpoint: str, rounds: int) -> Iterator[tuple[str, list[float]]]:
    """Measure the memory of large requests."""
    for verb in ("put", "get"):
        work = Work("", verb, LARGE, 1)
        measured = in_turns(lambda library: [fresh(memory_of_request, endpoint, work, library)], rounds)  # noqa: B023
        yield f"{verb} {LARGE // 1_000_000} MB", [median for [median] in measured]


def machine() -> str:
    """Describe the machine and what is compared."""
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), ":")
    libraries = ", ".join(f"{name} {version(name)}" for name in ("obstore", "boto3", "botocore"))
    return (
        f"{os.cpu_count()} cores, {model.partition(':')[2].strip()}, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, {libraries}"
    )


def main() -> int:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="processes a figure (default: %(default)s)")
    rounds = parser.parse_args().rounds
    print(machine())
    with serving() as endpoint:
        table("processor time of a request, ms", requests(endpoint, rounds), 2)
        processes = starts(endpoint, 2 * rounds)
        for position, (what, digits) in enumerate((("processor time, ms", 0), ("wall time, ms", 0), ("memory, MB", 1))):
            rows = [(name, [each[position] for each in measured]) for name, measured in processes.items()]
            table(f"a whole process, {what}", rows, digits)
        table("memory at the peak of a request, copies of the object", memories(endpoint, rounds), 2)
        for name, (fault, verb) in TROUBLES.items():
            print(f"\n{name}")
            for library in LIBRARIES:
                print(f"    {library:18}{ending(endpoint, fault, verb, library)}", flush=True)
        print(f"\nputs that live through {SLOW_FOR:.0f} s of 503, of {CALLERS}")
        for library in (*LIBRARIES, PATIENT):
            print(f"    {library:18}{fresh(survivors, endpoint, 'slow', library)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
