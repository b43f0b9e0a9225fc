"""How no process outlives its reason: what Linux offers against orphans.

A job's first process dies with the host (parent death signal). What a job leaves behind comes to the host (the host
is a subreaper), which ends it with the job, or at the latest when it ends itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal

_SET_PARENT_DEATH_SIGNAL = 1
_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    _libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill the calling process when its parent ends; at once if that has happened already."""
    _libc.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(128 + signal.SIGKILL)


def signal_group(leader: int, number: int) -> None:
    """Signal a job's process group; only the leader when it has not made the group yet."""
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        with contextlib.suppress(ProcessLookupError):
            os.kill(leader, number)


def end_group(leader: int) -> tuple[int, float]:
    """Bury a leader that has ended, and kill and bury what is left of its group.

    The leader's number stays taken until it is waited for, so its group can be nobody else's. Its orphans come to this
    process, which is a subreaper, and can be waited for.

    Returns:
        The leader's wait status, and the CPU seconds that it and what it waited for have used.
    """
    signal_group(leader, signal.SIGKILL)
    _, status, usage = os.wait4(leader, 0)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-leader, 0)
    return status, usage.ru_utime + usage.ru_stime


def end_descendants() -> None:
    """Kill everything below this process, including what comes to it when its own parent dies."""
    while children := _children():
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        for child in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)


def _children() -> list[int]:
    """The direct children of this process, which has one thread."""
    with open(f"/proc/self/task/{os.getpid()}/children") as listing:
        return [int(pid) for pid in listing.read().split()]
