"""A job as it was at an earlier moment, as far as its own times tell. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ..batch.job import Attempt, Children, Job
from ..batch.vocabulary import State

_WITHOUT_TIMES = frozenset({State.SUBMITTED, State.PENDING})


def as_of(job: Job, moment: float) -> Job | None:
    """The job as it was, or None when it was not there yet. Moments are seconds since 1970.

    A job that had neither started nor ended is shown as RUNNABLE, or as what it still is if it has not come that far;
    a parent that had not ended, as PENDING.
    """
    if job.created_at > moment:
        return None
    children = _children(job, moment)
    if job.stopped_at is not None and job.stopped_at <= moment:
        return job
    running = _running(job, moment)
    return replace(
        job,
        state=_state(job, running),
        status_reason=None,
        started_at=running.started_at if running else None,
        stopped_at=None,
        attempts=[each for each in job.attempts if _over(each, moment)],
        current=running,
        children=children,
        cancelled=False,
        terminated=False,
    )


def _state(job: Job, running: Attempt | None) -> State:
    if job.spec.array_size is not None and job.parent is None:
        return State.PENDING
    if running is not None:
        return State.RUNNING
    return job.state if job.state in _WITHOUT_TIMES else State.RUNNABLE


def _running(job: Job, moment: float) -> Attempt | None:
    """The attempt that was under way."""
    attempts = [*job.attempts, *([job.current] if job.current else [])]
    started = (each for each in attempts if each.started_at is not None and each.started_at <= moment)
    return next((each for each in started if not _over(each, moment)), None)


def _over(attempt: Attempt, moment: float) -> bool:
    return attempt.stopped_at is not None and attempt.stopped_at <= moment


def _children(job: Job, moment: float) -> Children | None:
    if job.children is None:
        return None
    then = [as_of(child, moment) for child in job.children.jobs]
    summary = Counter(child.state for child in then if child is not None)
    return Children(job.children.jobs, summary, min(job.children.changed_at, moment))
