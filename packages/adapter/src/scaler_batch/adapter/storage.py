"""The object storage, which the worker hears of only after it has registered.

Loading inputs and storing results go through one client. Its address comes with the scheduler's first answer and may
change later; whoever needs the storage before it is known waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from scaler_batch.wire import ObjectStorageAddress, ObjectStorageClient

Connect = Callable[[ObjectStorageAddress | str], ObjectStorageClient]
"""Makes a client for an address; it connects when it is entered."""


class StorageLink:
    """The current client of the object storage.

    Args:
        instead: Address to use in place of what the scheduler says.
        connect: Makes a client.
    """

    def __init__(self, instead: str | None = None, connect: Connect = ObjectStorageClient) -> None:
        self._instead = instead
        self._connect = connect
        self._stack = AsyncExitStack()
        self._opening = asyncio.Lock()
        self._address: ObjectStorageAddress | None = None
        self._known = asyncio.Event()
        self._client: ObjectStorageClient | None = None

    async def open(self, address: ObjectStorageAddress) -> ObjectStorageClient:
        """Connect to the storage at this address, unless that is so already, and use it from now on."""
        async with self._opening:
            if self._client is None or address != self._address:
                await self.aclose()
                self._client = await self._stack.enter_async_context(self._connect(self._instead or address))
                self._address = address
                self._known.set()
            return self._client

    async def client(self) -> ObjectStorageClient:
        """Return the client, as soon as there is one."""
        while self._client is None:
            await self._known.wait()
        return self._client

    async def aclose(self) -> None:
        """Disconnect."""
        self._known.clear()
        self._client = None
        await self._stack.aclose()
