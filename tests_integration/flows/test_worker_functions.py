"""Two dozen functions as users write them, through the real client: each returns, or raises, what it does at home."""

from __future__ import annotations

import array
import asyncio
import collections
import dataclasses
import datetime
import decimal
import enum
import functools
import hashlib
import itertools
import math
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from scaler import Client

from stack import Options, Stack

cloudpickle = pytest.importorskip("cloudpickle")
cloudpickle.register_pickle_by_value(sys.modules[__name__])


# What users define beside their functions


@dataclasses.dataclass(frozen=True, order=True)
class Point:
    x: int
    y: int

    def __add__(self, other: Point) -> Point:
        return Point(self.x + other.x, self.y + other.y)


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Account:
    """Has state, properties, a class method and special methods."""

    opened = 0

    def __init__(self, owner: str, cents: int = 0) -> None:
        self.owner, self._cents = owner, cents

    @classmethod
    def named(cls, owner: str) -> Account:
        return cls(owner, 100)

    @property
    def euros(self) -> decimal.Decimal:
        return decimal.Decimal(self._cents) / 100

    def pay(self, cents: int) -> Account:
        return type(self)(self.owner, self._cents + cents)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Account) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(self.owner)


class Node:
    """Refers to itself in a circle."""

    def __init__(self) -> None:
        self.next: Node = self


class CodedError(Exception):
    """Takes more than its text, and by keyword."""

    def __init__(self, message: str, *, code: int, where: Point) -> None:
        super().__init__(message)
        self.code, self.where = code, where

    def __reduce__(self) -> Any:
        return functools.partial(CodedError, code=self.code, where=self.where), self.args


# The functions


def counting(start: int) -> Callable[[], int]:
    """Make a closure with state of its own."""
    count = start

    def step() -> int:
        nonlocal count
        count += 1
        return count

    return step


def squares_until(limit: int) -> Iterator[int]:
    for number in itertools.count():
        if number == limit:
            raise OverflowError(f"{number} is enough")
        yield number * number


def drain(limit: int) -> list[int]:
    return list(squares_until(limit))


def fail_deep(depth: int) -> None:
    if depth:
        fail_deep(depth - 1)
    raise CodedError("deep down", code=42, where=Point(1, 2))


def chained() -> None:
    try:
        {}["missing"]
    except KeyError as error:
        raise RuntimeError("no such key") from error


def fibonacci(n: int) -> int:
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def described(*args: Any) -> str:
    return ", ".join(map(str, args))


def greeting(name: str, word: str = "hello", mark: str = "!") -> str:
    return f"{word} {name}{mark}"


async def gathered(numbers: list[int]) -> list[int]:
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return number * 2

    return list(await asyncio.gather(*map(double, numbers)))


def word_count(text: str) -> dict[str, int]:
    return dict(collections.Counter(re.findall(r"\w+", text.lower())))


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = {
    "a builtin": (divmod, (17, 5), {}),
    "a function of the standard library": (math.comb, (12, 4), {}),
    "a lambda": (lambda x: x * 2 + 1, (20,), {}),
    "a closure with state": (counting(41), (), {}),
    "recursion": (fibonacci, (12,), {}),
    "keyword arguments and defaults": (greeting, ("ann",), {"mark": "?"}),
    "a partial": (functools.partial(pow, 2), (10,), {}),
    "a bound method of a builtin": ("-".join, (["a", "b", "c"],), {}),
    "a bound method of one's own class": (Account("ann", 250).pay, (50,), {}),
    "a class method": (Account.named, ("bob",), {}),
    "a class": (Point, (3, 4), {}),
    "dataclasses in and out": (lambda points: sum(points, Point(0, 0)), ([Point(1, 2), Point(3, 4)],), {}),
    "an enum": (lambda colour: [each for each in Colour if each is not colour], (Colour.RED,), {}),
    "a property of an argument": (lambda account: account.euros, (Account("eve", 1234),), {}),
    "a coroutine run to its end": (lambda numbers: asyncio.run(gathered(numbers)), ([1, 2, 3],), {}),
    "a generator drained": (lambda n: [*itertools.islice(squares_until(n), n)], (5,), {}),
    "text in many scripts": (word_count, ("Ünïcode ünïcode 漢字 😀 漢字",), {}),
    "dates and identifiers": (
        lambda when, which: (when + datetime.timedelta(days=1), which.hex),
        (datetime.datetime(2024, 2, 28, tzinfo=datetime.UTC), uuid.UUID(int=7)),
        {},
    ),
    "None for None": (lambda nothing: nothing, (None,), {}),
    "sets, tuples and bytes": (lambda a, b: (a | b, (b"x" * 3,)), ({1, 2}, frozenset({3})), {}),
    "typed arrays": (lambda a: array.array("d", [x / 2 for x in a]), (array.array("d", [1, 2, 3]),), {}),
    "a function that takes a function": (lambda f, xs: [*map(f, xs)], (lambda x: x**3, [1, 2, 3]), {}),
    "a program of the system": (
        lambda: subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, check=True).stdout,
        (),
        {},
    ),
    "a module imported inside": (lambda text: __import__("zlib").crc32(text), (b"batch",), {}),
}


