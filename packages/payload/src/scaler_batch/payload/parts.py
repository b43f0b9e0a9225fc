"""Packs in one piece, and large ones in parts, so that each job of an array reads what is its own.

A pack of up to :data:`WHOLE_UP_TO` bytes is one envelope, and whoever wants a bundle reads all of it: one request,
and all bundles compressed together. A larger one of several bundles is a row of envelopes::

    table          where the rest lies, and who needs what
    hashes         the SHA-256 of each part, one after the other
    object         a value that more than one bundle uses
    object         another
    …
    pack           bundle 0, of one bundle
    pack           bundle 1
    …

The index of the table (see :mod:`~scaler_batch.payload.sections`) is::

    {"uses": [[object, …], …], "parts": [bytes, …], "sizes": [bytes]}

with the numbers of the objects that each bundle uses, counted from 0 and rising, and the sizes of all parts, in order.
The hashes are divided into pages of :data:`PAGE`, and the one value of the table is the SHA-256 of each page: ten
thousand hashes are more than most parts, and none of ten thousand jobs needs them all. The job's parameter says how
long the table is, and its SHA-256. A reader gets the table first, then the pages and parts that concern it, all at
once. It compares everything with its hash before it reads it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any, Final, NamedTuple

from scaler_batch.payload import sections
from scaler_batch.payload.buffers import Buffer, Pieces, size_of
from scaler_batch.payload.bundles import Bundle, Call, Client, identity, merged
from scaler_batch.payload.envelope import HEADER_SIZE, MAX_BODY, Kind, seal, unseal
from scaler_batch.payload.errors import MalformedError
from scaler_batch.payload.hashing import DIGITS, check_digest, digest, digest_of
from scaler_batch.payload.objects import encode_object
from scaler_batch.payload.pack import body_of, decode_bundle
from scaler_batch.payload.sections import in_short, items, whole

WHOLE_UP_TO: Final = 1024 * 1024
"""Bytes of a body up to which a pack is read as a whole: below it, a second request takes longer than what it saves."""

_NEAR: Final = 64 * 1024
"""Bytes between two parts up to which both are fetched at once, with what lies between them."""

_HASH: Final = DIGITS // 2
"""Bytes of a SHA-256."""

PAGE: Final = 128
"""Hashes that a page has."""

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

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of what is to be read first: the table, or the pack in one piece."""
        return digest_of(list(self._head()) if self.table else self.pieces)

    def _head(self) -> Iterator[Buffer]:
        left = self.table
        for piece in self.pieces:
            if left <= 0:
                return
            yield piece
            left -= len(piece)


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
    hashes = bytes.fromhex("".join(map(digest_of, parts)))
    pages = b"".join(bytes.fromhex(digest(hashes[start:end])) for start, end in _pages(len(parts)))
    table = seal(Kind.TABLE, sections.join({"uses": uses, "parts": list(map(size_of, parts))}, [pages]))
    return Pack([*table, hashes, *chain.from_iterable(parts)], size_of(table))


def _pages(parts: int) -> list[Range]:
    """Where the pages of so many hashes lie, from the first on."""
    size = parts * _HASH
    return [(start, min(start + PAGE * _HASH, size)) for start in range(0, size, PAGE * _HASH)]


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


def fetch_bundle(read: Read, table: int, digest: str, index: int) -> Bundle:
    """Read one bundle of a pack in parts: its table, then the parts that concern the bundle.

    Args:
        read: Fetches ranges of the pack.
        table: Bytes of its table.
        digest: SHA-256 of its table, in hex.
        index: Which bundle.

    Raises:
        AlteredError: The table, or a part, is not the one that was written.
        MalformedError: Without this bundle, or not written as we do.
        VersionError: Written by a version this reader does not know.
    """
    [sealed] = read([(0, table)])
    check_digest(sealed, digest, "the table of the pack")
    plan = _plan(sealed, table, index)
    found = _read_near(read, [*plan.pages.values(), *plan.parts.values()])
    pages = dict(zip(plan.pages, found, strict=False))
    parts = dict(zip(plan.parts, found[len(pages) :], strict=True))
    for number, page in pages.items():
        check_digest(page, _hash_at(plan.hashes, number), "the table of the pack")
    for number, part in parts.items():
        check_digest(part, _hash_at(pages[number // PAGE], number % PAGE), "a part of the pack")
    *shared, pack = parts.values()
    return decode_bundle(pack, 0, [unseal(Kind.OBJECT, value) for value in shared])


def _hash_at(hashes: Buffer, number: int) -> str:
    return bytes(hashes[number * _HASH : (number + 1) * _HASH]).hex()


class _Plan(NamedTuple):
    """What to read for a bundle.

    Attributes:
        hashes: Those of the pages.
        pages: Where the pages lie that it needs, by number, rising.
        parts: Where its parts lie, by number, rising; the last is the bundle itself.
    """

    hashes: Buffer
    pages: Mapping[int, Range]
    parts: Mapping[int, Range]


def _plan(sealed: Buffer, table: int, index: int) -> _Plan:
    described, values = sections.split(unseal(Kind.TABLE, sealed))
    try:
        [hashes] = values
        uses, sizes = items(described["uses"]), items(described["parts"])
        if not 0 <= index < len(uses):
            raise MalformedError(f"the pack has no bundle {index}")
        parts = list(pairwise(accumulate(map(whole, sizes), initial=table + len(sizes) * _HASH)))
        numbers = [*map(whole, items(uses[index])), len(sizes) - len(uses) + index]
        ranges = {number: parts[number] for number in numbers}
    except (KeyError, IndexError, ValueError) as error:
        raise MalformedError(f"the table of the pack does not describe its parts: {in_short(error)}") from error
    # No part is there twice, none is empty, and all lie in one object: a store may be asked for them.
    rising = all(left < right for left, right in pairwise([-1, *numbers]))
    ends = parts[numbers[-1]][1]
    if not rising or ends > MAX_BODY or any(end - start < HEADER_SIZE for start, end in ranges.values()):
        raise MalformedError("the table of the pack names parts that cannot be")
    pages = _pages(len(sizes))
    needed = {page: (table + pages[page][0], table + pages[page][1]) for page in sorted({n // PAGE for n in numbers})}
    return _Plan(hashes, needed, ranges)


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
