"""Doubles of this package's ports, for the tests of its users."""

from __future__ import annotations

from collections.abc import Sequence

from scaler_batch.payload.errors import AlreadyStoredError, NotStoredError
from scaler_batch.payload.sections import Buffer


class MemoryStore:
    """A run's objects in memory.

    Attributes:
        objects: What lies where.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    async def put(self, key: str, data: Buffer) -> None:
        """Store ``data``, replacing what lay there."""
        self.objects[key] = bytes(data)

    async def get(self, key: str) -> Buffer:
        """Return the whole object."""
        try:
            return self.objects[key]
        except KeyError:
            raise NotStoredError(key) from None

    async def list(self, prefix: str) -> list[str]:
        """Return all keys below ``prefix``."""
        return [key for key in self.objects if key.startswith(f"{prefix}/")]

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; keys that do not exist are removed already."""
        for key in keys:
            self.objects.pop(key, None)

    def put_once(self, key: str, data: Buffer) -> None:
        """Store ``data`` unless something lies there."""
        if key in self.objects:
            raise AlreadyStoredError(key)
        self.objects[key] = bytes(data)


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
