"""Removes a run's objects: in bulk while it goes on, and wholly at its end.

Removing is never worth a call an object, but it is worth one now and then: until an outcome is removed, every look at
what is new lists it once more. What fails to be removed here falls to the bucket's one-day lifecycle rule.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from scaler_batch.payload import Store
from scaler_batch.payload.errors import StoreError
from scaler_batch.payload.keys import OBJECTS, OUTCOMES, PACKS

logger = logging.getLogger(__name__)

PORTION: Final = 250
"""Keys of one S3 DeleteObjects, which takes 1,000 at most. A listing has a thousand keys a call, so that many have to
leave room for those that are new."""


class Janitor:
    """Collects keys that nothing needs any more, and removes them by the hundred."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys: list[str] = []
        self._enough = asyncio.Event()

    def discard(self, key: str) -> None:
        """Remove an object some time."""
        self._keys.append(key)
        if len(self._keys) >= PORTION:
            self._enough.set()

    async def run(self) -> None:
        """Remove a portion whenever there is one."""
        while True:
            await self._enough.wait()
            self._enough.clear()
            keys, self._keys = self._keys, []
            await self._remove(keys)

    async def purge(self) -> None:
        """Remove everything that the run has written."""
        self._keys = []
        try:
            keys = [key for folder in (OUTCOMES, PACKS, OBJECTS) for key in await self._store.list(folder)]
        except StoreError as error:
            logger.warning("the run's objects could not be listed; the bucket's lifecycle will remove them: %s", error)
        else:
            await self._remove(keys)

    async def _remove(self, keys: list[str]) -> None:
        try:
            await self._store.delete(keys)
        except StoreError as error:
            logger.warning("%d objects stay until the bucket's lifecycle removes them: %s", len(keys), error)
