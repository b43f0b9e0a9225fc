"""SHA-256, quick to start: by what inputs are vouched for, and what signatures are made of.

OpenSSL's is several times as fast as Python's own, and takes ten times as long to load, which is longer than all that
a short job has to hash.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable
from typing import Any, Final

from scaler_batch.payload.buffers import Buffer, Pieces, size_of
from scaler_batch.payload.errors import AlteredError

DIGITS: Final = 64
"""Characters of a digest in hex."""

_WORTH_LOADING: Final = 1024 * 1024
"""Bytes above which OpenSSL is loaded: hashing them takes as long as that."""

_HEX: Final = frozenset("0123456789abcdef")


def sha256_for(size: int) -> Callable[[], Any]:
    """Return the constructor of SHA-256 to use for so many bytes."""
    if size > _WORTH_LOADING or "_hashlib" in sys.modules:
        from hashlib import sha256

        return sha256
    return _light_sha256()


@functools.cache
def _light_sha256() -> Callable[[], Any]:
    """Python's own, where hashlib looks for it too: since 3.12, and before."""
    for module in ("_sha2", "_sha256", "hashlib"):
        with contextlib.suppress(ImportError):
            return __import__(module).sha256  # type: ignore[no-any-return]
    raise ImportError("hashlib")


def digest(data: Buffer) -> str:
    """The SHA-256 of some bytes, in hex."""
    return digest_of([data])


def digest_of(pieces: Pieces) -> str:
    """The SHA-256 of bytes in several pieces, in hex."""
    found = sha256_for(size_of(pieces))()
    for piece in pieces:
        found.update(piece)
    return str(found.hexdigest())


def is_digest(text: str) -> bool:
    """Whether a text is a SHA-256 in hex, as :func:`digest` writes it."""
    return len(text) == DIGITS and _HEX.issuperset(text)


def check_digest(data: Buffer, expected: str, what: str) -> None:
    """Compare bytes with the hash that vouches for them, before anything of them is read.

    Args:
        data: What was fetched.
        expected: Its SHA-256, in hex, from a source that is trusted.
        what: What to call it in the error.

    Raises:
        AlteredError: It is something else.
    """
    if digest(data) != expected:
        raise AlteredError(what)
