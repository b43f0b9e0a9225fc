"""Memory limits, without the kernel's help: the host looks at what jobs have, and kills what has too much.

A container's limit is the kernel's doing (a control group). A plain process of a plain user has none, so the host looks
at the memory of each job that has a limit, a few times a second. What counts is what a control group would charge and
could not take back: anonymous memory, shared memory, and what was swapped out, of the job's first process, all that
descends from it, and what is left in its process group.

A look takes two steps. The first adds up what each process holds; it is cheap, and counts pages twice that processes
share after a fork. Only where that sum is too much are shared pages divided by their users, which takes the kernel
longer. A job that is over its limit twice in a row loses its largest process, as when the kernel runs out; twice,
because a process that is just being forked still holds what its parent did.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass

LOOK_EVERY = 0.05
"""Seconds between looks."""

LARGEST_PART = 20
"""A look may take this part of the time between two: of a core, a twentieth goes there at most."""

_HELD = ("RssAnon:", "RssShmem:", "VmSwap:")
_DIVIDED = ("Pss_Anon:", "Pss_Shmem:", "SwapPss:")


@dataclass
class _Watched:
    limit: int
    over: bool = False
    struck: bool = False


class MemoryWatch:
    """The limits of running jobs, and who has exceeded them."""

    def __init__(self) -> None:
        self._jobs: dict[int, _Watched] = {}
        self._next = 0.0

    def add(self, leader: int, limit: int) -> None:
        """Watch a job by its first process.

        Args:
            leader: That process.
            limit: Bytes; 0 for no limit.
        """
        if limit > 0:
            self._jobs[leader] = _Watched(limit)

    def remove(self, leader: int) -> bool:
        """Watch a job no more. Returns whether a process of it was killed for want of memory."""
        watched = self._jobs.pop(leader, None)
        return watched is not None and watched.struck

    @property
    def patience(self) -> float | None:
        """Seconds until somebody should look; None when there is nothing to see."""
        return max(0.0, self._next - time.monotonic()) if self._jobs else None

    def look(self) -> None:
        """Look, if it is time."""
        began = time.monotonic()
        if not self._jobs or began < self._next:
            return
        orphans = _children(os.getpid())
        for leader, watched in self._jobs.items():
            self._judge(watched, _members(leader, orphans))
        ended = time.monotonic()
        self._next = ended + max(LOOK_EVERY, LARGEST_PART * (ended - began))

    def _judge(self, watched: _Watched, members: Iterable[int]) -> None:
        held = {pid: _sum(f"/proc/{pid}/status", _HELD) for pid in members}
        over = sum(held.values()) > watched.limit and (
            sum(_sum(f"/proc/{pid}/smaps_rollup", _DIVIDED) for pid in held) > watched.limit
        )
        if over and watched.over:
            watched.struck = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(max(held, key=held.__getitem__), signal.SIGKILL)
        watched.over = over


def _members(leader: int, orphans: Iterable[int]) -> list[int]:
    """The processes of a job: its first, what descends from that, and orphans that are still in its group."""
    found = [leader, *(pid for pid in orphans if pid != leader and _group(pid) == leader)]
    for pid in found:
        found += _children(pid)
    return found


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def _children(pid: int) -> list[int]:
    """The children of a process, whichever of its threads made them."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as listing:
                found += map(int, listing.read().split())
    return found


def _sum(path: str, members: tuple[str, ...]) -> int:
    """Some members of a table of the kernel's, in bytes; nothing when the process has gone."""
    try:
        with open(path) as table:
            return sum(int(line.split()[1]) << 10 for line in table if line.startswith(members))
    except OSError:
        return 0
