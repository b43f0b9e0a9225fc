"""The store, spoken to by forked children only.

The store's client starts native threads with its first request, and a process that has them must not fork. So one
request is one child: it writes what it fetched as its answer, and says by its exit code how it fared.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import BinaryIO, Final

from scaler_batch.payload import BlockingStore, PayloadError, RunLocation
from scaler_batch.payload.errors import ContractError, NotStoredError, StoreError
from scaler_batch.runner.errors import PackMissingError, RequestError, RunnerError, StoreFailedError
from scaler_batch.runner.forked import Child, Ended, start

Action = Callable[[BlockingStore, BinaryIO], None]
"""One request to the store; the stream takes what it fetched."""


_FAILURES: Final[dict[int, type[RunnerError]]] = {
    failure.exit_code: failure for failure in (PackMissingError, StoreFailedError, RequestError)
}
"""How a child says what failed: by the exit code that will be the runner's own."""


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
        RequestError: The environment names no store.
    """
    if not ended.whole:
        raise StoreFailedError(f"the process that spoke to the store ended with code {ended.code}")
    if ended.code:
        raise _FAILURES[ended.code](str(ended.written, "utf-8"))
    return ended.written


def _act(connect: Callable[[], BlockingStore], action: Action, stream: BinaryIO) -> int:
    try:
        action(connect(), stream)
    except NotStoredError as error:
        return _fail(stream, error, PackMissingError)
    except StoreError as error:
        return _fail(stream, error, StoreFailedError)
    except ContractError as error:
        return _fail(stream, error, RequestError)
    return 0


def _fail(stream: BinaryIO, error: PayloadError, failure: type[RunnerError]) -> int:
    stream.write(str(error).encode())
    return failure.exit_code
