"""Array jobs: a parent becomes children, and ends when they have."""

from __future__ import annotations

from collections import Counter

from . import texts
from .job import Children, Job
from .vocabulary import State


def open_array(parent: Job, now: float) -> list[Job]:
    """Make the children of an array: PENDING, with ids ``parent:index``, and counted by their parent."""
    size = parent.spec.array_size or 0
    jobs = [_child(parent, index, now) for index in range(size)]
    parent.children = Children(jobs, Counter({State.PENDING: size}), now)
    return jobs


def _child(parent: Job, index: int, now: float) -> Job:
    return Job(f"{parent.id}:{index}", parent.spec, parent.order, now, index=index, parent=parent, state=State.PENDING)


def conclude(parent: Job, now: float) -> bool:
    """End a parent whose children have all ended. Returns whether it was time."""
    children = parent.children
    if children is None or not children.finished or parent.terminal:
        return False
    failed = children.summary[State.FAILED] > 0
    parent.status_reason = (parent.stopping or texts.CHILD_FAILED) if failed else None
    parent.move(State.FAILED if failed else State.SUCCEEDED, now)
    return True
