"""From Python objects to a call's bytes, and back inside the container.

A Scaler client sends its serializer as a pickle, then function, arguments and results as that serializer's output. The
default serializer is pickled by reference to a class of the ``scaler`` package, and a serializer of the user's own
inherits from one; the container has no ``scaler``, so both names are answered with equivalents of ours.

**Opening a call runs the user's code.** Nothing outside the container may do it.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import cloudpickle  # type: ignore[import-untyped]

from scaler_batch.payload.errors import MalformedError
from scaler_batch.payload.pack import Call


class Serializer(Protocol):
    """What a client's serializer can do."""

    def serialize(self, value: Any) -> bytes:
        """Write a result."""

    def deserialize(self, payload: bytes) -> Any:
        """Read a function or an argument."""


class CloudpickleSerializer:
    """The default: cloudpickle at its highest protocol."""

    @staticmethod
    def serialize(value: Any) -> bytes:
        """Write ``value`` with cloudpickle."""
        written: bytes = cloudpickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
        return written

    @staticmethod
    def deserialize(payload: bytes) -> Any:
        """Read what :meth:`serialize` wrote."""
        return cloudpickle.loads(payload)


class SerializerBase:
    """Stands in for the class that users' serializers inherit from."""


_EQUIVALENTS: dict[tuple[str, str], Any] = {
    ("scaler.client.serializer.default", "DefaultSerializer"): CloudpickleSerializer,
    ("scaler.client.serializer.mixins", "Serializer"): SerializerBase,
}


class _SerializerUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return _EQUIVALENTS.get((module, name)) or super().find_class(module, name)


@dataclass(frozen=True, slots=True)
class OpenCall:
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


def open_call(call: Call) -> OpenCall:
    """Turn a call's bytes into Python objects. Runs the user's code; whatever that raises passes through."""
    serializer = _SerializerUnpickler(io.BytesIO(call.serializer)).load()
    if not callable(getattr(serializer, "deserialize", None)) or not callable(getattr(serializer, "serialize", None)):
        raise MalformedError(
            f"the client's serializer, a {type(serializer).__name__}, cannot serialize and deserialize"
        )
    return OpenCall(
        serializer,
        serializer.deserialize(bytes(call.function)),
        tuple(serializer.deserialize(bytes(item)) for item in call.arguments),
    )


def make_call(task_id: bytes, function: Callable[..., Any], *arguments: Any) -> Call:
    """Write a function and its arguments as a call, as a Scaler client with the default serializer would."""
    serializer = CloudpickleSerializer()
    return Call(
        task_id,
        pickle.dumps(serializer),
        serializer.serialize(function),
        tuple(serializer.serialize(item) for item in arguments),
    )
