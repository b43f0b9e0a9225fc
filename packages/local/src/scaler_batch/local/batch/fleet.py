"""The instances of compute environments: they come when jobs wait, and go when they are idle or taken back.

An instance is *starting* until its boot is over, then *connected*, unless it cannot reach ECS: such an instance counts
against ``maxvCpus`` and costs money, but never runs a job. One that is reclaimed takes no more jobs and goes with its
last.

How many are started is a simplification of what Batch does: enough for all jobs that wait in the queue if they were
like the first one, of the largest type that they fill, or else the smallest that holds one.
"""

from __future__ import annotations

import random
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Protocol

from . import texts
from .vocabulary import Environment, InstanceType, Resources


@dataclass(frozen=True, slots=True)
class Site:
    """Where an instance would run.

    Attributes:
        subnet: Its id.
        connects: Whether an instance there can reach ECS.
    """

    subnet: str
    connects: bool


class Sites(Protocol):
    """The networks under compute environments."""

    def site(self, environment: str, instance_type: str, nth: int) -> Site | None:
        """The subnet for the nth instance of an environment; None when no zone offers the type."""


@dataclass(frozen=True, slots=True)
class FleetRules:
    """How instances come and go.

    Attributes:
        shortest_boot: Seconds from an instance's start until it is connected, at least.
        longest_boot: The same, at most; most boots are near to this.
        idle: Seconds that an instance without jobs is kept, unless its environment says otherwise.
    """

    shortest_boot: float = 0.0
    longest_boot: float = 0.0
    idle: float = 600.0


@dataclass(slots=True, eq=False)
class Instance:
    """One machine of a compute environment. Times are seconds since 1970.

    Attributes:
        boots_until: When it is connected, if it ever is.
        idle_since: When its last job ended, or it was connected; None while it has jobs or is not connected.
        idle: Seconds that it is kept without jobs.
        reclaimed: Whether it takes no more jobs.
    """

    id: str
    environment: Environment
    type: InstanceType
    site: Site
    boots_until: float
    idle: float
    connected: bool = False
    idle_since: float | None = None
    reclaimed: bool = False
    held: dict[str, Resources] = field(default_factory=dict)

    def has_room(self, wanted: Resources) -> bool:
        """Whether a job fits beside those that it has."""
        return (
            self.connected
            and not self.reclaimed
            and sum(each.vcpus for each in self.held.values()) + wanted.vcpus <= self.type.vcpus
            and sum(each.memory_mib for each in self.held.values()) + wanted.memory_mib <= self.type.memory_mib
            and sum(each.gpus for each in self.held.values()) + wanted.gpus <= self.type.gpus
        )

    @property
    def idle_until(self) -> float | None:
        """When it goes, unless a job comes; None when it has jobs or is not connected."""
        return None if self.idle_since is None else self.idle_since + self.idle


def new_instance_id() -> str:
    """An id like EC2's."""
    return f"i-0{uuid.uuid4().hex[:16]}"


