"""Large inputs, which lie in the store by themselves.

An input above the threshold is put into the store once, however many submissions use it, and packs refer to it. It is
known by the hash of its bytes, so that two names for the same data are one object. Objects that lie there are not even
fetched from their owner again.

The next submission often needs what the last one needed, so objects that no submission uses stay for a while: the
latest few, and none so long that the bucket's lifecycle could remove it under a job.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from scaler_batch.payload import Reference
from scaler_batch.payload.keys import object_key

UNUSED: Final = 32
"""Objects that stay in the store although no submission uses them."""

FRESH: Final = 6 * 3600.0
"""Seconds for which an object is used for new submissions; the bucket's lifecycle removes it after a day."""


class StoredObject:
    """One object in the store.

    Attributes:
        reference: Where it lies.
        digest: What it is known by.
        since: When it was stored, on the manager's clock.
        users: The submissions that need it.
        names: What its owners call it.
    """

    __slots__ = ("digest", "names", "reference", "since", "users")

    def __init__(self, reference: Reference, digest: str, since: float) -> None:
        self.reference = reference
        self.digest = digest
        self.since = since
        self.users: set[int] = set()
        self.names: set[bytes] = set()


class ObjectTable:
    """The large inputs of a run."""

    def __init__(self) -> None:
        self._by_name: dict[bytes, StoredObject] = {}
        self._by_digest: dict[str, StoredObject] = {}
        self._by_user: dict[int, set[StoredObject]] = {}
        self._unused: OrderedDict[StoredObject, None] = OrderedDict()

    def find(self, name: bytes, now: float) -> StoredObject | None:
        """The object of a name, if it lies in the store and will for long enough."""
        return _if_fresh(self._by_name.get(name), now)

    def known(self, digest: str, now: float) -> StoredObject | None:
        """The object of these bytes, if it lies in the store and will for long enough."""
        return _if_fresh(self._by_digest.get(digest), now)

    def reference(self, digest: str, size: int, sequence: int) -> Reference:
        """Where to store an object that a submission is the first to need."""
        return Reference(object_key(digest, sequence), size)

    def add(self, reference: Reference, digest: str, now: float) -> StoredObject:
        """Take note of an object that has been stored. One that it replaces goes when nothing needs it."""
        stored = self._by_digest[digest] = StoredObject(reference, digest, now)
        self._unused[stored] = None
        return stored

    def name(self, stored: StoredObject, name: bytes) -> None:
        """Take note of what somebody calls an object."""
        self._by_name[name] = stored
        stored.names.add(name)

    def use(self, stored: StoredObject, sequence: int) -> Reference:
        """Keep an object for a submission until :meth:`release`."""
        stored.users.add(sequence)
        self._by_user.setdefault(sequence, set()).add(stored)
        self._unused.pop(stored, None)
        return stored.reference

    def release(self, sequence: int) -> list[str]:
        """A submission no longer needs its objects. Return the keys of those that can go."""
        for stored in self._by_user.pop(sequence, ()):
            stored.users.discard(sequence)
            if not stored.users:
                self._unused[stored] = None
        return self.trim()

    def trim(self) -> list[str]:
        """Forget all but the latest objects that no submission uses. Return the keys of those that can go."""
        removed: list[str] = []
        while len(self._unused) > UNUSED:
            stored = self._unused.popitem(last=False)[0]
            self._forget(stored)
            removed.append(stored.reference.key)
        return removed

    def in_use(self) -> Iterator[StoredObject]:
        """Every object that a submission needs, once."""
        return iter({stored for used in self._by_user.values() for stored in used})

    def __len__(self) -> int:
        return len(self._unused) + len(set(self.in_use()))

    def _forget(self, stored: StoredObject) -> None:
        for name in stored.names:
            if self._by_name.get(name) is stored:
                del self._by_name[name]
        if self._by_digest.get(stored.digest) is stored:
            del self._by_digest[stored.digest]


def _if_fresh(stored: StoredObject | None, now: float) -> StoredObject | None:
    return stored if stored is not None and now - stored.since < FRESH else None
