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
- **Apart.** A fork copies all open files of the runner, other children's answers among them. A child closes all but its
  own before anything else runs in it.
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
from collections.abc import Callable, Iterable
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

_LONGEST_PART: Final = 64 * 1024
"""Bytes of an answer that was not written to the end that are looked at."""

_BLOCK: Final = 512
"""Bytes of what the kernel calls a block of a file."""

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
            # It may have left the group that it led.
            for kill in (os.killpg, os.kill):
                with contextlib.suppress(ProcessLookupError):
                    kill(self.pid, signal.SIGKILL)

    def said(self, most: int) -> memoryview:
        """Copy what the child has written since it began, or began anew; it must not be writing.

        Args:
            most: Bytes that there may be; nothing is copied of an answer that has more.
        """
        size = os.fstat(self._answer).st_size - _HELD.size
        return memoryview(os.pread(self._answer, size, _HELD.size) if 0 < size <= most else b"")

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


def start(work: Work, keep: Iterable[int] = ()) -> Child:
    """Run ``work`` in a forked child.

    Args:
        work: What to run.
        keep: Files that it needs besides its answer; all others are closed in it, but for the standard ones.
    """
    flush_printed()
    answer = os.memfd_create("answer", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    leash, hold = os.pipe()
    pid = os.fork()
    if pid == 0:
        _live(work, answer, leash, keep)
    # Both sides do it, so that neither has to wait for the other before it may rely on the group.
    with contextlib.suppress(OSError):
        os.setpgid(pid, pid)
    os.close(leash)
    return Child(pid, answer, hold)


def _live(work: Work, answer: int, leash: int, keep: Iterable[int]) -> NoReturn:
    """Be the child, from the fork to the end."""
    code = BROKEN
    try:
        _close_all_but({answer, leash, *keep})
        log.forget()
        os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)
        _tie(leash)
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


def _close_all_but(kept: set[int]) -> None:
    """Close what the fork has copied."""
    for number in map(int, os.listdir("/proc/self/fd")):
        if number > 2 and number not in kept:
            # What listed them is closed already.
            with contextlib.suppress(OSError):
                os.close(number)


def _tie(leash: int) -> None:
    """Have the kernel kill this process's group when the parent is gone."""
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
    """Return whether the answer is whole, what the child held at its start, and what it wrote.

    Anybody whom the child has given the file to may still change one that is not sealed in every way, and reading a map
    of a file that shrinks kills; so of such a one a part is copied.
    """
    try:
        about = os.fstat(answer)
        size = about.st_size
        # One with holes was not written but stretched; reading it would fill them.
        if size < _HELD.size or about.st_blocks * _BLOCK < size:
            return False, 0, memoryview(b"")
        if fcntl.fcntl(answer, fcntl.F_GET_SEALS) & _SEALS != _SEALS:
            return False, _held(answer), memoryview(os.pread(answer, _LONGEST_PART, _HELD.size))
        # Kernels before 6.7 refuse a shared mapping of a sealed file; a private one that is never written shares its
        # pages all the same.
        view = memoryview(mmap.mmap(answer, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ))
        return True, _HELD.unpack_from(view)[0], view[_HELD.size :]
    except (OSError, OverflowError, ValueError):
        # So large that it cannot be mapped: nobody could have written that much.
        return False, 0, memoryview(b"")
    finally:
        os.close(answer)


def _held(answer: int) -> int:
    held = os.pread(answer, _HELD.size, 0)
    return int(_HELD.unpack(held)[0]) if len(held) == _HELD.size else 0


def resident() -> int:
    """Bytes of resident memory of this process."""
    with open("/proc/self/statm", "rb", buffering=0) as file:
        return int(file.read().split()[1]) * resource.getpagesize()
