"""Packs in one piece, and large ones in parts, so that each job of an array reads what is its own.

A pack of up to :data:`WHOLE_UP_TO` bytes is one envelope, and whoever wants a bundle reads all of it: one request,
and all bundles compressed together. A larger one of several bundles is a row of envelopes::

    table          where the rest lies, and who needs what
    object         a value that more than one bundle uses
    object         another
    …
    pack           bundle 0, of one bundle
    pack           bundle 1
    …

The index of the table (see :mod:`~scaler_batch.payload.sections`) is::

    {"uses": [[object, …], …], "parts": [bytes, …], "sizes": []}

with the numbers of the objects that each bundle uses, counted from 0 and rising, and the sizes of all parts behind the
table, in order. The job's parameter says how long the table is. A reader gets that first, then the parts that concern
it, all at once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any, Final, NamedTuple

from scaler_batch.payload import sections
from scaler_batch.payload.buffers import Buffer, Pieces, size_of
from scaler_batch.payload.bundles import Bundle, Call, Client, identity, merged
from scaler_batch.payload.envelope import HEADER_SIZE, MAX_BODY, Kind, seal, unseal
from scaler_batch.payload.errors import MalformedError
from scaler_batch.payload.objects import encode_object
from scaler_batch.payload.pack import body_of, decode_bundle
from scaler_batch.payload.sections import in_short, items, whole

WHOLE_UP_TO: Final = 1024 * 1024
"""Bytes of a body up to which a pack is read as a whole: below it, a second request takes longer than what it saves."""

_NEAR: Final = 64 * 1024
"""Bytes between two parts up to which both are fetched at once, with what lies between them."""

Range = tuple[int, int]
"""Bytes of an object: the first, and the one after the last."""

Read = Callable[[Sequence[Range]], Sequence[Buffer]]
"""Fetches ranges of one object."""


class Pack(NamedTuple):
    """A pack, sealed.

    Attributes:
        pieces: Its bytes.
        table: Bytes of the table at its beginning; 0 for a pack in one piece.
    """

    pieces: Pieces
    table: int = 0

    @property
    def size(self) -> int:
        """Bytes in all."""
        return size_of(self.pieces)


def encode_pack(bundles: Sequence[Sequence[Call]], *, client: Client | None = None, processes: int = 0) -> Pack:
    """Write the bundles of one submission as a sealed pack.

    Args:
        bundles: The calls of each job.
        client: What wrote the calls, for the container to compare itself with.
        processes: How many calls of a bundle may run side by side; 0 leaves it to the container.
    """
    facts: dict[str, Any] = {"client": client, "processes": processes}
    bundles = merged(bundles)
    body = body_of(bundles, **facts)
    if len(bundles) == 1 or size_of(body) <= WHOLE_UP_TO:
        return Pack(seal(Kind.PACK, body))
    shared = _shared(bundles)
    numbers = {identity(value): number for number, value in enumerate(shared)}
    uses = [_uses(bundle, numbers) for bundle in bundles]
    parts = [encode_object(value) for value in shared]
    for bundle, used in zip(bundles, uses, strict=True):
        parts.append(seal(Kind.PACK, body_of([bundle], [shared[number] for number in used], **facts)))
    table = seal(Kind.TABLE, sections.join({"uses": uses, "parts": list(map(size_of, parts))}, []))
    return Pack([*table, *chain.from_iterable(parts)], size_of(table))


def _shared(bundles: Sequence[Sequence[Call]]) -> list[Buffer]:
    """Values that more than one bundle uses."""
    uses: Counter[Hashable] = Counter()
    values: dict[Hashable, Buffer] = {}
    for bundle in bundles:
        own = {identity(value): value for call in bundle for value in call.values if isinstance(value, Buffer)}
        values |= own
        uses.update(own.keys())
    return [value for key, value in values.items() if uses[key] > 1]


def _uses(bundle: Sequence[Call], numbers: Mapping[Hashable, int]) -> list[int]:
    own = {identity(value) for call in bundle for value in call.values}
    return sorted(numbers[key] for key in own & numbers.keys())


def fetch_bundle(read: Read, table: int, index: int) -> Bundle:
    """Read one bundle of a pack in parts: its table, then the parts that concern the bundle.

    Raises:
        MalformedError: Damaged, or without this bundle.
        VersionError: Written by a version this reader does not know.
    """
    [sealed] = read([(0, table)])
    *shared, pack = _read_near(read, _ranges(sealed, table, index))
    return decode_bundle(pack, 0, [unseal(Kind.OBJECT, value) for value in shared])


def _ranges(sealed: Buffer, table: int, index: int) -> list[Range]:
    """Where the parts of a bundle lie; the last is the bundle itself."""
    described, _ = sections.split(unseal(Kind.TABLE, sealed))
    try:
        uses, sizes = items(described["uses"]), items(described["parts"])
        if not 0 <= index < len(uses):
            raise MalformedError(f"the pack has no bundle {index}")
        parts = list(pairwise(accumulate(map(whole, sizes), initial=table)))
        numbers = [*map(whole, items(uses[index])), len(sizes) - len(uses) + index]
        ranges = [parts[number] for number in numbers]
    except (KeyError, IndexError, ValueError) as error:
        raise MalformedError(f"the table of the pack does not describe its parts: {in_short(error)}") from error
    # No part is there twice, none is empty, and all lie in one object: a store may be asked for them.
    rising = all(left < right for left, right in pairwise([-1, *numbers]))
    if not rising or ranges[-1][1] > MAX_BODY or any(end - start < HEADER_SIZE for start, end in ranges):
        raise MalformedError("the table of the pack names parts that cannot be")
    return ranges


def _read_near(read: Read, ranges: Sequence[Range]) -> list[memoryview]:
    """Read rising ranges; a store makes a request of each, so those that lie near each other go as one."""
    runs: list[Range] = []
    for start, end in ranges:
        if runs and start - runs[-1][1] <= _NEAR:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
    starts = [start for start, _ in runs]
    found = [memoryview(data) for data in read(runs)]
    places = ((bisect_right(starts, start) - 1, start, end) for start, end in ranges)
    return [found[run][start - starts[run] : end - starts[run]] for run, start, end in places]
