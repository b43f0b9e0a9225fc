"""Packs: the calls of one submission on their way into containers.

A pack holds bundles, one for each job of the submission: a single job runs bundle 0, child *n* of an array runs
bundle *n*. A bundle holds one or more calls, which one container runs. Serializer, function and arguments are the
client's bytes, each distinct one stored once however many calls use it: a map over a thousand items carries its
function a single time.

The index of a pack (see :mod:`~scaler_batch.payload.sections`) is::

    {"bundles": [[[task id in hex, serializer, function, [argument, …]], …], …], "sizes": […]}

where serializer, function and arguments are positions among the values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scaler_batch.payload import sections
from scaler_batch.payload.envelope import Kind, seal, unseal
from scaler_batch.payload.errors import MalformedError
from scaler_batch.payload.sections import Buffer


@dataclass(frozen=True, slots=True)
class Call:
    """One function with its arguments, as the client serialized them.

    Attributes:
        task_id: The scheduler's name for it.
        serializer: Pickle of the object that can read function and arguments, and write the result.
        function: The function, written by that serializer.
        arguments: Positional arguments, each written by that serializer.
    """

    task_id: bytes
    serializer: Buffer
    function: Buffer
    arguments: tuple[Buffer, ...] = ()


Bundle = Sequence[Call]


def encode_pack(bundles: Iterable[Bundle]) -> bytes:
    """Write the bundles of one submission as a sealed pack."""
    values: dict[Buffer, int] = {}

    def place(value: Buffer) -> int:
        return values.setdefault(value, len(values))

    index = [
        [
            [call.task_id.hex(), place(call.serializer), place(call.function), [place(item) for item in call.arguments]]
            for call in bundle
        ]
        for bundle in bundles
    ]
    return seal(Kind.PACK, sections.join({"bundles": index}, list(values)))


def decode_bundle(pack: Buffer, index: int) -> list[Call]:
    """Read one bundle of a sealed pack; its values are views into it.

    Raises:
        MalformedError: Not a pack, damaged, or without this bundle.
        VersionError: Written by a version this reader does not know.
    """
    described, values = sections.split(unseal(Kind.PACK, pack))
    bundles = described.get("bundles")
    if not isinstance(bundles, list) or not 0 <= index < len(bundles):
        raise MalformedError(f"the pack has no bundle {index}")
    try:
        return [_call(entry, values) for entry in bundles[index]]
    except (TypeError, ValueError, IndexError) as error:
        raise MalformedError(f"bundle {index} of the pack is not a list of calls: {error}") from error


def _call(entry: Any, values: Sequence[memoryview]) -> Call:
    task_id, serializer, function, arguments = entry
    positions = [serializer, function, *arguments]
    # A negative position would silently read from the end; a bool is an int to Python but not to us.
    if not all(type(position) is int and position >= 0 for position in positions):
        raise ValueError("a position among the values is a whole number from 0")
    first, second, *rest = (values[position] for position in positions)
    return Call(bytes.fromhex(task_id), first, second, tuple(rest))