def test_there_are_two_dozen() -> None:
    assert len(CASES) == 24


@pytest.mark.parametrize("name", CASES)
def test_a_function_returns_what_it_returns_at_home(client: Client, name: str) -> None:
    function, args, kwargs = CASES[name]
    assert client.submit(function, *args, **kwargs).result() == function(*args, **kwargs)


def test_what_refers_to_itself_arrives_whole(client: Client) -> None:
    node = client.submit(Node).result()
    assert node.next is node


def test_a_generator_that_raises_raises_here(client: Client) -> None:
    with pytest.raises(OverflowError, match="5 is enough"):
        client.submit(drain, 5).result()


def test_an_exception_with_a_constructor_of_its_own_arrives_with_all_it_holds(client: Client) -> None:
    with pytest.raises(CodedError, match="deep down") as raised:
        client.submit(fail_deep, 3).result()
    assert (raised.value.code, raised.value.where) == (42, Point(1, 2))
    assert [entry.name for entry in raised.traceback].count("fail_deep") == 4


def test_an_exception_that_was_raised_from_another_says_so(client: Client) -> None:
    with pytest.raises(RuntimeError, match="no such key") as raised:
        client.submit(chained).result()
    assert isinstance(raised.value.__cause__, BaseException)


def test_a_map_takes_several_iterables_and_ends_with_the_shortest(client: Client) -> None:
    assert client.map(described, [1, 2, 3], "abc") == ["1, a", "2, b", "3, c"]


def test_a_starmap_takes_tuples(client: Client) -> None:
    assert client.starmap(pow, [(2, 3), (3, 2), (10, 0)]) == [8, 9, 1]


def test_a_graph_of_tasks_is_run_in_order(client: Client) -> None:
    graph = {
        "a": 5,
        "b": (counting(0),),
        "sum": (lambda x, y: x + y, "a", "b"),
        "twice": (lambda x: 2 * x, "sum"),
        "all": (described, "a", "b", "sum", "twice"),
    }
    assert client.get(graph, keys=["twice", "all"]) == {"twice": 12, "all": "5, 1, 6, 12"}


def test_an_object_sent_once_serves_many_tasks(client: Client) -> None:
    table = client.send_object({number: number**2 for number in range(1000)})
    futures = [client.submit(lambda squares, key: squares[key], table, key) for key in (3, 500, 999)]
    assert [future.result() for future in futures] == [9, 250_000, 998_001]


def test_fifty_megabytes_go_in_and_out(client: Client) -> None:
    data = os.urandom(50_000_000)
    assert client.submit(lambda blob: hashlib.sha256(blob).digest(), data).result() == hashlib.sha256(data).digest()
    assert client.submit(lambda size: bytes(size), len(data)).result() == bytes(len(data))


def test_arrays_of_numpy_go_in_and_out(connect: Callable[[Stack], Client]) -> None:
    """In jobs that have numpy, as the user's image would; the runner's environment has nothing but the runner."""
    numpy = pytest.importorskip("numpy")
    matrix = numpy.arange(12.0).reshape(3, 4)
    with Stack(Options(job_python=sys.executable)) as stack:
        client = connect(stack.start_all())
        product = client.submit(lambda m: m @ m.T, matrix).result()
        rows = client.map(numpy.sum, list(matrix))
        client.disconnect()
    assert product.dtype == matrix.dtype
    assert (product == matrix @ matrix.T).all()
    assert rows == [6.0, 22.0, 38.0]


def test_a_function_of_the_main_program_needs_no_module(stack: Stack) -> None:
    """As a user's script does it: everything is defined in ``__main__``."""
    script = stack.directory / "script.py"
    script.write_text(MAIN)
    assert stack.run("script", str(script), stack.scheduler_address) == "[Money(3), Money(6)] Broke(7)\n"


MAIN = """
import sys
from scaler import Client

RATE = 3

class Money:
    def __init__(self, amount):
        self.amount = amount

    def __repr__(self):
        return f"Money({self.amount})"

class Broke(Exception):
    pass

def convert(amount):
    return Money(amount * RATE)

def fail(amount):
    raise Broke(amount)

if __name__ == "__main__":
    with Client(address=sys.argv[1]) as client:
        converted = client.map(convert, [1, 2])
        future = client.submit(fail, 7)
        try:
            future.result()
        except Broke as error:
            print(converted, repr(error))
"""
