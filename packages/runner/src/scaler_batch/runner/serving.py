"""A process that runs calls, one after the other, as it is told to.

Starting a process takes longer than most calls, and what a call imports the next one needs as well. So a process that
has answered waits to be told another call of the bundle, unless

- there is only one;
- it is dead: a call that crashes takes nobody with it but itself;
- its answer is large: the runner maps that as it is, which takes a process that will write no more;
- the call has left something behind that cannot be put back (:mod:`~.surroundings`): what could meddle with the next
  call goes with its process;
- it has grown: what leaks a little with each call would kill, in the end, one that is not to blame.

Processes of a bundle cannot look into each other (:mod:`~.privacy`), nor have they each other's files. What a call can
do is signal: stop or kill others of its user, the runner among them.

The two speak through pipes. An *order* is the position of a call; a *report* says what the call used, and that its
answer can be read. It raises SIGIO in the runner, which waits for signals and for nothing else.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import resource
import struct
import time
from collections.abc import Sequence
from os import read, write
from typing import BinaryIO, Final, NamedTuple, Self

from scaler_batch.payload import Call, Usage
from scaler_batch.runner.execution import run
from scaler_batch.runner.forked import Child, Ended, flush_printed, renew, resident
from scaler_batch.runner.privacy import hide
from scaler_batch.runner.supervision import Supervisor

_ORDER: Final = struct.Struct("<I")
_REPORT: Final = struct.Struct("<ddQ")

_LARGE: Final = 32 * 1024 * 1024
"""Bytes of an answer above which it is not copied: to copy that much takes about as long as to fork and import anew."""

_GROWN: Final = 256 * 1024 * 1024
"""Bytes of resident memory that calls may leave behind, above what the first has left: that imports what all need."""

_LONGEST: Final = _LARGE + 1024 * 1024
"""Bytes that a process which goes on can have written, with what describes its answer."""

_FIRST_TO_GO: Final = b"1000"
"""Makes the kernel, when it has to kill for want of memory, kill a call and not the runner."""

_PEAK_OF_MEMORY: Final = b"5"
"""What to clear, in words of the kernel's."""


class CallProcess:
    """A process for calls, as the runner sees it.

    Args:
        supervisor: Starts it.
        calls: All calls of the bundle.
        position: The first that it is to run.

    Attributes:
        child: The process.
        position: The call that it runs; ``None`` while it waits for an order.
    """

    def __init__(self, supervisor: Supervisor, calls: Sequence[Call], position: int) -> None:
        orders, self._orders = os.pipe()
        self._reports, reports = os.pipe()
        _announce(self._reports)
        self.position: int | None = position
        serve = functools.partial(_serve, calls, position, orders, reports)
        self.child: Child = supervisor.start(serve, keep=(orders, reports))
        self._began = time.monotonic()
        self._used = 0.0
        os.close(orders)
        os.close(reports)

    def order(self, position: int) -> None:
        """Have it run another call."""
        self.position, self._began = position, time.monotonic()
        # Where it has died meanwhile, its end says so.
        with contextlib.suppress(BrokenPipeError):
            os.write(self._orders, _ORDER.pack(position))

    def finished(self) -> Ended | None:
        """What came of its call, if it has reported that; it waits for another order then."""
        usage = self._reported()
        return None if usage is None else Ended(0, whole=True, written=self.child.said(_LONGEST), usage=usage)

    def ended(self, ended: Ended) -> Ended:
        """Take note of its end, and return what of it was the last call's."""
        usage = self._reported()
        os.close(self._orders)
        os.close(self._reports)
        if usage is not None:
            return ended._replace(whole=True, usage=usage)
        wall = min(ended.usage.wall, time.monotonic() - self._began)
        cpu = max(0.0, ended.usage.cpu - self._used)
        return ended._replace(usage=ended.usage._replace(wall=wall, cpu=cpu))

    def _reported(self) -> Usage | None:
        with contextlib.suppress(BlockingIOError):
            if report := os.read(self._reports, _REPORT.size):
                usage = self._usage(report)
                self._used += usage.cpu
                return usage
        return None

    def _usage(self, report: bytes) -> Usage:
        """Read a report. Calls run in the process that wrote it, so anything may stand there."""
        if len(report) == _REPORT.size and (usage := Usage(*_REPORT.unpack(report))).is_possible:
            return usage
        return Usage(wall=time.monotonic() - self._began)


def prepare() -> None:
    """Be ready for processes that run several calls, before the first is forked; a job of one call needs none."""
    import scaler_batch.runner.surroundings  # noqa: F401 - once, and not in each process

    hide()


def _announce(reports: int) -> None:
    """Have the kernel send SIGIO to this process when there is something to read."""
    fcntl.fcntl(reports, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(reports, fcntl.F_SETFL, fcntl.fcntl(reports, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)


def _serve(calls: Sequence[Call], position: int, orders: int, reports: int, answer: BinaryIO) -> int:
    """Be the process, until it is not fit to run another call; then the last answer is its own."""
    if len(calls) == 1:
        _volunteer()
        run(calls[position], answer)
        return 0
    # The kernel lets who is hidden no longer tell it how to treat this process.
    hide(False)
    _volunteer()
    peak = _Peak()
    hide()
    fitness = _Fitness()
    while True:
        meter = _Meter.start(peak)
        run(calls[position], answer)
        answer.flush()
        if answer.tell() > _LARGE or not fitness.lasts():
            return 0
        flush_printed()
        write(reports, _REPORT.pack(*meter.read()))
        (position,) = _ORDER.unpack(read(orders, _ORDER.size))
        renew(answer)


def _volunteer() -> None:
    # Where it is not allowed, the kernel chooses by size alone.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "wb", buffering=0) as file:
        file.write(_FIRST_TO_GO)


class _Fitness:
    """Whether a process can run another call: not if it has grown, or is other than it was before the first."""

    def __init__(self) -> None:
        from scaler_batch.runner.surroundings import Surroundings

        self._surroundings = Surroundings()
        self._settled: int | None = None

    def lasts(self) -> bool:
        """Look after a call, and put back what can be put back."""
        if not self._surroundings.restore():
            return False
        held = resident()
        if self._settled is None:
            self._settled = held
        return held - self._settled <= _GROWN


class _Peak:
    """Has the kernel measure the peak of memory anew."""

    def __init__(self) -> None:
        self._file = -1
        with contextlib.suppress(OSError):
            self._file = os.open("/proc/self/clear_refs", os.O_WRONLY | os.O_CLOEXEC)
            self._identity = self._identify()

    def clear(self) -> None:
        """Begin to measure; without effect where a call has closed the file, or put another in its place."""
        with contextlib.suppress(OSError):
            if self._file >= 0 and self._identify() == self._identity:
                write(self._file, _PEAK_OF_MEMORY)

    def _identify(self) -> tuple[int, int]:
        about = os.fstat(self._file)
        return about.st_dev, about.st_ino


class _Meter(NamedTuple):
    """Measures what a call uses, from inside its process."""

    wall: float
    cpu: float
    memory: int

    @classmethod
    def start(cls, peak: _Peak) -> Self:
        """Begin to measure."""
        peak.clear()
        return cls(*_spent())

    def read(self) -> Usage:
        """What was used since; memory is the peak above what was held at the start."""
        wall, cpu, memory = _spent()
        return Usage(wall - self.wall, cpu - self.cpu, max(0, memory - self.memory))


def _spent() -> tuple[float, float, int]:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    return time.monotonic(), cpu, own.ru_maxrss * 1024
