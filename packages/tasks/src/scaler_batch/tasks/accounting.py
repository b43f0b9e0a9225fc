"""What a manager sends to S3 and fetches from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from scaler_batch.payload import ObjectInfo, Store
from scaler_batch.payload.buffers import Buffer, Pieces, size_of


class CountedStore:
    """A store whose use is counted.

    Args:
        store: Which.

    Attributes:
        calls: Requests to S3, by operation.
        sent: Bytes put into S3.
        received: Bytes fetched from it.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.calls: Counter[str] = Counter()
        self.sent = 0
        self.received = 0

    async def put(self, key: str, data: Pieces) -> None:
        """Store an object, given in pieces, replacing what lay there."""
        self.calls["PutObject"] += 1
        self.sent += size_of(data)
        await self._store.put(key, data)

    async def get(self, key: str) -> Buffer:
        """Return the whole object."""
        self.calls["GetObject"] += 1
        data = await self._store.get(key)
        self.received += len(data)
        return data

    async def renew(self, key: str) -> None:
        """Have an object count as stored now."""
        self.calls["CopyObject"] += 1
        await self._store.renew(key)

    async def list(self, prefix: str) -> list[str]:
        """Return all keys below ``prefix``."""
        keys = await self._store.list(prefix)
        self.calls["ListObjectsV2"] += max(1, -(-len(keys) // 1000))
        return keys

    async def infos(self, prefix: str) -> dict[str, ObjectInfo]:
        """Return all keys below ``prefix``, with what is known of each object."""
        found = await self._store.infos(prefix)
        self.calls["ListObjectsV2"] += max(1, -(-len(found) // 1000))
        return found

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects."""
        self.calls["DeleteObjects"] += -(-len(keys) // 1000)
        await self._store.delete(keys)
