"""What a pack is made of: calls, in bundles, of values that lie in the pack or in the store."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from scaler_batch.payload.buffers import Buffer

_COMPARED: Final = 1024 * 1024
"""Bytes of a view up to which it is compared with others."""


class Reference(NamedTuple):
    """An object that lies in the store by itself.

    Attributes:
        key: Where, relative to the run.
        size: Its bytes, before sealing.
    """

    key: str
    size: int


Value = Buffer | Reference


class Call(NamedTuple):
    """One function with its arguments, as the client serialized them.

    Attributes:
        serializer: Pickle of the object that can read function and arguments, and write the result.
        function: The function, written by that serializer.
        arguments: Positional arguments, each written by that serializer.
    """

    serializer: Value
    function: Value
    arguments: tuple[Value, ...] = ()

    @property
    def values(self) -> Iterator[Value]:
        """All of it, in the order of the fields."""
        return itertools.chain((self.serializer, self.function), self.arguments)

    def changed(self, change: Callable[[Value], Value]) -> Call:
        """The same with each value changed."""
        return Call(change(self.serializer), change(self.function), tuple(map(change, self.arguments)))


class Client(NamedTuple):
    """What wrote the calls; the container must have the like of it to read them.

    Attributes:
        python: Minor version of Python, such as ``3.12``.
        cloudpickle: Version of cloudpickle, such as ``3.1.2``.
    """

    python: str
    cloudpickle: str


class Bundle(NamedTuple):
    """What one job runs.

    Attributes:
        calls: In the order in which they are started; a call is known by its position.
        client: What wrote them, where that is known.
        processes: How many may run side by side; 0 leaves it to the container.
    """

    calls: Sequence[Call]
    client: Client | None = None
    processes: int = 0

    def resolved(self, objects: Mapping[Reference, Buffer]) -> Bundle:
        """The same, with objects in the place of references."""

        def fetched(value: Value) -> Value:
            return objects[value] if isinstance(value, Reference) else value

        return self._replace(calls=[call.changed(fetched) for call in self.calls])


def merged(bundles: Iterable[Sequence[Call]]) -> list[list[Call]]:
    """The same calls, with equal values made one object; large views, which would have to be copied, are left alone."""
    contents: dict[Hashable, Value] = {}
    seen: dict[int, Value] = {}

    def one(value: Value) -> Value:
        # A function that ten thousand calls share is looked into once.
        if id(value) not in seen:
            seen[id(value)] = contents.setdefault(_content(value), value)
        return seen[id(value)]

    return [[call.changed(one) for call in bundle] for bundle in bundles]


def _content(value: Value) -> Hashable:
    if isinstance(value, memoryview):
        return bytes(value) if len(value) <= _COMPARED else id(value)
    return value


def identity(value: Value) -> Hashable:
    """What makes two values the same, once equal ones were :func:`merged`."""
    return value if isinstance(value, Reference) else id(value)


def references(calls: Iterable[Call]) -> list[Reference]:
    """The objects that calls refer to, each once."""
    return list(dict.fromkeys(value for call in calls for value in call.values if isinstance(value, Reference)))
