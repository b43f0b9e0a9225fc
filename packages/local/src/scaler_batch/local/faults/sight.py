"""What DescribeJobs and ListJobs show instead of what there is. Decides by a fault's selection, and changes no job."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any, Final

from ..batch.job import Job
from ..batch.vocabulary import State
from .base import fits
from .reads import Duplicate, Omit, SightFault, Stale, UnknownState, Vanish
from .rewinding import as_of
from .selection import Place, Selection

_REQUIRED: Final = {
    "DescribeJobs": {"jobName", "jobId", "jobQueue", "status", "startedAt", "jobDefinition"},
    "ListJobs": {"jobId", "jobName"},
}
"""The members of JobDetail and JobSummary that AWS's model requires."""


def named(job: Job, pattern: str) -> bool:
    """Whether the job's name is one that a pattern stands for."""
    return fits(job.spec.name, pattern)


def place(job: Job) -> Place:
    """The job's place in line, its parent's being before that of all children."""
    return job.order, -1 if job.index is None else job.index


def seen(fault: SightFault, selection: Selection, jobs: list[Job], clock: float, now: float) -> list[Job]:
    """The jobs to show where these would be.

    ``clock`` is the time of the selection, and ``now`` that of the jobs in seconds since 1970.
    """
    match fault:
        case Vanish(jobs=pattern):
            return [job for job in jobs if not (named(job, pattern) and selection.strike_job(place(job), clock))]
        case UnknownState(jobs=pattern, state=state):
            struck = (named(job, pattern) and selection.strike_job(place(job), clock) for job in jobs)
            return [_in_state(job, state) if strange else job for job, strange in zip(jobs, struck, strict=True)]
        case Stale(jobs=pattern, seconds=seconds) if selection.strike_call(clock):
            then = (as_of(job, now - seconds) if named(job, pattern) else job for job in jobs)
            return [job for job in then if job is not None]
        case Duplicate(jobs=pattern) if selection.strike_call(clock):
            return [job for job in jobs for _ in range(2 if named(job, pattern) else 1)]
    return jobs


def without_omitted(
    fault: SightFault, selection: Selection, operation: str, job: Job, members: dict[str, Any], clock: float
) -> dict[str, Any]:
    """The members of a job that an answer shows, without those that a fault leaves out."""
    match fault:
        case Omit(field=pattern) if selection.strike_job(place(job), clock):
            required = _REQUIRED[operation]
            return {name: value for name, value in members.items() if name in required or not fits(name, pattern)}
    return members


def _in_state(job: Job, state: str) -> Job:
    return replace(job, state=_strange(state))


@functools.cache
def _strange(name: str) -> State:
    """A state that is not in the model, as AWS may add one: of the type, but none of its members."""
    state = str.__new__(State, name)
    state._name_ = state._value_ = name
    return state
