"""Packs: the calls of one submission on their way into containers.

A pack holds bundles, one for each job of the submission: a single job runs bundle 0, child *n* of an array runs
bundle *n*. A bundle holds one or more calls, which one container runs. Serializer, function and arguments are the
client's bytes, each distinct one stored once however many calls use it: a map over a thousand items carries its
function a single time. A large one is not in the pack at all: it lies in the store by itself, once for a run, and the
pack says where (:class:`~.bundles.Reference`).

The index of a pack (see :mod:`~scaler_batch.payload.sections`) is::

    {"bundles": [[[serializer, function, argument, …], …], …], "objects": [[key, size], …],
     "client": [Python version, cloudpickle version], "processes": n, "sizes": […]}

where an entry is left out that has nothing to say. Serializer, function and arguments are numbers: 1 is the first
object, and after the last object come the values; 0 stands for the next value that was not used before. So the calls
of a map all look alike, and a thousand of them compress to next to nothing. Calls have no names here, for the same
reason: a call is known by its position in its bundle.

A pack of many bundles that has grown large goes out in parts (:mod:`~scaler_batch.payload.parts`), each of which is a
pack of one bundle.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scaler_batch.payload import sections
from scaler_batch.payload.buffers import Buffer, Pieces
from scaler_batch.payload.bundles import Bundle, Call, Client, Reference, Value, identity, references
from scaler_batch.payload.envelope import Kind, unseal
from scaler_batch.payload.errors import ContractError, MalformedError
from scaler_batch.payload.keys import check_object_key
from scaler_batch.payload.sections import in_short, items, text, whole


class _Numbers:
    """Gives every distinct value a number, in order of first use.

    Attributes:
        fresh: The values that were not known from the beginning, in order.
    """

    def __init__(self, known: Iterable[Value]) -> None:
        self._numbers = {identity(value): number for number, value in enumerate(known, start=1)}
        self.fresh: list[Buffer] = []

    def of(self, value: Value) -> int:
        """Return the number of a value, or 0 at its first use."""
        key = identity(value)
        number = self._numbers.get(key, 0)
        if not number and not isinstance(value, Reference):
            self._numbers[key] = len(self._numbers) + 1
            self.fresh.append(value)
        return number


def body_of(
    bundles: Iterable[Sequence[Call]],
    shared: Sequence[Buffer] = (),
    *,
    client: Client | None = None,
    processes: int = 0,
) -> Pieces:
    """Write bundles as the body of a pack.

    Args:
        bundles: The calls of each job.
        shared: Values that lie elsewhere, and that the reader will know before it reads this.
        client: What wrote the calls.
        processes: How many calls of a bundle may run side by side.
    """
    bundles = list(bundles)
    objects = references(itertools.chain.from_iterable(bundles))
    numbers = _Numbers([*objects, *shared])
    facts = {
        "objects": objects,
        "client": client,
        "processes": processes,
    }
    described = [[list(map(numbers.of, call.values)) for call in bundle] for bundle in bundles]
    return sections.join({"bundles": described, **{name: fact for name, fact in facts.items() if fact}}, numbers.fresh)


def decode_bundle(pack: Buffer, index: int, shared: Sequence[Buffer] = ()) -> Bundle:
    """Read one bundle of a sealed pack; its values are views into it.

    Args:
        pack: The sealed pack. Whoever has it from the store has compared it with its hash before.
        index: Which bundle.
        shared: Values that lie elsewhere, where the pack is one part of a larger one.

    Raises:
        MalformedError: Not a pack, damaged, or without this bundle.
        VersionError: Written by a version this reader does not know.
    """
    return read_bundle(unseal(Kind.PACK, pack), index, shared)


def decode_pack(pack: Buffer) -> list[Bundle]:
    """Read all bundles of a sealed pack in one piece; see :func:`decode_bundle`."""
    described, values = sections.split(unseal(Kind.PACK, pack))
    return _read(described, values, 0, len(_bundles(described)))


def read_bundle(body: Buffer, index: int, shared: Sequence[Buffer] = ()) -> Bundle:
    """Read one bundle of a pack's body; see :func:`decode_bundle`."""
    described, values = sections.split(body)
    if not 0 <= index < len(_bundles(described)):
        raise MalformedError(f"the pack has no bundle {index}")
    [bundle] = _read(described, values, index, index + 1, shared)
    return bundle


def _bundles(described: Mapping[str, Any]) -> list[Any]:
    bundles = described.get("bundles")
    if not isinstance(bundles, list):
        raise MalformedError("the pack does not list its bundles")
    return bundles


def _read(
    described: Mapping[str, Any], values: Sequence[Buffer], first: int, end: int, shared: Sequence[Buffer] = ()
) -> list[Bundle]:
    bundles = _bundles(described)
    try:
        known = [*(_reference(*entry) for entry in described.get("objects", ())), *shared]
        used = sum(call.count(0) for bundle in bundles[:first] for call in bundle)
        table = [*known, *values]
        # Where a value is used for the first time, it is the next one.
        fresh = itertools.count(len(known) + used + 1)
        facts = _client(described.get("client")), whole(described.get("processes", 0))
        return [
            Bundle([_call(table, [whole(number) or next(fresh) for number in call]) for call in items(bundle)], *facts)
            for bundle in bundles[first:end]
        ]
    except (TypeError, ValueError, IndexError, AttributeError, ContractError) as error:
        raise MalformedError(
            f"bundles {first} to {end} of the pack are not lists of calls: {in_short(error)}"
        ) from error


def _call(values: Sequence[Value], numbers: Sequence[int]) -> Call:
    serializer, function, *arguments = (values[number - 1] for number in numbers)
    return Call(serializer, function, tuple(arguments))


def _reference(key: Any, size: Any) -> Reference:
    return Reference(check_object_key(text(key)), whole(size))


def _client(entry: Any) -> Client | None:
    if entry is None:
        return None
    python, cloudpickle = entry
    return Client(text(python), text(cloudpickle))
