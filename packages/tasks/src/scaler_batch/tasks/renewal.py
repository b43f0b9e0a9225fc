"""Inputs of jobs that wait for long are renewed, so that the bucket's lifecycle does not remove them.

Packs and objects have to stay until the last job that may read them is over, and a job may wait for a machine for a
week. S3 counts an object's age in whole days since it was stored, and its shortest rule is one day. So whatever the
bucket's rule says, and whoever changes it, an object is safe for 24 hours. What is needed is therefore renewed after
ten; the other fourteen are for outages. Nobody has to know the rule.

Ages are measured by the time of day, since other clocks stand still while a machine sleeps. It may be set back: what
seems to be stored in the future is renewed, and twice ten hours are less than 24.

Outcomes are not renewed: they are read within seconds. Where that fails for a day, for want of credentials, renewing
them would fail too.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from scaler_batch.payload import ObjectInfo, Store
from scaler_batch.payload.buffers import Buffer, Pieces
from scaler_batch.payload.errors import NotStoredError, StoreError
from scaler_batch.tasks.outages import Reminder

logger = logging.getLogger(__name__)

AFTER: Final = 36_000.0
"""Seconds after which an object that is needed is renewed: less than half of the shortest lifecycle that S3 knows."""

_LOOK_EVERY: Final = 60.0
"""Seconds between two looks for what is due at most. A look costs no request."""

_LOOKS: Final = 10
"""Looks within the time after which an object is renewed at least."""


def time_of_day() -> float:
    """Seconds since the epoch."""
    return time.time()


def due(stored: Mapping[str, float], needed: Iterable[str], now: float, after: float) -> list[str]:
    """Return the objects to renew now, the oldest first.

    Args:
        stored: When each object was stored, by key; those that are needed and missing here never were.
        needed: The keys that jobs may still read.
        now: The time of day.
        after: The age at which an object is due.
    """
    old = (key for key in needed if key in stored and not 0 <= now - stored[key] < after)
    return sorted(old, key=stored.__getitem__)


class RenewingStore:
    """A store that keeps what is needed from growing old.

    Args:
        store: Which.
        after: Seconds after which an object is renewed.
    """

    def __init__(self, store: Store, after: float = AFTER) -> None:
        self._store = store
        self._after = after
        self._stored: dict[str, float] = {}
        self._reminder = Reminder()

    async def run(self, needed: Callable[[], Iterable[str]]) -> None:
        """Renew what is due, for as long as the manager lives.

        Args:
            needed: Tells the keys that jobs may still read.
        """
        while True:
            await asyncio.sleep(min(_LOOK_EVERY, self._after / _LOOKS))
            kept = [await self._keep(key) for key in due(self._stored, needed(), time_of_day(), self._after)]
            if all(kept):
                self._reminder = Reminder()

    async def _keep(self, key: str) -> bool:
        """Renew an object; ``False`` where it is to be tried again at the next look."""
        try:
            await self.renew(key)
        except NotStoredError:
            # Its jobs may have read it; one that has not says so itself, and its tasks fail with a type of their own.
            if self._stored.pop(key, None) is not None:
                text = "%s is gone from the bucket: jobs that have not read it will fail. Check what else removes it"
                logger.warning(text, key)
        except StoreError as error:
            if self._reminder.is_due(time_of_day()):
                logger.warning("data that waiting jobs need could not be renewed in S3, trying again: %s", error)
            return False
        return True

    async def put(self, key: str, data: Pieces) -> None:
        """Store an object, given in pieces, replacing what lay there."""
        began = time_of_day()
        await self._store.put(key, data)
        self._stored[key] = began

    async def get(self, key: str) -> Buffer:
        """Return the whole object."""
        return await self._store.get(key)

    async def renew(self, key: str) -> None:
        """Have an object count as stored now."""
        began = time_of_day()
        await self._store.renew(key)
        if key in self._stored:
            self._stored[key] = began
        else:
            # It was removed meanwhile, and the copy may have come after that.
            await self._store.delete([key])

    async def list(self, prefix: str) -> list[str]:
        """Return all keys below ``prefix``."""
        return await self._store.list(prefix)

    async def infos(self, prefix: str) -> dict[str, ObjectInfo]:
        """Return all keys below ``prefix``, with what is known of each object."""
        return await self._store.infos(prefix)

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects."""
        for key in keys:
            self._stored.pop(key, None)
        await self._store.delete(keys)
