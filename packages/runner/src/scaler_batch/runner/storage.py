"""The store, spoken to by forked children only.

The store's client starts native threads with its first request, and a process that has them must not fork. So whoever
wants something of the store starts a child for it: it writes what it fetched as its answer, and says by its exit code
how it fared.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import BinaryIO, Final

from scaler_batch.payload import BlockingStore, PayloadError, RunLocation
from scaler_batch.payload.errors import AlteredError, ContractError, NotStoredError, StoreError
from scaler_batch.runner.errors import (
    InputAlteredError,
    PackError,
    PackMissingError,
    RequestError,
    RunnerError,
    StoreFailedError,
)
from scaler_batch.runner.forked import Ended, Work

Action = Callable[[BlockingStore, BinaryIO], None]
"""What to ask of the store; the stream takes what was fetched."""

_FAILURES: Final[dict[int, type[RunnerError]]] = {
    failure.exit_code: failure
    for failure in (PackMissingError, InputAlteredError, StoreFailedError, RequestError, PackError)
}
"""How a child says what failed: by the exit code that will be the runner's own."""


def speaking_to(run: RunLocation, action: Action, patience: float | None = None) -> Work:
    """The work of a child that speaks to the store.

    Args:
        run: Whose objects.
        action: What to ask.
        patience: Seconds for which the store tries what fails, unless as long as it does by itself.
    """
    # Not at the top, since a job whose pack is inline need not wait for it before it starts its calls; and not in the
    # child, since a job may have several of them.
    from scaler_batch.payload.s3 import BlockingS3RunStore

    connect = functools.partial(BlockingS3RunStore, run)
    return functools.partial(
        _act, connect if patience is None else functools.partial(connect, patience=patience), action
    )


def answer(ended: Ended) -> memoryview:
    """Return what the child fetched.

    Raises:
        PackMissingError: There is no such object.
        InputAlteredError: It is not the object that was written.
        PackError: What was fetched cannot be read.
        StoreFailedError: The store, or the child, failed.
        RequestError: The environment names no store.
    """
    if not ended.whole:
        raise StoreFailedError(f"the process that spoke to the store ended with code {ended.code}")
    if ended.code:
        raise _FAILURES[ended.code](str(ended.written, "utf-8"))
    return ended.written


def _act(connect: Callable[[], BlockingStore], action: Action, stream: BinaryIO) -> int:
    try:
        action(_connected(connect), stream)
    except RequestError as error:
        return _fail(stream, error, RequestError)
    except NotStoredError as error:
        return _fail(stream, error, PackMissingError)
    except StoreError as error:
        return _fail(stream, error, StoreFailedError)
    except AlteredError as error:
        return _fail(stream, error, InputAlteredError)
    except PayloadError as error:
        return _fail(stream, error, PackError)
    return 0


def _connected(connect: Callable[[], BlockingStore]) -> BlockingStore:
    try:
        return connect()
    except ContractError as error:
        raise RequestError(str(error)) from error


def _fail(stream: BinaryIO, error: Exception, failure: type[RunnerError]) -> int:
    stream.write(str(error).encode())
    return failure.exit_code
