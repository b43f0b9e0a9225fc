"""Whose container is this, and does its owner still live?

An owner is a process: the container host that made the container. A process number alone would not do, as numbers
are given out again, and several hosts may use one engine from containers of their own, where numbers differ.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

LABEL = "scaler-batch.local.owner"
ATTEMPT_LABEL = "scaler-batch.local.attempt"

_START_TIME = 18
"""Where ``/proc/PID/stat`` has the start time, counted from behind the state of the process."""


@dataclass(frozen=True)
class Owner:
    """A process, told from every other that was or will be.

    Attributes:
        world: The boot of the machine and the process namespace: where the number means something.
        pid: Its number there.
        started: When it started, in ticks since the boot.
    """

    world: str
    pid: int
    started: int

    @classmethod
    def this_process(cls) -> Owner:
        """The process that asks."""
        return cls(_world(), os.getpid(), _started(os.getpid()) or 0)

    @classmethod
    def parse(cls, text: str) -> Owner:
        """The owner that a label names.

        Raises:
            ValueError: It names none.
        """
        world, pid, started = text.rsplit("/", 2)
        return cls(world, int(pid), int(started))

    def __str__(self) -> str:
        return f"{self.world}/{self.pid}/{self.started}"

    @property
    def visible(self) -> bool:
        """Whether this process can see whether that one lives."""
        return self.world == _world()

    @property
    def alive(self) -> bool:
        """Whether it lives; only to be asked where it can be seen."""
        return _started(self.pid) == self.started


@dataclass(frozen=True)
class Found:
    """A container of some host's."""

    id: str
    owner: str
    running: bool


def is_left_behind(container: Found) -> bool:
    """Whether nobody will ever remove this container.

    An owner that cannot be seen, on another machine or from before a reboot, is believed dead only when its container
    has ended.
    """
    try:
        owner = Owner.parse(container.owner)
    except ValueError:
        return not container.running
    return not owner.alive if owner.visible else not container.running


def _world() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{os.readlink('/proc/self/ns/pid')}"


def _started(pid: int) -> int | None:
    """When a process started; None when there is none, or when it has ended and only waits to be buried."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in "ZX" else int(fields[_START_TIME])
