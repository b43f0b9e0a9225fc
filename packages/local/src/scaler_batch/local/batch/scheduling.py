"""What starts next: the head of the line of the most important queue, if there is room; or instances to make room."""

from __future__ import annotations

from collections.abc import Iterator

from .capacity import Capacity
from .fleet import Instance
from .job import Job
from .rules import Topology
from .vocabulary import Environment
from .waiting import WaitingLine


class Scheduler:
    """Takes jobs out of the line, and tells those at the heads of queues what they wait for.

    Args:
        waiting: The jobs that could start.
        capacity: What there is room for.
        topology: The queues and compute environments.
    """

    def __init__(self, waiting: WaitingLine, capacity: Capacity, topology: Topology) -> None:
        self._waiting = waiting
        self._capacity = capacity
        self._topology = topology

    def take_next(self) -> tuple[Job, Environment] | None:
        """Take the job that can start, with the environment that has room for it; None when none can."""
        for queue, job, environments in self._heads():
            environment = self._capacity.place(job.spec.resources, environments)
            if environment is not None:
                return self._waiting.pop(queue), environment
            job.status_reason = self._capacity.never_fits(job.spec.resources, environments)
        return None

    def grow(self, now: float) -> list[Instance]:
        """Start instances for the jobs that wait. Returns them."""
        fleet, started = self._capacity.fleet, list[Instance]()
        if not fleet.is_needed:
            return []
        for queue, job, environments in self._heads():
            wanted = job.spec.resources
            if any(map(fleet.serves, environments)) and self._capacity.never_fits(wanted, environments) is None:
                started += fleet.grow(wanted, self._waiting.count(queue), environments, now)
                job.status_reason = fleet.reason(wanted, environments)
        return started

    def _heads(self) -> Iterator[tuple[str, Job, list[Environment]]]:
        """The first job of each queue, the most important queue first; none while no job could start."""
        if self._capacity.full:
            return
        for queue in sorted(self._waiting.queues(), key=self._topology.priority, reverse=True):
            job = self._waiting.head(queue)
            if job is not None:
                yield queue, job, list(self._topology.environments(queue))
