"""The adapter is killed with tasks under way, and started again at once: how long until the client has its answers.

The scheduler gives the tasks of a worker away when it has not heard of it for :data:`PATIENCE_OF_SCHEDULER`; before
that nobody can do better, but for a worker that says who it was.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import psutil

from bench import works
from bench.measuring import connected, deadline
from bench.meters import ADAPTER, family
from bench.sides import Side
from stack import Stack

PATIENCE_OF_SCHEDULER = 10
TASKS, EACH = 40, 0.25
KILLED_AFTER = 3.0
GIVEN_UP_AFTER = 90.0


@dataclass(frozen=True)
class Recovery:
    """What came of it.

    Attributes:
        side: Who.
        first: Seconds from the kill to the first answer that came after it; ``None`` where none came.
        last: Seconds to the last answer.
        answered: How many of the tasks were answered with their result.
        tasks: How many there were.
    """

    side: str
    first: float | None
    last: float | None
    answered: int
    tasks: int


def recovery(side: Side, start_again: Callable[[Stack], object]) -> Recovery:
    """Measure one side.

    Args:
        side: Who.
        start_again: Starts its adapter, everything else being there.
    """
    scheduler = (*side.options.scheduler, "-wt", str(PATIENCE_OF_SCHEDULER))
    with Stack(replace(side.options, scheduler=scheduler)) as stack:
        side.start(stack)
        with connected(stack) as client:
            with deadline(GIVEN_UP_AFTER):
                works.one_task().run(client)
            answers: list[float] = []
            for _ in range(TASKS):
                client.submit(works.wait, EACH).add_done_callback(lambda future: _note(answers, future))
            time.sleep(KILLED_AFTER)
            kill(stack)
            killed = time.monotonic()
            start_again(stack)
            while len(answers) < TASKS and time.monotonic() < killed + GIVEN_UP_AFTER:
                time.sleep(0.05)
    return _told(side.name, [when - killed for when in answers if when > killed], len(answers))


def kill(stack: Stack) -> None:
    """Kill every process of the adapter, as the end of its machine would."""
    part = stack.part(ADAPTER)
    for process in family(part):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    stack.stop(part, signal.SIGKILL)


def _note(answers: list[float], future: object) -> None:
    with contextlib.suppress(Exception):
        future.result()  # type: ignore[attr-defined]
        answers.append(time.monotonic())


def _told(side: str, after: Sequence[float], answered: int) -> Recovery:
    return Recovery(side, min(after, default=None), max(after, default=None), answered, TASKS)
