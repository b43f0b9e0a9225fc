"""A body of two parts: a small JSON index, then large values one after the other, untouched.

The index holds what is small and structured; each value is bytes that this package never looks into. Packs and outcomes
are both written this way::

    offset  size  field
    0       4     size of the index, u32 little-endian
    4       …     index: one JSON object in UTF-8, with "sizes": [bytes of value 0, of value 1, …]
    …       …     value 0, value 1, …
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final

from scaler_batch.payload.buffers import Buffer, Pieces
from scaler_batch.payload.errors import MalformedError, OversizedError

_SIZE: Final = struct.Struct("<I")

MAX_INDEX: Final = 16 * 1024**2
"""Largest index a reader accepts unless told otherwise, in bytes. Python objects take up to 27 times as much memory as
the JSON they are read from, and the interpreter runs nothing else while it reads them."""

MAX_NUMBER: Final = 2**63 - 1
"""Largest whole number in an index: what a signed integer of 64 bits holds, so that any protocol can pass it on."""

_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)

_LONGEST_REASON: Final = 200
"""Characters of a reason that are passed on."""


def join(index: Mapping[str, Any], values: Sequence[Buffer]) -> Pieces:
    """Write ``index`` and ``values`` as one body; the values are pieces of it as they are."""
    described = {**index, "sizes": [len(value) for value in values]}
    head = to_json(described).encode("utf-8", "backslashreplace")  # a lone surrogate becomes an escape of JSON
    return [_SIZE.pack(len(head)) + head, *values]


def to_json(entry: Any) -> str:
    """Write an entry of an index as it will stand there."""
    return json.dumps(entry, separators=(",", ":"), ensure_ascii=False)


def split(
    body: Buffer, *, max_index: int = MAX_INDEX, max_containers: int = MAX_NUMBER
) -> tuple[dict[str, Any], list[memoryview]]:
    """Read what :func:`join` wrote; the values are views into ``body``.

    Args:
        body: The whole body.
        max_index: Largest index to accept, in bytes.
        max_containers: Most lists and objects in the index. Each is one more that the garbage collector has to visit,
            in whatever thread it happens to run; so an index with more is refused before any of them is made.

    Raises:
        MalformedError: It is not such a body, or its index has more than ``max_containers``.
        OversizedError: The index is larger than ``max_index``.
    """
    view = memoryview(body)
    if len(view) < _SIZE.size:
        raise MalformedError("no index at the beginning of the body")
    (size,) = _SIZE.unpack_from(view)
    if size > max_index:
        raise OversizedError(f"an index of {size} bytes, where at most {max_index} are accepted")
    start = _SIZE.size + size
    head = bytes(view[_SIZE.size : start])
    # Brackets in strings are no containers, but they are seldom so many that it matters.
    if _brackets(head) > max_containers and _brackets(_STRING.sub(b"", head)) > max_containers:
        raise MalformedError(f"an index with more than {max_containers} lists and objects")
    index = _index(head)
    ends = list(accumulate(index["sizes"], initial=start))
    if ends[-1] != len(view):
        raise MalformedError(f"the index describes {ends[-1]} bytes, the body has {len(view)}")
    return index, [view[left:right] for left, right in pairwise(ends)]


def _brackets(head: bytes) -> int:
    return head.count(b"[") + head.count(b"{")


def _index(head: bytes) -> dict[str, Any]:
    try:
        index = json.loads(head.decode())
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"the index is not JSON: {in_short(error)}") from error
    if not isinstance(index, dict) or not _are_sizes(index.get("sizes")):
        raise MalformedError("the index does not list the sizes of the values")
    return index


def _are_sizes(sizes: Any) -> bool:
    return isinstance(sizes, list) and all(type(size) is int and size >= 0 for size in sizes)


def in_short(error: Exception) -> str:
    """Say what was wrong with an entry; the error may quote all of it."""
    return repr(error)[:_LONGEST_REASON]


def whole(entry: Any) -> int:
    """Return an entry of an index that has to be a whole number from 0 to 2**63 - 1; else raise ``ValueError``."""
    # A bool is an int to Python but not to us.
    if type(entry) is not int or not 0 <= entry <= MAX_NUMBER:
        raise ValueError(f"not a whole number from 0 to {MAX_NUMBER}")
    return entry


def text(entry: Any) -> str:
    """Return an entry of an index that has to be text, which UTF-8 can carry; else raise ``ValueError``."""
    if not isinstance(entry, str):
        raise ValueError("not a text")
    try:
        entry.encode()
    except UnicodeEncodeError:
        # JSON can express a lone surrogate, which would fail whoever writes the text elsewhere.
        raise ValueError("not a text that UTF-8 can carry") from None
    return entry


def items(entry: Any) -> list[Any]:
    """Return an entry of an index that has to be a list; else raise ``ValueError``."""
    if not isinstance(entry, list):
        raise ValueError("not a list")
    return entry
