"""The runner's children, and the three signals that matter while they run.

SIGCHLD says that a child has ended; SIGIO that one has something to say; SIGTERM that the job is to end: a timeout, a
termination, or a host that is taken back. All are held back and waited for, so there is no handler, and no moment at
which one could be missed.

AWS Batch sends SIGTERM to the container's first process and SIGKILL 30 seconds later. There is no use in asking user
code to hurry, so the calls that still run are killed at once and the time goes to publishing what is finished.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from typing import Self

from scaler_batch.runner.forked import HELD_BACK, Child, Ended, Work, start


class Supervisor:
    """Starts children and waits for them, while it is entered.

    Attributes:
        terminated: Whether SIGTERM came.
    """

    def __init__(self) -> None:
        self.terminated = False
        self._children: dict[int, Child] = {}

    def __enter__(self) -> Self:
        # Were it ignored, children would vanish without a trace.
        self._previous = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
        return self

    def __exit__(self, *_: object) -> None:
        while signal.sigtimedwait(HELD_BACK, 0):
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        signal.signal(signal.SIGCHLD, self._previous)

    def start(self, work: Work, keep: Iterable[int] = ()) -> Child:
        """Run ``work`` in a child, which keeps these open files and no others."""
        child = start(work, keep)
        self._children[child.pid] = child
        return child

    def wait(self, until: float | None = None) -> list[tuple[Child, Ended]]:
        """Wait for the end of a child, for a word of one, for SIGTERM, or for a moment.

        Args:
            until: When to stop waiting, in seconds of the monotonic clock.

        Returns:
            The children that have ended, which may be none.
        """
        while not (ended := self._ended()) and (until is None or until > time.monotonic()):
            number = self._next_signal(until)
            self.terminated |= number == signal.SIGTERM
            if number in (signal.SIGTERM, signal.SIGIO):
                break
        return ended

    def wait_for(self, child: Child) -> Ended:
        """Wait for one child, the only one; it is killed should SIGTERM come before its end."""
        while not (ended := self.wait()):
            if self.terminated:
                child.kill()
        return ended[0][1]

    def kill(self, children: Iterable[Child]) -> list[tuple[Child, Ended]]:
        """Kill children and wait for their ends."""
        doomed = list(children)
        for child in doomed:
            child.kill()
        for child in doomed:
            del self._children[child.pid]
        return [(child, child.wait()) for child in doomed]

    def _next_signal(self, until: float | None) -> int | None:
        if until is None:
            return signal.sigwaitinfo(HELD_BACK).si_signo
        found = signal.sigtimedwait(HELD_BACK, max(0.0, until - time.monotonic()))
        return found.si_signo if found else None

    def _ended(self) -> list[tuple[Child, Ended]]:
        ended = []
        while (pid := _waitable()) is not None:
            if (child := self._children.pop(pid, None)) is not None:
                ended.append((child, child.wait()))
            else:
                # The first process of a container inherits what user code leaves behind.
                os.waitpid(pid, 0)
        return ended


def _waitable() -> int | None:
    """A child that has ended and was not taken note of."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return found.si_pid if found else None
