"""A function in a forked child, and what it wrote.

The runner's process starts no threads, so it may fork at any time. Whatever needs threads (the store) or cannot be
trusted to come back (user code) happens in a child: it may raise, leave, die or be killed, and the runner lives on.

- **The answer** is a memory file made before the fork. The child writes it, then *seals* it: an answer is whole exactly
  when it is sealed, whatever the child's exit looks like, and nothing that the child left behind can change it. The
  parent maps it without copying. It begins with what the child held in memory at its start, so that its peak can be
  told from the runner's own size. A child that lives on after an answer lets the parent copy it, then begins the
  file anew (:func:`renew`).
- **The group.** A child leads a process group of its own, so that one kill reaches everything it started. What is
  left of the group when the child ends is killed.
- **The leash.** The group must not outlive the runner either, and SIGKILL gives the runner no time to see to it. So
  each child holds the reading end of a pipe whose writing end only the runner has, and has asked the kernel to send
  SIGKILL to the group when the pipe hangs up.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import mmap
import os
import resource
import signal
import struct
import sys
import time
from collections.abc import Callable
from typing import BinaryIO, Final, NamedTuple, NoReturn

from scaler_batch.payload import Usage
from scaler_batch.runner import log

Work = Callable[[BinaryIO], int]
"""What a child does: write the answer to the stream, return the exit code."""

BROKEN: Final = 70
"""Exit code of a child whose work raised, which it never should (``EX_SOFTWARE`` of ``sysexits.h``)."""

HELD_BACK: Final = frozenset({signal.SIGCHLD, signal.SIGTERM, signal.SIGIO})
"""Signals that the runner waits for instead of being interrupted by them; a child gets them as anybody does."""

_HELD: Final = struct.Struct("<Q")

_SEALS: Final = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


class Ended(NamedTuple):
    """What became of a child.

    Attributes:
        code: Its exit code, or the number of the signal that killed it with a minus sign.
        whole: Whether it wrote its answer to the end.
        written: What it wrote, not necessarily to the end.
        usage: What it used; memory is the peak above what it held when it began, or began anew.
    """

    code: int
    whole: bool
    written: memoryview
    usage: Usage


class Child:
    """A child that was started; made by :func:`start`.

    Attributes:
        pid: Its number.
    """

    def __init__(self, pid: int, answer: int, leash: int) -> None:
        self.pid = pid
        self._answer = answer
        self._leash = leash
        self._started = time.monotonic()
        self._reaped = False

    def kill(self) -> None:
        """Kill the child and all it started, at once. Safe in a signal handler, and after the end."""
        if not self._reaped:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def said(self) -> memoryview:
        """Copy what the child has written since it began, or began anew; it must not be writing."""
        size = max(0, os.fstat(self._answer).st_size - _HELD.size)
        return memoryview(os.pread(self._answer, size, _HELD.size))

    def wait(self) -> Ended:
        """Wait for the end."""
        # While the child is a zombie its number cannot be given to another process, so what is left of its group
        # can be killed without hitting a stranger.
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        wall = time.monotonic() - self._started
        self.kill()
        self._reaped = True
        _, status, used = os.wait4(self.pid, 0)
        os.close(self._leash)
        whole, held, written = _read(self._answer)
        usage = Usage(wall, used.ru_utime + used.ru_stime, max(0, used.ru_maxrss * 1024 - held))
        return Ended(os.waitstatus_to_exitcode(status), whole, written, usage)


def start(work: Work) -> Child:
    """Run ``work`` in a forked child."""
    flush_printed()
    answer = os.memfd_create("answer", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    leash, hold = os.pipe()
    pid = os.fork()
    if pid == 0:
        _live(work, answer, leash, hold)
    # Both sides do it, so that neither has to wait for the other before it may rely on the group.
    with contextlib.suppress(OSError):
        os.setpgid(pid, pid)
    os.close(leash)
    return Child(pid, answer, hold)


def _live(work: Work, answer: int, leash: int, hold: int) -> NoReturn:
    """Be the child, from the fork to the end."""
    code = BROKEN
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)
        _tie(leash, hold)
        _arrange_streams()
        with os.fdopen(answer, "wb") as stream:
            renew(stream)
            ended = work(stream)
            stream.flush()
            fcntl.fcntl(answer, fcntl.F_ADD_SEALS, _SEALS)
            code = ended
    except BaseException as error:
        # Imported here: this never happens, and a runner has to be quick to start.
        import traceback

        # Where, but not what: the message may be the user's data, and this goes to the log.
        where = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
        log.line("child_broken", error=type(error).__name__, where=where)
    finally:
        leave(code)


def renew(stream: BinaryIO) -> None:
    """Begin the answer anew, in the child."""
    stream.seek(0)
    stream.truncate()
    stream.write(_HELD.pack(resident()))
    stream.flush()


def leave(code: int) -> NoReturn:
    """End this process, flushing what was printed, without taking the interpreter apart."""
    try:
        flush_printed()
    finally:
        os._exit(code)


def _tie(leash: int, hold: int) -> None:
    """Have the kernel kill this process's group when the parent is gone."""
    os.close(hold)
    fcntl.fcntl(leash, fcntl.F_SETOWN, -os.getpid())
    fcntl.fcntl(leash, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(leash, fcntl.F_SETFL, fcntl.fcntl(leash, fcntl.F_GETFL) | os.O_ASYNC)


def _arrange_streams() -> None:
    """Nothing to read; what is printed goes out line by line."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)


def flush_printed() -> None:
    """Send on what was printed."""
    for stream in (sys.stdout, sys.stderr):
        # User code may have closed it, or replaced it by something of its own.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()


def _read(answer: int) -> tuple[bool, int, memoryview]:
    """Return whether the answer is whole, what the child held at its start, and what it wrote."""
    try:
        size = os.fstat(answer).st_size
        if size < _HELD.size:
            return False, 0, memoryview(b"")
        # Kernels before 6.7 refuse a shared mapping of a sealed file; a private one that is never written shares its
        # pages all the same.
        view = memoryview(mmap.mmap(answer, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ))
        whole = bool(fcntl.fcntl(answer, fcntl.F_GET_SEALS) & fcntl.F_SEAL_WRITE)
        return whole, _HELD.unpack_from(view)[0], view[_HELD.size :]
    finally:
        os.close(answer)


def resident() -> int:
    """Bytes of resident memory of this process."""
    with open("/proc/self/statm", "rb", buffering=0) as file:
        return int(file.read().split()[1]) * resource.getpagesize()
