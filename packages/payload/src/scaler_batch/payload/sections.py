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
import struct
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final

from scaler_batch.payload.buffers import Buffer, Pieces
from scaler_batch.payload.errors import MalformedError

_SIZE: Final = struct.Struct("<I")


def join(index: Mapping[str, Any], values: Sequence[Buffer]) -> Pieces:
    """Write ``index`` and ``values`` as one body; the values are pieces of it as they are."""
    head = json.dumps({**index, "sizes": [len(value) for value in values]}, separators=(",", ":")).encode()
    return [_SIZE.pack(len(head)) + head, *values]


def split(body: Buffer) -> tuple[dict[str, Any], list[memoryview]]:
    """Read what :func:`join` wrote; the values are views into ``body``.

    Raises:
        MalformedError: It is not such a body.
    """
    view = memoryview(body)
    if len(view) < _SIZE.size:
        raise MalformedError("no index at the beginning of the body")
    start = _SIZE.size + _SIZE.unpack_from(view)[0]
    index = _index(view[_SIZE.size : start])
    ends = list(accumulate(index["sizes"], initial=start))
    if ends[-1] != len(view):
        raise MalformedError(f"the index describes {ends[-1]} bytes, the body has {len(view)}")
    return index, [view[left:right] for left, right in pairwise(ends)]


def _index(head: memoryview) -> dict[str, Any]:
    try:
        index = json.loads(str(head, "utf-8"))
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"the index is not JSON: {error}") from error
    if not isinstance(index, dict) or not _are_sizes(index.get("sizes")):
        raise MalformedError("the index does not list the sizes of the values")
    return index


def _are_sizes(sizes: Any) -> bool:
    return isinstance(sizes, list) and all(type(size) is int and size >= 0 for size in sizes)


def whole(entry: Any) -> int:
    """Return an entry of an index that has to be a whole number from 0; else raise ``ValueError``."""
    # A bool is an int to Python but not to us.
    if type(entry) is not int or entry < 0:
        raise ValueError("not a whole number from 0")
    return entry


def text(entry: Any) -> str:
    """Return an entry of an index that has to be text; else raise ``ValueError``."""
    if not isinstance(entry, str):
        raise ValueError("not a text")
    return entry


def items(entry: Any) -> list[Any]:
    """Return an entry of an index that has to be a list; else raise ``ValueError``."""
    if not isinstance(entry, list):
        raise ValueError("not a list")
    return entry
