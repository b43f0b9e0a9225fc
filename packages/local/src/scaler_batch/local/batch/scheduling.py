"""What starts next: the RUNNABLE jobs of each queue in the order in which they will start, and which of them does.

First in, first out, and strictly so: a job that cannot start yet holds up those behind it, as a blocked head of the
queue does on AWS. In a queue with a fair-share policy each share has a line of its own, sorted by scheduling priority
first, and the share that has used least goes next. Jobs that leave RUNNABLE by another door (cancelled) are dropped
when they come to the front.

The head of the most important queue starts, if there is room for it. Otherwise instances are started to make room.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator

from .capacity import Capacity
from .fleet import Instance
from .job import Job
from .rules import Topology
from .vocabulary import Environment, State

_Entry = tuple[int, int, int, Job]
_Lines = dict[str, list[_Entry]]


class WaitingLine:
    """The jobs that could start, and how much each share of a queue has used."""

    def __init__(self) -> None:
        self._queues: dict[str, _Lines] = {}
        self._usage: defaultdict[tuple[str, str], float] = defaultdict(float)

    def add(self, job: Job) -> None:
        """A job has become RUNNABLE."""
        entry = (-(job.spec.scheduling_priority or 0), job.order, job.index or 0, job)
        lines = self._queues.setdefault(job.spec.queue, {})
        heapq.heappush(lines.setdefault(job.spec.share_identifier or "", []), entry)

    def queues(self) -> list[str]:
        """The queues in which a job waits."""
        return [queue for queue in list(self._queues) if self.head(queue) is not None]

    def head(self, queue: str) -> Job | None:
        """The job that is next in this queue."""
        line = self._next_line(queue)
        return line[0][-1] if line else None

    def count(self, queue: str) -> int:
        """How many jobs wait in this queue, those included that will be dropped when they come to the front."""
        return sum(map(len, self._queues.get(queue, {}).values()))

    def pop(self, queue: str) -> Job:
        """Take the head out, and count it as usage of its share; there must be one."""
        job = heapq.heappop(self._next_line(queue))[-1]
        share = job.spec.share_identifier or ""
        self._usage[queue, share] += job.spec.resources.vcpus * job.spec.share_weight
        return job

    def take_all(self) -> list[Job]:
        """Take every waiting job out."""
        taken = [job for queue in self._queues for job in self.in_order(queue)]
        self._queues.clear()
        return taken

    def in_order(self, queue: str) -> Iterator[Job]:
        """The waiting jobs of a queue, first first; between shares, as they were submitted."""
        entries = sorted(entry for line in self._queues.get(queue, {}).values() for entry in line)
        return (entry[-1] for entry in entries if entry[-1].state is State.RUNNABLE)

    def _next_line(self, queue: str) -> list[_Entry]:
        """The line of the share that goes next; empty when no job waits."""
        lines = self._queues.get(queue, {})
        for share in [share for share, line in lines.items() if not _drop_gone(line)]:
            del lines[share]
        if not lines:
            self._queues.pop(queue, None)
            return []
        return lines[min(lines, key=lambda share: (self._usage[queue, share], lines[share][0][1]))]


def _drop_gone(line: list[_Entry]) -> list[_Entry]:
    """Take those out of the front that do not wait any more."""
    while line and line[0][-1].state is not State.RUNNABLE:
        heapq.heappop(line)
    return line


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
