"""What hashes and signatures cost: the same work with them and without them, in turns.

``python tests_integration/authentication_costs.py`` prints the table.

A map of a thousand calls goes through a real task manager, whose AWS Batch and S3 are doubles in memory: packs are
written and read, outcomes written, signed, checked and read. Its twenty jobs of fifty calls are run besides, by real
runners, against a store that answers from another process. That is less than the whole work, which has a scheduler, a
client and connections; so the share that is found is more than that of the whole.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from unittest.mock import patch

from plain_s3 import serving
from scaler_batch.payload import Call, RunLocation, Seal
from scaler_batch.payload.testing import MemoryStore
from scaler_batch.tasks import AWSHPCTaskManager, Polling, TaskManagerSettings
from scaler_batch.tasks.testing import FakeJobService, MemoryInputs, RecordingSink
from startup_costs import ENVIRONMENT, job_cost, runner_command

_TASKS: Final = 1000
_BUNDLE: Final = 50

WITHOUT: Final = """
import sys, types
from scaler_batch.payload import keys
NAME = "0" * 32

class Seal:
    parse = classmethod(lambda cls, text: cls())

class SubmissionSeal:
    def __init__(self, run, sequence, key):
        self.sequence = sequence
    def job(self, child):
        return JobSeal(self.sequence, child)

class JobSeal:
    def __init__(self, sequence, child):
        self.job = sequence, child
    def outcome_key(self, first=0, place=0):
        return keys.outcome_key(*self.job, first, NAME, place)
    def sign(self, key, envelope):
        return envelope

RunSeal = None
"""
"""A runner's seals that check and sign nothing."""

MAIN: Final = """
import gc, sys
gc.disable()
{}
from scaler_batch.runner.main import main
gc.freeze()
gc.enable()
code = main(sys.argv[1:])
from scaler_batch.runner.forked import leave
leave(code)
"""
"""What ``python -m scaler_batch.runner`` does, after something else."""

STUBBED: Final = f"""
import importlib.machinery, importlib.util, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "scaler_batch.payload.seals":
            return importlib.util.spec_from_loader(name, self)
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        exec(SOURCE, module.__dict__)
SOURCE = compile({WITHOUT!r}, "seals", "exec")
sys.meta_path.insert(0, Finder())
"""


@dataclass(frozen=True)
class AuthenticationCost:
    """One line of the table: processor time in milliseconds.

    Attributes:
        work: What was done.
        checked: With hashes and signatures, one for each time that it was measured.
        unchecked: Without them.
        most_added: What may be added: milliseconds, or a part of the whole.
        is_part: Which of the two.
    """

    work: str
    checked: list[float]
    unchecked: list[float]
    most_added: float
    is_part: bool

    @property
    def added(self) -> float:
        """Milliseconds that are added, by the least of each: other programs can only make it more."""
        return min(self.checked) - min(self.unchecked)

    @property
    def part(self) -> float:
        """The same, as a part of the work without them."""
        return self.added / min(self.unchecked)

    @property
    def is_good(self) -> bool:
        """Whether no more is added than may be."""
        return (self.part if self.is_part else self.added) <= self.most_added


def authentication_costs(times: int) -> list[AuthenticationCost]:
    """Measure a map, and the start of a runner."""
    with serving() as endpoint:
        jobs = _Jobs({**os.environ, **ENVIRONMENT, "AWS_ENDPOINT_URL": endpoint})

        def bundled(is_checked: bool) -> float:
            return _map(_BUNDLE, is_checked) + _TASKS / _BUNDLE * jobs.run(_BUNDLE, is_checked)

        return [
            AuthenticationCost("map of 1,000 in jobs of 50", *_in_turns(bundled, times), 0.02, is_part=True),
            AuthenticationCost(
                "a runner, from start to end", *_in_turns(partial(jobs.run, 1), 2 * times), 1.0, is_part=False
            ),
        ]


def _in_turns(work: Callable[[bool], float], times: int) -> tuple[list[float], list[float]]:
    # The first of each warms caches.
    turns = [(work(True), work(False)) for _ in range(times + 1)][1:]
    return [checked for checked, _ in turns], [unchecked for _, unchecked in turns]


def _map(tasks_per_job: int, is_checked: bool) -> float:
    gc.collect()
    if is_checked:
        return asyncio.run(_mapped(tasks_per_job))
    with (
        patch.object(Seal, "_mac", _unsigned),
        patch("scaler_batch.payload.parts.digest_of", lambda pieces: "0" * 64),
        patch("scaler_batch.payload.hashing.digest", lambda data: "0" * 64),
    ):
        return asyncio.run(_mapped(tasks_per_job))


def _unsigned(seal: Seal, domain: bytes, context: bytes, body: Any = ()) -> bytes:
    """What has no key of its own is told apart by what it is for."""
    return (context[-32:] + bytes(32))[:32]


async def _mapped(tasks_per_job: int) -> float:
    store, inputs, sink = MemoryStore(), MemoryInputs(), RecordingSink()
    jobs = FakeJobService(store, run=lambda call: call.arguments[0])  # type: ignore[return-value,arg-type]
    settings = TaskManagerSettings(
        "queue", "definition", max_concurrent_jobs=1000, tasks_per_job=tasks_per_job, polling=Polling(shortest=0.01)
    )
    run = RunLocation("bucket", "runs", "run-1", "eu-west-1")
    function = os.urandom(2000)
    calls = [Call(b"serializer" * 5, function, (b"argument %d" % number,)) for number in range(_TASKS)]
    before = time.process_time()
    async with AWSHPCTaskManager(settings, run, jobs=jobs, store=store, inputs=inputs, sink=sink) as manager:
        for number, call in enumerate(calls):
            manager.submit(inputs.request(b"%d" % number, call))
        await sink.answers(_TASKS)
    return 1000 * (time.process_time() - before)


class _Jobs:
    """Runners, each a process of its own, and their processor time."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._numbers = itertools.count()

    def run(self, calls: int, is_checked: bool) -> float:
        """Run a job of so many calls."""
        program = MAIN.format("" if is_checked else STUBBED)
        command = runner_command(math.sqrt, 16, next(self._numbers), "-c", program, calls=calls)
        return job_cost(command, self._environment)


def main() -> None:
    """Print the table."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    print("| work | checked ms | unchecked ms | added ms | added % | good |\n|---|---|---|---|---|---|")
    for cost in authentication_costs(times):
        least = (f"{min(found):.2f}" for found in (cost.checked, cost.unchecked))
        added = (f"{cost.added:.2f}", f"{100 * cost.part:.2f}", "yes" if cost.is_good else "no")
        print(f"| {' | '.join((cost.work, *least, *added))} |")


if __name__ == "__main__":
    main()
