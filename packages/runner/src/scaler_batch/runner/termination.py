"""SIGTERM: a timeout, a termination, or a host that is taken back.

AWS Batch sends it to the container's first process and SIGKILL 30 seconds later. There is no use in asking user code
to hurry, so the child that runs it is killed at once and the time goes to publishing what is finished.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Self

from scaler_batch.runner.errors import TerminatedError
from scaler_batch.runner.forked import Child, Ended


class Termination:
    """Listens for SIGTERM while it is entered.

    Attributes:
        requested: Whether it came.
    """

    def __init__(self) -> None:
        self.requested = False
        self._child: Child | None = None

    def __enter__(self) -> Self:
        self._previous = signal.signal(signal.SIGTERM, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._previous)

    def check(self) -> None:
        """Raise :class:`TerminatedError` if SIGTERM came."""
        if self.requested:
            raise TerminatedError("SIGTERM came before the work was done; nothing was published, the job may run again")

    def await_end(self, child: Child) -> Ended:
        """Wait for a child, which is killed should SIGTERM come before its end."""
        with self._in_charge_of(child):
            return child.wait()

    @contextlib.contextmanager
    def _in_charge_of(self, child: Child) -> Iterator[None]:
        self._child = child
        # It may have come between the child's start and the line above.
        if self.requested:
            child.kill()
        try:
            yield
        finally:
            self._child = None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        if self._child is not None:
            self._child.kill()
