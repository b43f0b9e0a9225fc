"""Which waiting tasks leave together.

There is no window to wait out. While one submission is under way tasks gather, and the next takes all that has
gathered, as databases commit in groups: a lone task leaves at once, a burst leaves as a few large arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from scaler_batch.tasks.backlog import Backlog
from scaler_batch.tasks.lifecycle import Task

LARGEST_ARRAY: Final = 10_000
"""Children of one array job at most. Source: AWS Batch, SubmitJob, ``arrayProperties.size``."""


def next_batch(backlog: Backlog, free_slots: int, claim: Callable[[Task], bool]) -> Sequence[Task]:
    """Take the tasks that are to be submitted now, highest priority first.

    Args:
        backlog: The tasks that wait.
        free_slots: How many jobs may start.
        claim: Moves a task on, and says ``False`` where it has ended while it waited.
    """
    batch: list[Task] = []
    while len(batch) < min(free_slots, LARGEST_ARRAY) and (task := backlog.pop()) is not None:
        if claim(task):
            batch.append(task)
    return batch
