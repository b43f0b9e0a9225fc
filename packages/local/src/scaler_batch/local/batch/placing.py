"""Which job starts next: the head of the line of the most important queue, if there is room for it."""

from __future__ import annotations

from .capacity import Capacity
from .job import Job
from .rules import Topology
from .vocabulary import Environment
from .waiting import WaitingLine


def take_next(waiting: WaitingLine, capacity: Capacity, topology: Topology) -> tuple[Job, Environment] | None:
    """Take the job that can start out of the line, with the environment that has room for it; None when none can.

    A head that does not fit is told why as its status reason, if it never will.
    """
    if capacity.full:
        return None
    for queue in sorted(waiting.queues(), key=topology.priority, reverse=True):
        job = waiting.head(queue)
        environments = topology.environments(queue)
        if job is None:
            continue
        environment = capacity.place(job.spec.resources, environments)
        if environment is not None:
            return waiting.pop(queue), environment
        job.status_reason = capacity.never_fits(job.spec.resources, environments)
    return None
