"""The rows: what a client does, in the words of Scaler's own client."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from scaler import Client

KB, MB = 1000, 1000 * 1000
IDLE_FOR = 10.0
"""Seconds for which an idle adapter is watched."""

MIXED = [0.0] * 60 + [0.1] * 30 + [0.5] * 8 + [2.0] * 2
"""Seconds that the tasks of one map take: many short ones, a few long ones. 11 in all."""


class WrongAnswerError(Exception):
    """A row was answered, but not with what it should have been."""


@dataclass(frozen=True)
class Work:
    """One row.

    Attributes:
        name: What it is called in tables.
        run: Does it with a client, and raises where the answer is wrong.
        tasks: How many tasks it is.
        seconds: What the tasks themselves take, all together.
    """

    name: str
    run: Callable[[Client], object]
    tasks: int
    seconds: float = 0.0


def double(x: int) -> int:
    """Do next to nothing."""
    return x * 2


def wait(seconds: float) -> float:
    """Take so long, without using the processor."""
    time.sleep(seconds)
    return seconds


def measure(data: bytes) -> int:
    """Take a large argument."""
    return len(data)


def make(size: int) -> bytes:
    """Give a large result that does not compress."""
    return random.Random(1).randbytes(size)


def one_task() -> Work:
    """A task that nobody else waits for."""
    return Work("one task", lambda client: _expect(client.submit(double, 21).result(), 42), 1)


def map_of(count: int) -> Work:
    """A map of tasks that do next to nothing."""
    wanted = [2 * number for number in range(count)]
    return Work(f"map of {count:,}", lambda client: _expect(client.map(double, range(count)), wanted), count)


def mixed() -> Work:
    """A map of tasks of many lengths, shuffled the same way each time."""
    lengths = random.Random(1).sample(MIXED, len(MIXED))
    return Work(
        "map of mixed lengths", lambda client: _expect(client.map(wait, lengths), lengths), len(lengths), sum(lengths)
    )


def argument(size: int) -> Work:
    """One task with an argument that does not compress, another one each time."""
    return Work(f"argument of {in_words(size)}", lambda client: _argument(client, size), 1)


def result(size: int) -> Work:
    """One task with a result that does not compress."""
    return Work(f"result of {in_words(size)}", partial(_result, size=size), 1)


def idle() -> Work:
    """Nothing, for a while."""
    return Work(f"idle for {IDLE_FOR:.0f} s", lambda _: time.sleep(IDLE_FOR), 0)


def in_words(size: int) -> str:
    """A number of bytes as people say it."""
    return f"{size // MB} MB" if size >= MB else f"{size // KB} kB"


def _argument(client: Client, size: int) -> None:
    data = random.randbytes(size)
    _expect(client.submit(measure, data).result(), size)


def _result(client: Client, size: int) -> None:
    _expect(client.submit(make, size).result() == _made(size), True)


@cache
def _made(size: int) -> bytes:
    return make(size)


def _expect(answer: Any, wanted: Any) -> None:
    if answer != wanted:
        shown = answer if not isinstance(answer, Sequence) else f"{len(answer)} answers"
        raise WrongAnswerError(f"{shown}, which is not what was asked for")
