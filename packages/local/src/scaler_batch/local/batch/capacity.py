"""What is free: the vCPUs of each compute environment, and the job processes and memory of this machine.

Two walls stand around every job. AWS's wall is the compute environment's ``maxvCpus``. The machine's wall is how many
processes it should run at once, whatever its owner told Batch about vCPUs. A job starts when it fits inside both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from . import texts
from .fleet import Fleet, Instance
from .vocabulary import Environment, Resources


@dataclass(slots=True)
class Capacity:
    """The sole owner of what running jobs have taken.

    Attributes:
        slots: Job processes that may exist at once.
        memory_mib: Memory that running jobs may have reserved together; None for no bound.
        fleet: The instances that jobs run on.
    """

    slots: int
    fleet: Fleet
    memory_mib: int | None = None
    _taken: dict[str, tuple[str, Resources]] = field(default_factory=dict)
    _vcpus: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _memory: int = 0

    @property
    def used_slots(self) -> int:
        """How many jobs hold a place."""
        return len(self._taken)

    @property
    def full(self) -> bool:
        """Whether not even the smallest job could start."""
        return self.used_slots >= self.slots

    def used_vcpus(self, environment: str) -> float:
        """The vCPUs that running jobs hold in one compute environment."""
        return self._vcpus[environment]

    def place(self, wanted: Resources, environments: Sequence[Environment]) -> Environment | None:
        """The first environment, in the queue's order, with room for the job."""
        if self.full or not self._memory_fits(wanted):
            return None
        return next((each for each in environments if self._has_room(each, wanted)), None)

    def never_fits(self, wanted: Resources, environments: Sequence[Environment]) -> str | None:
        """Why the job could not start even on an idle machine; None when it could."""
        if environments and all(wanted.vcpus > each.max_vcpus for each in environments):
            return texts.TOO_MANY_VCPUS
        if self.memory_mib is not None and wanted.memory_mib > self.memory_mib:
            return texts.TOO_MUCH_MEMORY
        return None

    def take(self, holder: str, wanted: Resources, environment: Environment) -> Instance | None:
        """Reserve room for an attempt. Returns the instance that it is on, if it is on one."""
        self._taken[holder] = (environment.arn, wanted)
        self._vcpus[environment.arn] += wanted.vcpus
        self._memory += wanted.memory_mib
        return self.fleet.take(holder, environment, wanted)

    def give_back(self, holder: str, now: float) -> None:
        """Free what an attempt had."""
        self.fleet.give_back(holder, now)
        environment, held = self._taken.pop(holder)
        self._vcpus[environment] -= held.vcpus
        self._memory -= held.memory_mib

    def _has_room(self, environment: Environment, wanted: Resources) -> bool:
        within = self._vcpus[environment.arn] + wanted.vcpus <= environment.max_vcpus
        return within and self.fleet.has_room(environment, wanted)

    def _memory_fits(self, wanted: Resources) -> bool:
        return self.memory_mib is None or self._memory + wanted.memory_mib <= self.memory_mib
