"""Which waiting tasks leave together, and how many of them share a job.

There is no window to wait out. While one submission is under way tasks gather, and the next takes all that has
gathered, as databases commit in groups: a lone task leaves at once, a burst leaves as a few large arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

from scaler_batch.aws import JobShape
from scaler_batch.aws.limits import LARGEST_ARRAY
from scaler_batch.tasks.backlog import Backlog
from scaler_batch.tasks.lifecycle import Task

LARGEST_BUNDLE: Final = 1_000
"""Tasks of one job at most, where their number is chosen here."""

_UNMEASURED: Final = 8
"""Tasks of one job at most, while nobody knows how long they take."""

_LONGEST: Final = 180.0
"""Seconds of work for one job at most. Source: AWS Batch, best practices: three to five minutes a job."""

_WORTHWHILE: Final = 1.0
"""Seconds of work for one job at least, since starting a container takes longer than that."""

_LEAST_SECONDS: Final = 0.005
"""What a task takes at least: its process."""


def bundle_size(waiting: int, free_slots: int, seconds: float | None, timeout: int) -> int:
    """Decide how many tasks are to share a job.

    Enough to give every waiting task a slot now; more where tasks are short, so that a job is worth its start; fewer
    where they are long, so that a job's death costs little and its timeout is far.

    Args:
        waiting: Tasks that wait.
        free_slots: Jobs that may start.
        seconds: What a task takes, as far as that was measured.
        timeout: Seconds that a job may take.
    """
    spread = math.ceil(waiting / max(1, free_slots))
    if seconds is None:
        return max(1, min(spread, _UNMEASURED))
    each = max(seconds, _LEAST_SECONDS)
    worthwhile = min(math.ceil(_WORTHWHILE / each), waiting)
    return max(1, min(max(spread, worthwhile), int(min(_LONGEST, timeout / 4) / each), LARGEST_BUNDLE))


def next_batch(
    backlog: Backlog, shape: JobShape, jobs: int, tasks_per_job: int, claim: Callable[[Task], bool]
) -> list[list[Task]]:
    """Take the tasks that are to be submitted now, highest priority first; one list a job.

    Args:
        backlog: The tasks that wait.
        shape: Whose tasks.
        jobs: How many jobs may start.
        tasks_per_job: How many tasks share one; one that has to be alone shares none.
        claim: Moves a task on, and says ``False`` where it has ended while it waited.
    """
    batch: list[list[Task]] = []
    while (task := backlog.peek(shape)) is not None:
        joins = bool(batch) and _takes(batch[-1], task, tasks_per_job)
        if not joins and len(batch) >= min(jobs, LARGEST_ARRAY):
            break
        backlog.pop(shape)
        if not claim(task):
            continue
        if joins:
            batch[-1].append(task)
        else:
            batch.append([task])
    return batch


def _takes(bundle: Sequence[Task], task: Task, tasks_per_job: int) -> bool:
    return len(bundle) < tasks_per_job and not task.alone and not bundle[0].alone
