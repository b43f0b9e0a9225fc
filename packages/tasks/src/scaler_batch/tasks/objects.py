"""Large inputs, which lie in the store by themselves.

An input above the threshold is put into the store once, however many submissions use it, and packs refer to it. It is
known by the hash of its bytes, so that two names for the same data are one object. Objects that lie there are not even
fetched from their owner again.

The next submission often needs what the last one needed, so objects that no submission uses stay for a while: the
latest few, and none so long that the bucket's lifecycle could remove it under a job.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from scaler_batch.payload import Reference, Store, encode_object
from scaler_batch.payload.buffers import Buffer
from scaler_batch.payload.bundles import Value
from scaler_batch.payload.keys import object_key
from scaler_batch.payload.objects import THRESHOLD, digest
from scaler_batch.tasks.janitor import Janitor

UNUSED: Final = 32
"""Objects that stay in the store although no submission uses them."""

FRESH: Final = 6 * 3600.0
"""Seconds for which an object is used for new submissions; the bucket's lifecycle removes it after a day."""


@dataclass(eq=False)
class _Stored:
    """One object in the store.

    Attributes:
        reference: Where it lies.
        digest: What it is known by.
        since: When it was stored.
        users: The submissions that need it.
        names: What its owners call it.
    """

    reference: Reference
    digest: str
    since: float
    users: set[int] = field(default_factory=set)
    names: set[bytes] = field(default_factory=set)


class Objects:
    """The large inputs of a run.

    Args:
        store: Where they lie.
        janitor: Removes them.
        clock: Seconds that only go forward.
        threshold: Bytes above which an input is stored by itself.
    """

    def __init__(self, store: Store, janitor: Janitor, clock: Callable[[], float], threshold: int = THRESHOLD) -> None:
        self._store = store
        self._janitor = janitor
        self._clock = clock
        self._threshold = threshold
        self._by_name: dict[bytes, _Stored] = {}
        self._by_digest: dict[str, _Stored] = {}
        self._used: set[_Stored] = set()
        self._unused: OrderedDict[_Stored, None] = OrderedDict()

    def find(self, name: bytes, sequence: int) -> Reference | None:
        """Return where an input lies, and keep it there for a submission."""
        stored = self._by_name.get(name)
        return self._use(stored, sequence) if stored is not None and self._is_fresh(stored) else None

    async def place(self, name: bytes, data: Buffer, sequence: int) -> Value:
        """Return what goes into a submission's pack for an input: the input itself, or where it lies by now.

        Raises:
            StoreError: It could not be stored.
        """
        if len(data) <= self._threshold:
            return data
        known = await asyncio.to_thread(digest, data)
        stored = self._by_digest.get(known)
        if stored is None or not self._is_fresh(stored):
            reference = Reference(object_key(known, sequence), len(data))
            await self._store.put(reference.key, await asyncio.to_thread(encode_object, data))
            stored = self._by_digest[known] = _Stored(reference, known, self._clock())
        self._by_name[name] = stored
        stored.names.add(name)
        return self._use(stored, sequence)

    def release(self, sequence: int) -> None:
        """A submission needs its objects no more."""
        for stored in [each for each in self._used if sequence in each.users]:
            stored.users.discard(sequence)
            if not stored.users:
                self._used.discard(stored)
                self._unused[stored] = None
        while len(self._unused) > UNUSED:
            self._remove(self._unused.popitem(last=False)[0])

    def _is_fresh(self, stored: _Stored) -> bool:
        return self._clock() - stored.since < FRESH

    def _use(self, stored: _Stored, sequence: int) -> Reference:
        stored.users.add(sequence)
        self._used.add(stored)
        self._unused.pop(stored, None)
        return stored.reference

    def _remove(self, stored: _Stored) -> None:
        for name in stored.names:
            if self._by_name.get(name) is stored:
                del self._by_name[name]
        if self._by_digest.get(stored.digest) is stored:
            del self._by_digest[stored.digest]
        self._janitor.discard(stored.reference.key)
