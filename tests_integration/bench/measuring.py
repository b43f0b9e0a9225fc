"""Rounds: each side is started afresh, does the same works one after another, and makes room for the next.

Only one side runs at a time, for an idle adapter may use a whole core; sides take turns, so that a machine in a bad
mood is in a bad mood for each.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import cloudpickle
from scaler import Client

from bench import works
from bench.meters import Calls, Meter
from bench.sides import Side
from bench.works import Work, WrongAnswerError
from stack import PartFailedError, Stack

PATIENCE = 400.0
"""Seconds that one run of a work may take."""


@dataclass(frozen=True)
class Sample:
    """One run of one work by one side.

    Attributes:
        side: Who.
        work: What.
        tasks: Tasks of it.
        seconds: Wall time; ``None`` where it did not come to its end.
        cpu: Seconds of processor time by part.
        calls: Calls by caller and operation.
        memory: Peak of the adapter, in bytes.
        trouble: Why it did not come to its end.
    """

    side: str
    work: str
    tasks: int
    seconds: float | None
    cpu: dict[str, float] = field(default_factory=dict)
    calls: Calls = field(default_factory=dict)
    memory: int = 0
    trouble: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


Plan = Sequence[tuple[Side, Sequence[tuple[Work, int]]]]
"""Sides, and what each does how often in one round."""


def rounds(plan: Plan, count: int) -> Iterator[Sample]:
    """Measure the plan several times over."""
    cloudpickle.register_pickle_by_value(works)
    for number in range(count):
        for side, todo in plan:
            print(f"round {number + 1} of {count}: {side.name}", file=sys.stderr, flush=True)
            yield from session(side, todo)


def session(side: Side, todo: Sequence[tuple[Work, int]]) -> Iterator[Sample]:
    """Start a side, warm it up with one task, and measure what it has to do. Trouble ends the session."""
    with Stack(side.options) as stack:
        try:
            side.start(stack)
            with (side.connect or connected)(stack) as client:
                with deadline(PATIENCE):
                    works.one_task().run(client)
                for work, times in todo:
                    for _ in range(times):
                        sample = one(side, work, stack, client)
                        yield sample
                        if sample.trouble:
                            print(*(f"{name}:\n{tail}" for name, tail in stack.tails()), sep="\n", file=sys.stderr)
                            return
        except (PartFailedError, TimeoutError) as error:
            yield Sample(side.name, "start", 0, None, trouble=str(error))


def one(side: Side, work: Work, stack: Stack, client: Client) -> Sample:
    """Measure one run."""
    meter = Meter(stack)
    meter.forget_peak()
    before, began = meter.read(), time.perf_counter()
    try:
        with deadline(PATIENCE):
            work.run(client)
    except (TimeoutError, WrongAnswerError) as error:
        return Sample(side.name, work.name, work.tasks, None, trouble=str(error))
    seconds, cpu = time.perf_counter() - began, meter.read().since(before).cpu
    # After that, an adapter that is never idle would be charged for our waiting.
    settle(meter)
    calls = meter.read().since(before).calls
    return Sample(side.name, work.name, work.tasks, seconds, cpu, calls, meter.peak())


def settle(meter: Meter, within: float = 10.0) -> None:
    """Wait until nobody calls AWS any more: what is deleted after the answer belongs to the work, too."""
    until = time.monotonic() + within
    calls: Calls | None = None
    while calls != (calls := meter.read().calls) and time.monotonic() < until:
        time.sleep(1.0)


@contextlib.contextmanager
def connected(stack: Stack) -> Iterator[Client]:
    """A client of the stack's scheduler."""
    os.environ["SCALER_NETWORK_BACKEND"] = stack.environment["SCALER_NETWORK_BACKEND"]
    client = Client(address=stack.scheduler_address)
    try:
        yield client
    finally:
        client.disconnect()


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the main thread when a block takes too long."""

    def over(*_: object) -> None:
        raise TimeoutError(f"no answer after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
