"""The store, spoken to by forked children only.

The store's client starts native threads with its first request, and a process that has them must not fork. So one
request is one child: it writes what it fetched as its answer, and says by its exit code how it fared.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import BinaryIO

from scaler_batch.payload import BlockingStore, RunLocation
from scaler_batch.payload.contract import ExitCode
from scaler_batch.payload.errors import NotStoredError, StoreError
from scaler_batch.runner.errors import PackMissingError, StoreFailedError
from scaler_batch.runner.forked import Child, Ended, start

Action = Callable[[BlockingStore, BinaryIO], None]
"""One request to the store; the stream takes what it fetched."""


def begin(run: RunLocation, action: Action) -> Child:
    """Start a child that speaks to the store."""
    # Not at the top, since a job whose pack is inline need not wait for it before it starts its calls; and not in the
    # child, since a job may have two of them.
    from scaler_batch.payload.s3 import BlockingS3RunStore

    return start(functools.partial(_act, functools.partial(BlockingS3RunStore, run), action))


def answer(ended: Ended) -> memoryview:
    """Return what the child fetched.

    Raises:
        PackMissingError: There is no such object.
        StoreFailedError: The store, or the child, failed.
    """
    if not ended.whole:
        raise StoreFailedError(f"the process that spoke to the store ended with code {ended.code}")
    if ended.code == ExitCode.NO_INPUT:
        raise PackMissingError(str(ended.written, "utf-8"))
    if ended.code != 0:
        raise StoreFailedError(str(ended.written, "utf-8"))
    return ended.written


def _act(connect: Callable[[], BlockingStore], action: Action, stream: BinaryIO) -> int:
    try:
        action(connect(), stream)
    except NotStoredError as error:
        return _fail(stream, error, ExitCode.NO_INPUT)
    except StoreError as error:
        return _fail(stream, error, ExitCode.STORE_UNAVAILABLE)
    return 0


def _fail(stream: BinaryIO, error: StoreError, code: ExitCode) -> int:
    stream.write(str(error).encode())
    return code
