"""Where the processor time of a job with one call goes, piece by piece, when jobs are forked from a warm process.

``python tests_integration/job_costs.py`` runs a few hundred jobs of each kind, each kind with one piece more than the
one before, and prints what a job took: processor time of it and of all its children, and pages that the kernel had to
bring in for them, which is most of what a fork costs.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cloudpickle

from plain_s3 import serving
from scaler_batch.local.jobhost import warm
from scaler_batch.payload import RunLocation, Seal, encode_pack, place
from scaler_batch.payload.calls import make_call
from scaler_batch.runner import main
from scaler_batch.runner.bundle import BundleRun
from scaler_batch.runner.publication import Publisher
from startup_costs import ENVIRONMENT, double

cloudpickle.register_pickle_by_value(sys.modules[double.__module__])


@dataclass(frozen=True)
class JobCost:
    """What one job took, on average.

    Attributes:
        kind: What it did.
        user: Milliseconds of processor time in its own code.
        system: Milliseconds in the kernel.
        pages: Pages that were brought in.
    """

    kind: str
    user: float
    system: float
    pages: float


def nothing() -> None:
    """A fork and its end."""
    os._exit(0)


def without_work() -> None:
    """A job whose runner returns at once."""
    main.main = lambda argv: 0  # type: ignore[assignment]


def without_call() -> None:
    """A job that reads its pack."""
    BundleRun.run = lambda self: None  # type: ignore[method-assign]
    without_publication()


def without_publication() -> None:
    """A job that runs its call."""
    Publisher.finish = lambda self, unfinished=(): None  # type: ignore[method-assign]


def whole() -> None:
    """A job that publishes what came of it."""


KINDS = (nothing, without_work, without_call, without_publication, whole)


def job_costs(endpoint: str, jobs: int) -> list[JobCost]:
    """Run jobs of each kind, one after the other."""
    if trouble := warm.warm_up():
        raise SystemExit(trouble)
    environment = {**os.environ, **ENVIRONMENT, "AWS_ENDPOINT_URL": endpoint}
    return [_cost(kind, environment, jobs) for kind in KINDS]


def _cost(kind: Callable[[], None], environment: dict[str, str], jobs: int) -> JobCost:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for number in range(jobs):
        if (pid := os.fork()) == 0:
            _be(kind, _arguments(number), environment)
        _, status = os.waitpid(pid, 0)
        if status:
            raise SystemExit(f"{kind.__name__}: a job ended with status {status}")
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return JobCost(
        str(kind.__doc__).rstrip("."),
        1000 * (spent.ru_utime - before.ru_utime) / jobs,
        1000 * (spent.ru_stime - before.ru_stime) / jobs,
        (spent.ru_minflt - before.ru_minflt) / jobs,
    )


def _be(kind: Callable[[], None], arguments: list[str], environment: dict[str, str]) -> None:
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    kind()
    os._exit(warm.run(arguments, environment))


RUN = RunLocation("plain", "costs", uuid.uuid4().hex, "us-east-1")
PACK = place(encode_pack([[make_call(double, 21)]])).parameter
KEY = Seal.new().reveal()


def _arguments(number: int) -> list[str]:
    return ["--run", str(RUN), "--sequence", str(number), "--pack", PACK, "--key", KEY]


def print_costs(endpoint: str, jobs: int) -> None:
    """Measure, and print a table."""
    print("| a job is | user ms | system ms | pages |\n|---|---|---|---|")
    for cost in job_costs(endpoint, jobs):
        print(f"| {cost.kind} | {cost.user:.2f} | {cost.system:.2f} | {cost.pages:.0f} |", flush=True)


def start() -> int:
    """Start a store, and a process beside it for the jobs to be forked from."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", type=int, nargs="?", default=300, help="jobs of each kind (default: %(default)s)")
    options = parser.parse_args()
    program = "import sys, job_costs; job_costs.print_costs(sys.argv[1], int(sys.argv[2]))"
    with serving() as endpoint:
        command = [sys.executable, "-c", program, endpoint, str(options.jobs)]
        return subprocess.run(command, cwd=Path(__file__).parent, check=False).returncode


if __name__ == "__main__":
    sys.exit(start())