class Fleet:
    """The sole owner of which instances there are, and of who is on them.

    Args:
        rules: How they come and go; None when jobs need none.
        sites: Where they run.
        new_id: Makes their ids.

    Attributes:
        is_needed: Whether jobs need instances at all.
    """

    def __init__(self, rules: FleetRules | None, sites: Sites, new_id: Callable[[], str] = new_instance_id) -> None:
        self._rules = rules or FleetRules()
        self.is_needed = rules is not None
        self._sites = sites
        self._new_id = new_id
        self._chance = random.Random(0)
        self._instances: list[Instance] = []
        self._vcpus: Counter[str] = Counter()
        self._hosts: dict[str, Instance] = {}
        self._started = 0

    def instances(self, environment: str | None = None) -> list[Instance]:
        """Those of one environment, or all."""
        return [each for each in self._instances if environment in (None, each.environment.arn)]

    # Jobs ---------------------------------------------------------------------------------------------------------

    def serves(self, environment: Environment) -> bool:
        """Whether jobs of an environment need an instance."""
        return self.is_needed and bool(environment.types)

    def has_room(self, environment: Environment, wanted: Resources) -> bool:
        """Whether an instance of the environment can take a job, where it needs one."""
        return not self.serves(environment) or any(each.has_room(wanted) for each in self.instances(environment.arn))

    def take(self, holder: str, environment: Environment, wanted: Resources) -> Instance | None:
        """Put an attempt on the first instance with room, where it needs one; then there must be one."""
        if not self.serves(environment):
            return None
        instance = next(each for each in self.instances(environment.arn) if each.has_room(wanted))
        instance.held[holder] = wanted
        instance.idle_since = None
        self._hosts[holder] = instance
        return instance

    def give_back(self, holder: str, now: float) -> None:
        """An attempt is over."""
        instance = self._hosts.pop(holder, None)
        if instance is not None:
            del instance.held[holder]
            instance.idle_since = None if instance.held else now

    def reclaim(self, holder: str) -> Instance | None:
        """The instance under an attempt is taken back, if there is one. It takes no more jobs."""
        instance = self._hosts.get(holder)
        if instance is not None:
            instance.reclaimed = True
        return instance

    # Instances ----------------------------------------------------------------------------------------------------

    def grow(self, wanted: Resources, waiting: int, environments: Sequence[Environment], now: float) -> list[Instance]:
        """Start instances for so many jobs like this one, in the first environment that may have more of them."""
        for environment in environments:
            if self._fitting(environment, wanted):
                started = self._grow_one(environment, wanted, waiting, now)
                if started or self._starting(environment):
                    return started
        return []

    def reason(self, wanted: Resources, environments: Sequence[Environment]) -> str | None:
        """What a job shows that waits for an instance at the head of its queue."""
        if not any(self._fitting(each, wanted) for each in environments):
            return texts.TOO_MUCH_MEMORY
        if any(each.connected for environment in environments for each in self.instances(environment.arn)):
            return None
        if not any(self.instances(environment.arn) for environment in environments):
            return texts.NO_CAPACITY
        return texts.TOO_MUCH_MEMORY

    @property
    def next_change(self) -> float | None:
        """When an instance is connected, or goes, unless something happens before; None when none will."""
        return min((due for each in self._instances if (due := self._changes(each)) is not None), default=None)

    def advance(self, now: float) -> tuple[list[Instance], list[Instance]]:
        """Time has passed. Returns the instances that are connected now, and those that are gone."""
        connected = [each for each in self._instances if not each.connected and self._is_due(each, now)]
        for each in connected:
            each.connected, each.idle_since = True, now
        # One by one: a first that goes may be the last that can be spared.
        gone = [each for each in self.instances() if each.connected and self._is_due(each, now) and self._remove(each)]
        return connected, gone

    def close(self, environment: str) -> list[Instance]:
        """An environment is gone: so are its instances that have no jobs."""
        return [each for each in self.instances(environment) if not each.held and self._remove(each)]

    def shift(self, seconds: float) -> None:
        """Shift all moments by the seconds that the clock has jumped, so that what remains to wait stays the same."""
        for each in self._instances:
            each.boots_until += seconds
            each.idle_since = None if each.idle_since is None else each.idle_since + seconds

    def _changes(self, instance: Instance) -> float | None:
        """When an instance is connected, or goes; None when it stays as it is."""
        if not instance.connected:
            return instance.boots_until if instance.site.connects else None
        if instance.reclaimed:
            return instance.idle_since
        left = self._vcpus[instance.environment.arn] - instance.type.vcpus
        return instance.idle_until if left >= instance.environment.min_vcpus else None

    def _is_due(self, instance: Instance, now: float) -> bool:
        due = self._changes(instance)
        return due is not None and due <= now

    def _remove(self, instance: Instance) -> bool:
        self._instances.remove(instance)
        self._vcpus[instance.environment.arn] -= instance.type.vcpus
        return True

    def _starting(self, environment: Environment) -> bool:
        return any(not each.connected for each in self.instances(environment.arn))

    def _fitting(self, environment: Environment, wanted: Resources) -> list[InstanceType]:
        return [each for each in environment.types if each.holds(wanted)]

    def _grow_one(self, environment: Environment, wanted: Resources, waiting: int, now: float) -> list[Instance]:
        coming = sum(_jobs_on(each.type, wanted) for each in self.instances(environment.arn) if not each.connected)
        missing, started = waiting - coming, list[Instance]()
        while missing > 0 and (instance := self._start(environment, wanted, missing, now)) is not None:
            started.append(instance)
            missing -= _jobs_on(instance.type, wanted)
        return started

    def _start(self, environment: Environment, wanted: Resources, missing: int, now: float) -> Instance | None:
        room = environment.max_vcpus - self._vcpus[environment.arn]
        candidates = [each for each in self._fitting(environment, wanted) if each.vcpus <= room]
        for each in _by_preference(candidates, ceil(missing * wanted.vcpus)):
            site = self._sites.site(environment.arn, each.name, self._started)
            if site is not None:
                return self._add(environment, each, site, now)
        return None

    def _add(self, environment: Environment, kind: InstanceType, site: Site, now: float) -> Instance:
        rules = self._rules
        boot = self._chance.triangular(rules.shortest_boot, rules.longest_boot, rules.longest_boot)
        idle = rules.idle if environment.idle is None else environment.idle
        instance = Instance(self._new_id(), environment, kind, site, now + boot, idle)
        self._started += 1
        self._instances.append(instance)
        self._vcpus[environment.arn] += kind.vcpus
        return instance


def _by_preference(types: Sequence[InstanceType], vcpus: int) -> list[InstanceType]:
    """The largest type that the jobs fill first, then the smaller ones; those that are too large come last."""
    filled = [each for each in types if each.vcpus <= vcpus]
    larger = [each for each in types if each.vcpus > vcpus]
    return [
        *sorted(filled, key=lambda each: (-each.vcpus, each.memory_mib, each.name)),
        *sorted(larger, key=lambda each: (each.vcpus, each.memory_mib, each.name)),
    ]


def _jobs_on(kind: InstanceType, wanted: Resources) -> int:
    """How many jobs like this one fit on an empty instance."""
    by_gpus = [kind.gpus // wanted.gpus] if wanted.gpus else []
    return max(1, min(int(kind.vcpus // wanted.vcpus), kind.memory_mib // wanted.memory_mib, *by_gpus))
