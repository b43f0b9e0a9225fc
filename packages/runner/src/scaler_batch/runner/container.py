"""What the container lets this job have: processors, and memory that the kernel guards.

Both are told by control groups, of version 1 or 2. Inside a container the group's own files are at the mount's root;
outside, below the path that ``/proc/self/cgroup`` names.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Final

_MOUNT: Final = "/sys/fs/cgroup"
_SELF: Final = "/proc/self/cgroup"


class Container:
    """The control groups of this process.

    Args:
        mount: Where control groups are mounted.
        membership: The file that says to which groups the process belongs.
    """

    def __init__(self, mount: str = _MOUNT, membership: str = _SELF) -> None:
        self._mount = mount
        self._paths = dict(_memberships(membership))

    def processors(self) -> int | None:
        """How many processors' time the group may use, rounded up; ``None`` where there is no limit."""
        quota, period = [*self._text("cpu", "cpu.max").split(), "", ""][:2]
        if not period:
            quota, period = self._text("cpu", "cpu.cfs_quota_us"), self._text("cpu", "cpu.cfs_period_us")
        with contextlib.suppress(ValueError, ZeroDivisionError):
            return math.ceil(int(quota) / int(period)) if int(quota) > 0 else None
        return None

    def out_of_memory_kills(self) -> int | None:
        """How many processes of the group the kernel has killed for want of memory; ``None`` where it does not say."""
        told = self._text("memory", "memory.events") or self._text("memory", "memory.oom_control")
        counts = dict(line.split(" ", 1) for line in told.splitlines() if line.startswith("oom_kill "))
        with contextlib.suppress(KeyError, ValueError):
            return int(counts["oom_kill"])
        return None

    def _text(self, controller: str, name: str) -> str:
        for folder in self._folders(controller):
            with contextlib.suppress(OSError, UnicodeDecodeError):
                return _read(f"{folder}/{name}").strip()
        return ""

    def _folders(self, controller: str) -> Iterator[str]:
        """Where the group's files may be: version 2, then 1; the group's own path, then the mount's root."""
        yield from (f"{self._mount}/{path}" for path in dict.fromkeys((self._paths.get("", ""), "")))
        below = dict.fromkeys((self._paths.get(controller, ""), ""))
        yield from (f"{self._mount}/{controller}/{path}" for path in below)


def _memberships(file: str) -> Iterator[tuple[str, str]]:
    with contextlib.suppress(OSError, ValueError):
        for line in _read(file).splitlines():
            _, controllers, path = line.split(":", 2)
            for controller in controllers.split(","):
                yield controller, path.lstrip("/")


def _read(file: str) -> str:
    with open(file, encoding="utf-8") as opened:
        return opened.read()
