"""Calls that must come to an end, though what they call may not.

A credential helper that waits for somebody to log in cannot be interrupted. So each call runs in a thread that nobody
waits for longer than its time, and that ends with the process at the latest.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


class OverdueError(Exception):
    """A call did not come to an end within its time."""


@dataclass(frozen=True, slots=True)
class Came(Generic[T]):
    """What a call came to: a value or an exception."""

    value: T | None = None
    error: BaseException | None = None

    def get(self) -> T:
        """Return the value, or raise the exception."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]


def call_within(seconds: float, call: Callable[[], T]) -> T:
    """Return what the call returns, or raise what it raises.

    Raises:
        OverdueError: Its time is over.
    """
    (came,) = call_all_within(seconds, [call])
    return came.get()


def call_all_within(seconds: float, calls: Sequence[Callable[[], T]]) -> list[Came[T]]:
    """Make all calls at once, and return what each came to, in the order of the calls.

    One whose time is over has come to :class:`OverdueError`.
    """
    boxes = [_start(call) for call in calls]
    give_up = time.monotonic() + seconds
    return [_take(box, give_up) for box in boxes]


def _start(call: Callable[[], T]) -> queue.SimpleQueue[Came[T]]:
    box: queue.SimpleQueue[Came[T]] = queue.SimpleQueue()

    def run() -> None:
        try:
            box.put(Came(call()))
        except BaseException as error:
            box.put(Came(error=error))

    threading.Thread(target=run, daemon=True).start()
    return box


def _take(box: queue.SimpleQueue[Came[T]], give_up: float) -> Came[T]:
    try:
        return box.get(timeout=max(0.0, give_up - time.monotonic()))
    except queue.Empty:
        return Came(error=OverdueError())
