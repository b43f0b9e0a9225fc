"""From Python objects to a call's bytes, and back inside the container.

A Scaler client sends its serializer as a pickle, then function, arguments and results as that serializer's output. The
default serializer is pickled by reference to a class of the ``scaler`` package, and a serializer of the user's own
inherits from one; the container has no ``scaler``, so both names are answered with equivalents of ours.

**Opening a call runs the user's code.** Nothing outside the container may do it.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple, Protocol

from scaler_batch.payload.buffers import Buffer
from scaler_batch.payload.bundles import Call, Reference, Value
from scaler_batch.payload.errors import MalformedError


class Serializer(Protocol):
    """What a client's serializer can do."""

    def serialize(self, value: Any) -> bytes:
        """Write a result."""

    def deserialize(self, payload: bytes) -> Any:
        """Read a function or an argument."""


_PLAIN: Final = frozenset({type(None), bool, int, float, complex, str, bytes, bytearray})
"""Types that cloudpickle leaves to pickle."""


class CloudpickleSerializer:
    """The default: cloudpickle at its highest protocol.

    Importing cloudpickle takes longer than all else that a short job does, so it is left until it is needed.
    """

    @staticmethod
    def serialize(value: Any) -> bytes:
        """Write ``value`` as cloudpickle does."""
        if type(value) in _PLAIN:
            return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
        import cloudpickle  # type: ignore[import-untyped]

        written: bytes = cloudpickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
        return written

    @staticmethod
    def deserialize(payload: Buffer) -> Any:
        """Read what :meth:`serialize` wrote; cloudpickle's own reader is pickle's."""
        return pickle.loads(payload)  # noqa: S301 - this is the process of the user's code


class SerializerBase:
    """Stands in for the class that users' serializers inherit from."""


_EQUIVALENTS: dict[tuple[str, str], Any] = {
    ("scaler.client.serializer.default", "DefaultSerializer"): CloudpickleSerializer,
    ("scaler.client.serializer.mixins", "Serializer"): SerializerBase,
}


_CLOUDPICKLE: Final = re.compile(b"cloudpickle")

_SEARCHED: Final = 1024 * 1024
"""Bytes of a value that are looked through: all of it, unless it is an object that lies in the store by itself."""


class _SerializerUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return _EQUIVALENTS.get((module, name)) or super().find_class(module, name)


class OpenCall(NamedTuple):
    """A call as Python objects.

    Attributes:
        serializer: Writes the result for the client.
        function: What to run.
        arguments: What to run it on.
    """

    serializer: Serializer
    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    def run(self) -> bytes:
        """Run the function and return its result as the client's serializer writes it."""
        return self.serializer.serialize(self.function(*self.arguments))


def needs_cloudpickle(calls: Iterable[Call]) -> bool:
    """Whether reading the calls will import cloudpickle, which every pickle names that holds something by value."""
    values = {id(value): value for call in calls for value in call.values if not isinstance(value, Reference)}
    return any(_CLOUDPICKLE.search(value[:_SEARCHED]) for value in values.values())


def open_call(call: Call) -> OpenCall:
    """Turn a call's bytes into Python objects. Runs the user's code; whatever that raises passes through."""
    serializer = _SerializerUnpickler(io.BytesIO(_fetched(call.serializer))).load()
    if not callable(getattr(serializer, "deserialize", None)) or not callable(getattr(serializer, "serialize", None)):
        raise MalformedError(
            f"the client's serializer, a {type(serializer).__name__}, cannot serialize and deserialize"
        )
    function, *arguments = (serializer.deserialize(_readable(serializer, item)) for item in list(call.values)[1:])
    return OpenCall(serializer, function, tuple(arguments))


def _readable(serializer: Serializer, item: Value) -> Buffer:
    """A serializer of the user's own may count on bytes; ours spares the copy."""
    data = _fetched(item)
    return data if isinstance(serializer, CloudpickleSerializer) else bytes(data)


def _fetched(value: Value) -> Buffer:
    if isinstance(value, Reference):
        raise MalformedError(f"object {value.key} was not fetched")
    return value


def make_call(function: Callable[..., Any], *arguments: Any) -> Call:
    """Write a function and its arguments as a call, as a Scaler client with the default serializer would."""
    serializer = CloudpickleSerializer()
    return Call(
        pickle.dumps(serializer),
        serializer.serialize(function),
        tuple(serializer.serialize(item) for item in arguments),
    )
