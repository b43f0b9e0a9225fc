"""What scaler-batch asks of the object store, and no more.

Keys are relative to one run (:class:`~scaler_batch.payload.keys.RunLocation`). There are two protocols because there
are two kinds of caller: the task manager, which has an event loop and a thousand things to do at once, and the runner,
which is a short straight line and shall not pay for an event loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from scaler_batch.payload.buffers import Buffer, Pieces
from scaler_batch.payload.parts import Range


class ObjectInfo(NamedTuple):
    """What a listing says of an object.

    Attributes:
        stored_at: When it was stored, by the store's own clock, in seconds since the epoch.
        size: Its bytes.
    """

    stored_at: float
    size: int


class Store(Protocol):
    """The objects of one run, for callers with an event loop. Every method raises :class:`StoreError`."""

    async def put(self, key: str, data: Pieces) -> None:
        """Store an object, given in pieces, replacing what lay there."""

    async def get(self, key: str) -> Buffer:
        """Return the whole object; :class:`NotStoredError` where there is none."""

    async def renew(self, key: str) -> None:
        """Have an object count as stored now, so that a lifecycle spares it; :class:`NotStoredError` without one."""

    async def list(self, prefix: str) -> list[str]:
        """Return all keys below ``prefix``, a path without a slash at its end, in no particular order."""

    async def infos(self, prefix: str) -> dict[str, ObjectInfo]:
        """Return all keys below ``prefix``, as :meth:`list` does, with what is known of each object."""

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects, many at a time; keys that do not exist are removed already."""


class BlockingStore(Protocol):
    """The objects of one run, for the runner. Every method raises :class:`StoreError`."""

    def get(self, key: str) -> Buffer:
        """Return the whole object; :class:`NotStoredError` where there is none."""

    def get_ranges(self, key: str, ranges: Sequence[Range]) -> Sequence[Buffer]:
        """Return parts of an object that is long enough; :class:`NotStoredError` where there is none."""

    def list(self, prefix: str) -> list[str]:
        """Return all keys below ``prefix``, a path without a slash at its end, in no particular order."""

    def put_once(self, key: str, data: Pieces) -> None:
        """Store an object unless something lies there; then :class:`AlreadyStoredError`, and nothing changes."""
