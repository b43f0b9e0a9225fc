"""A store in memory."""

from __future__ import annotations

from collections.abc import Sequence

from scaler_batch.payload.buffers import Buffer, Pieces
from scaler_batch.payload.errors import AlreadyStoredError, NotStoredError
from scaler_batch.payload.parts import Range
from scaler_batch.payload.store import ObjectInfo


class MemoryStore:
    """A run's objects in memory.

    Attributes:
        objects: What lies where.
        stored_at: When what was stored, where it was not at the time of day 0.
        time: What time of day it is, in seconds since the epoch; whoever tests moves it.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.stored_at: dict[str, float] = {}
        self.time = 0.0

    async def put(self, key: str, data: Pieces) -> None:
        """Store an object, replacing what lay there."""
        self.objects[key] = b"".join(data)
        self.stored_at[key] = self.time

    async def get(self, key: str) -> Buffer:
        """Return the whole object."""
        try:
            return self.objects[key]
        except KeyError:
            raise NotStoredError(key) from None

    async def renew(self, key: str) -> None:
        """Do nothing: objects here do not age. :class:`NotStoredError` where there is none."""
        await self.get(key)

    async def list(self, prefix: str) -> list[str]:
        """Return all keys below ``prefix``."""
        return [key for key in self.objects if key.startswith(f"{prefix}/")]

    async def infos(self, prefix: str) -> dict[str, ObjectInfo]:
        """Return all keys below ``prefix``, with what is known of each object."""
        return {
            key: ObjectInfo(self.stored_at.get(key, 0.0), len(data))
            for key, data in self.objects.items()
            if key.startswith(f"{prefix}/")
        }

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; keys that do not exist are removed already."""
        for key in keys:
            self.objects.pop(key, None)

    def put_once(self, key: str, data: Pieces) -> None:
        """Store an object unless something lies there."""
        if key in self.objects:
            raise AlreadyStoredError(key)
        self.objects[key] = b"".join(data)


class BlockingMemoryStore:
    """The objects of a :class:`MemoryStore`, for callers without an event loop.

    Args:
        store: Whose objects.
    """

    def __init__(self, store: MemoryStore) -> None:
        self.put_once = store.put_once
        self._objects = store.objects

    def get(self, key: str) -> Buffer:
        """Return the whole object."""
        try:
            return self._objects[key]
        except KeyError:
            raise NotStoredError(key) from None

    def get_ranges(self, key: str, ranges: Sequence[Range]) -> Sequence[Buffer]:
        """Return parts of an object."""
        whole = self.get(key)
        return [whole[start:end] for start, end in ranges]

    def list(self, prefix: str) -> list[str]:
        """Return all keys below ``prefix``."""
        return [key for key in self._objects if key.startswith(f"{prefix}/")]
