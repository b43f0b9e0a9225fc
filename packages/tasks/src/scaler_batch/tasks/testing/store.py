"""A store in memory on which things go wrong, each an object with a name, as for the fake AWS Batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from scaler_batch.payload import ObjectInfo
from scaler_batch.payload.buffers import Buffer, Pieces
from scaler_batch.payload.errors import CredentialsError, StoreError
from scaler_batch.payload.testing import MemoryStore
from scaler_batch.tasks.testing.faults import ANY, Fault


class FaultyStore(MemoryStore):
    """A run's objects in memory, with faults on demand.

    Args:
        faults: What goes wrong; may be added to at any time. Operations are ``put``, ``get``, ``renew``,
            ``list`` and ``delete``.

    Attributes:
        calls: How often each operation was called.
    """

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        super().__init__()
        self.faults = list(faults)
        self.calls: Counter[str] = Counter()

    async def put(self, key: str, data: Pieces) -> None:
        """Store an object, replacing what lay there."""
        await self._strike("put")
        await super().put(key, data)

    async def get(self, key: str) -> Buffer:
        """Return the whole object."""
        await self._strike("get")
        return await super().get(key)

    async def renew(self, key: str) -> None:
        """Have an object count as stored now."""
        await self._strike("renew")
        await super().renew(key)

    async def list(self, prefix: str) -> list[str]:
        """Return all keys below ``prefix``."""
        await self._strike("list")
        return await super().list(prefix)

    async def infos(self, prefix: str) -> dict[str, ObjectInfo]:
        """Return all keys below ``prefix``, with what is known of each object."""
        await self._strike("list")
        return await super().infos(prefix)

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; keys that do not exist are removed already."""
        await self._strike("delete")
        await super().delete(keys)

    async def _strike(self, operation: str) -> None:
        self.calls[operation] += 1
        fault = next((fault for fault in self.faults if fault.takes(operation)), None)
        if fault is not None:
            await fault.strike(lambda: None)


@dataclass
class StoreUnavailable(Fault):
    """S3 fails, and may work later."""

    operation: str = ANY

    async def strike(self, effect: Callable[[], Any]) -> Any:
        """Fail for now."""
        raise StoreError("503 Slow Down", key="", retryable=True)


@dataclass
class StoreDenied(Fault):
    """S3 refuses for good, as a policy of the bucket makes it."""

    operation: str = ANY

    async def strike(self, effect: Callable[[], Any]) -> Any:
        """Refuse for good."""
        raise StoreError("AccessDenied", key="", retryable=False)


@dataclass
class StoreExpired(Fault):
    """S3 does not take the credentials until somebody renews them: remove the fault."""

    operation: str = ANY

    async def strike(self, effect: Callable[[], Any]) -> Any:
        """Refuse the credentials."""
        raise CredentialsError("ExpiredToken", key="")
