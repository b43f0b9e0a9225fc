"""Who does the work: a scheduler, an object storage, a local AWS and an adapter, fresh for each round.

Only the adapter differs, with the runner that goes with it. For one side there is no AWS: a worker in one process,
which is what the client and the scheduler allow. For another there is no Scaler: lithops brings its own client.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lithops_peer
import upstream
from stack import JOB_PYTHON, Options, Stack

SLOTS = 2
"""Jobs at once, on every side."""

SPAWNED = ("--jobs", "spawn")
"""Has the local AWS start an interpreter for each job, as a container does."""


@dataclass(frozen=True)
class Side:
    """One of those that are compared.

    Attributes:
        name: What it is called in tables.
        options: Of its stack.
        start: Starts every part.
        connect: Makes a client of its own; ``None`` where Scaler's does the work.
    """

    name: str
    options: Options
    start: Callable[[Stack], object]
    connect: Callable[[Stack], AbstractContextManager[Any]] | None = None


def ours(name: str = "ours", worker: tuple[str, ...] = (), local: tuple[str, ...] = ()) -> Side:
    """Our adapter with these options."""
    return Side(name, Options(SLOTS, JOB_PYTHON, worker=worker, local=local), Stack.start_all)


def theirs(name: str = "upstream", warm: Path | None = None, local: tuple[str, ...] = ()) -> Side:
    """The adapter of opengris-scaler."""
    options = upstream.options(slots=SLOTS, warm=warm, local=local)
    return Side(name, options, partial(_start_theirs, warm=warm is not None))


def alone() -> Side:
    """Scaler with a worker in one process."""
    return Side("Scaler alone", Options(), _start_plain)


def lithops(name: str, workers: int, local: tuple[str, ...]) -> Side:
    """lithops with its own client, and no Scaler; it makes at most so many jobs of a map."""
    start = partial(lithops_peer.start, workers=workers)
    return Side(name, Options(SLOTS, sys.executable, local=local), start, lithops_peer.connected)


def _start_theirs(stack: Stack, warm: bool) -> None:
    for step in (stack.start_aws, stack.start_storage, stack.start_scheduler):
        step()
    upstream.define(stack, warm=warm)
    upstream.start_worker_manager(stack)


def _start_plain(stack: Stack) -> None:
    stack.start_storage()
    stack.start_scheduler()
    program = "import sys, plain_worker; plain_worker.main(sys.argv[1])"
    stack.environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    stack.start_program("adapter", sys.executable, "-c", program, stack.scheduler_address)
