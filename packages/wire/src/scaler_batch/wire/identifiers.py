"""The identifiers of Scaler's protocol, and how new ones are made.

Workers, managers and clients are named by text, tasks by 16 random bytes. An object is named by 32 bytes: the MD5
digest of its owner's client id, by which everything of a client can be found when that client leaves, and 16 bytes of
its own.
"""

from __future__ import annotations

import hashlib
import uuid

OBJECT_ID_LENGTH = 32

_SERIALIZER_TAG = hashlib.md5(b"serializer", usedforsecurity=False).digest()


def new_worker_id(name: str) -> bytes:
    """Return a fresh worker id that shows `name`; a process takes a new one at each start."""
    return f"Worker|{name}|{uuid.uuid4().hex}".encode()


def new_manager_id(name: str) -> bytes:
    """Return a fresh worker manager id that shows `name`."""
    return f"WorkerManager|{name}|{uuid.uuid4().hex}".encode()


def new_task_id() -> bytes:
    """Return a fresh task id, as a client would make it."""
    return uuid.uuid4().bytes


def new_object_id(owner: bytes) -> bytes:
    """Return a fresh object id that belongs to the client `owner`."""
    return _owner_digest(owner) + uuid.uuid4().bytes


def new_result_id(source: bytes) -> bytes:
    """Return a fresh id for the result of a task that the client `source` sent; never use one for a second attempt."""
    return new_object_id(source)


def serializer_id(source: bytes) -> bytes:
    """Return the id under which the client `source` keeps its serializer."""
    return _owner_digest(source) + _SERIALIZER_TAG


def _owner_digest(owner: bytes) -> bytes:
    return hashlib.md5(owner, usedforsecurity=False).digest()
