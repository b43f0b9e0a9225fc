"""What a manager has done: calls, bytes, answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from scaler_batch.payload import Outcome, Store
from scaler_batch.payload.buffers import Buffer, Pieces, size_of
from scaler_batch.tasks.vocabulary import Result


class Tally:
    """Counts, from the manager's start on.

    Attributes:
        answers: Tasks answered, by the outcome's status or the failure's class.
        calls: Requests to S3, by operation.
        sent: Bytes put into S3.
        received: Bytes fetched from it.
    """

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.sent = 0
        self.received = 0

    def note(self, result: Result) -> None:
        """Count an answer."""
        self.answers[result.status if isinstance(result, Outcome) else type(result).__name__] += 1


class CountedStore:
    """A store whose use is counted.

    Args:
        store: Which.
        tally: Where.
    """

    def __init__(self, store: Store, tally: Tally) -> None:
        self._store = store
        self._tally = tally

    async def put(self, key: str, data: Pieces) -> None:
        """Store an object, given in pieces, replacing what lay there."""
        self._tally.calls["PutObject"] += 1
        self._tally.sent += size_of(data)
        await self._store.put(key, data)

    async def get(self, key: str) -> Buffer:
        """Return the whole object."""
        self._tally.calls["GetObject"] += 1
        data = await self._store.get(key)
        self._tally.received += len(data)
        return data

    async def list(self, prefix: str) -> list[str]:
        """Return all keys below ``prefix``."""
        keys = await self._store.list(prefix)
        self._tally.calls["ListObjectsV2"] += max(1, -(-len(keys) // 1000))
        return keys

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects."""
        self._tally.calls["DeleteObjects"] += -(-len(keys) // 1000)
        await self._store.delete(keys)
