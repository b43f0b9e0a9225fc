"""The one crossing between the event loop and blocking SDK calls.

The threads are daemons of our own. Those of :mod:`concurrent.futures` are joined when the interpreter exits, so a call
that waits for a server which is gone would hold up the end of the process for as long as its time-out.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")

THREADS: Final = 8
"""Blocking calls at the same time at most; further ones wait."""

_Call = tuple[Future[Any], Callable[[], Any]]


class Bridge:
    """Runs blocking calls on a bounded number of threads of its own."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._started = 0
        self._idle = threading.Semaphore(0)
        self._closed = False

    async def call(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run ``function`` on a thread and wait for it without blocking the loop.

        Raises:
            RuntimeError: The bridge is closed.
        """
        if self._closed:
            raise RuntimeError("the bridge is closed and takes no more calls")
        future: Future[_T] = Future()
        self._calls.put((future, partial(function, *args, **kwargs)))
        if not self._idle.acquire(blocking=False) and self._started < THREADS:
            self._started += 1
            threading.Thread(target=self._serve, name=f"aws-{self._started}", daemon=True).start()
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Take no more calls and cancel those that wait; those under way are abandoned when the process ends."""
        self._closed = True
        with contextlib.suppress(Empty):
            while True:
                if (waiting := self._calls.get_nowait()) is not None:
                    waiting[0].cancel()
        for _ in range(self._started):
            self._calls.put(None)

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            _run(*call)
            del call  # or its result would be kept alive until the next call comes
            self._idle.release()


def _run(future: Future[Any], function: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(function())
    except BaseException as error:  # the outermost frame of the call: whoever awaits it hears of it
        future.set_exception(error)
