"""A process that runs calls, one after the other, as it is told to.

Starting a process takes longer than most calls, and what a call imports the next one needs as well. So a process that
has answered waits to be told another call of the bundle, unless

- there is only one;
- it is dead: a call that crashes takes nobody with it but itself;
- its answer is large: the runner maps that as it is, which takes a process that will write no more;
- the call has left something behind (:class:`_Traces`): what could meddle with the next call goes with its process;
- it has grown: what leaks a little with each call would kill, in the end, one that is not to blame.

The two speak through pipes. An *order* is the position of a call; a *report* says what the call used, and that its
answer can be read. It raises SIGIO in the runner, which waits for signals and for nothing else.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import resource
import signal
import struct
import sys
import time
from collections.abc import Sequence
from typing import BinaryIO, Final, NamedTuple, Self

from scaler_batch.payload import Call, Usage
from scaler_batch.runner.execution import run
from scaler_batch.runner.forked import Child, Ended, flush_printed, renew, resident
from scaler_batch.runner.supervision import Supervisor

_ORDER: Final = struct.Struct("<I")
_REPORT: Final = struct.Struct("<ddQ")

_LARGE: Final = 1024 * 1024
"""Bytes of an answer above which it is not copied."""

_GROWN: Final = 256 * 1024 * 1024
"""Bytes of resident memory that calls may leave behind, above what the first has left: that imports what all need."""

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
        self.child: Child = supervisor.start(functools.partial(_serve, calls, position, orders, reports))
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
        return None if usage is None else Ended(0, whole=True, written=self.child.said(), usage=usage)

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


def _announce(reports: int) -> None:
    """Have the kernel send SIGIO to this process when there is something to read."""
    fcntl.fcntl(reports, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(reports, fcntl.F_SETFL, fcntl.fcntl(reports, fcntl.F_GETFL) | os.O_ASYNC | os.O_NONBLOCK)


def _serve(calls: Sequence[Call], position: int, orders: int, reports: int, answer: BinaryIO) -> int:
    """Be the process, until it is not fit to run another call; then the last answer is its own."""
    _volunteer()
    if len(calls) == 1:
        run(calls[position], answer)
        return 0
    fitness = _Fitness()
    while True:
        meter = _Meter.start()
        run(calls[position], answer)
        answer.flush()
        if answer.tell() > _LARGE or not fitness.lasts():
            return 0
        flush_printed()
        os.write(reports, _REPORT.pack(*meter.read()))
        (position,) = _ORDER.unpack(os.read(orders, _ORDER.size))
        renew(answer)


def _volunteer() -> None:
    # Where it is not allowed, the kernel chooses by size alone.
    _tell("oom_score_adj", _FIRST_TO_GO)


def _tell(file: str, text: bytes) -> None:
    with contextlib.suppress(OSError), open(f"/proc/self/{file}", "wb", buffering=0) as opened:
        opened.write(text)


class _Fitness:
    """Whether a process can run another call: not if it is other than it was before the first."""

    def __init__(self) -> None:
        self._before = _Traces.now()
        self._settled: int | None = None

    def lasts(self) -> bool:
        """Look, after a call."""
        held = resident()
        if self._settled is None:
            self._settled = held
        return held - self._settled <= _GROWN and _Traces.now() == self._before


class _Traces(NamedTuple):
    """What a call could leave behind that would meddle with the next.

    Attributes:
        folder: Where relative paths begin; ``None`` where that was removed.
        streams: What ``print`` writes to, and whether it is open.
        threads: How many threads of Python's there are; native ones serve whoever comes.
        processes: Whether there are children, or dead ones that nobody has waited for.
        alarms: Whether a signal is to come.
    """

    folder: str | None
    streams: tuple[object, ...]
    threads: int
    processes: bool
    alarms: bool

    @classmethod
    def now(cls) -> Self:
        """Look."""
        streams = sys.stdout, sys.stderr
        is_closed = [getattr(stream, "closed", True) for stream in streams]
        alarms = any(signal.getitimer(clock)[0] for clock in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL))
        return cls(_folder(), (*streams, *is_closed), _threads(), _has_children(), alarms)


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


def _threads() -> int:
    threading = sys.modules.get("threading")
    return threading.active_count() if threading is not None else 1


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


class _Meter(NamedTuple):
    """Measures what a call uses, from inside its process."""

    wall: float
    cpu: float
    memory: int

    @classmethod
    def start(cls) -> Self:
        """Begin to measure."""
        _tell("clear_refs", _PEAK_OF_MEMORY)
        return cls(*_spent())

    def read(self) -> Usage:
        """What was used since; memory is the peak above what was held at the start."""
        wall, cpu, memory = _spent()
        return Usage(wall - self.wall, cpu - self.cpu, max(0, memory - self.memory))


def _spent() -> tuple[float, float, int]:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    return time.monotonic(), cpu, own.ru_maxrss * 1024
