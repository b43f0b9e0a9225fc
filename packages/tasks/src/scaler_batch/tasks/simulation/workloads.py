"""What is asked for in a simulation: when tasks come, how long they take, and which wait for which."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

FUNCTIONS: Final = 4
"""Different functions of a workload, as tasks of one program have."""


class Workload(NamedTuple):
    """Tasks, by number.

    Attributes:
        name: What it is called.
        arrivals: When each comes, in seconds, in order; of a chain, when its first link does.
        seconds: What each takes.
        functions: Which function each calls.
        chains: How many tasks follow each other, each when the one before is answered; 1 for independent ones. Tasks of
            a chain have consecutive numbers.
        clients: How many ask for them, in turn.
    """

    name: str
    arrivals: array[float]
    seconds: array[float]
    functions: array[int]
    chains: int = 1
    clients: int = 1

    @property
    def work(self) -> float:
        """Seconds of work in all."""
        return sum(self.seconds)


def uniform(tasks: int, seed: int = 1, seconds: float = 1.0) -> Workload:
    """All at once, all alike."""
    return _made("uniform", array("d", [0.0]) * tasks, array("d", [seconds]) * tasks, lambda number: 0)


def mixed(tasks: int, seed: int = 1) -> Workload:
    """All at once, of log-uniform lengths from 0.01 to 10 s, each function with lengths around its own."""
    source = random.Random(seed)
    functions = [source.randrange(FUNCTIONS) for _ in range(tasks)]
    width = 3 / FUNCTIONS
    seconds = array("d", (10 ** (-2 + width * (function + source.random())) for function in functions))
    return _made("mixed lengths", array("d", [0.0]) * tasks, seconds, functions.__getitem__)


def bursts(tasks: int, seed: int = 1, count: int = 10, pause: float = 60.0) -> Workload:
    """Some all at once, and again after a pause."""
    arrivals = array("d", (pause * (number * count // tasks) for number in range(tasks)))
    return _made("bursts", arrivals, array("d", [1.0]) * tasks, lambda number: number * count // tasks % FUNCTIONS)


def trickle(tasks: int, seed: int = 1, rate: float = 200.0) -> Workload:
    """One after the other at a steady rate, as a client sends them."""
    arrivals = array("d", (number / rate for number in range(tasks)))
    return _made("steady trickle", arrivals, array("d", [1.0]) * tasks, lambda number: 0)


def chained(tasks: int, seed: int = 1, length: int = 10) -> Workload:
    """Chains of tasks that need the result of the one before."""
    made = _made("dependent chains", array("d", [0.0]) * tasks, array("d", [1.0]) * tasks, lambda number: 0)
    return made._replace(chains=length)


WORKLOADS: Final[Mapping[str, Callable[[int], Workload]]] = {
    "uniform": uniform,
    "mixed": mixed,
    "bursts": bursts,
    "trickle": trickle,
    "chains": chained,
}


def _made(name: str, arrivals: array[float], seconds: array[float], function: Callable[[int], int]) -> Workload:
    return Workload(name, arrivals, seconds, array("B", map(function, range(len(seconds)))))
