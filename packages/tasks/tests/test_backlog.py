from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.aws import JobShape
from scaler_batch.tasks.backlog import Backlog
from scaler_batch.tasks.lifecycle import Task
from scaler_batch.tasks.vocabulary import TaskRequest

SHAPE = JobShape("queue", "definition", 60)
LARGE = replace(SHAPE, memory=64_000)


def make(task_id: bytes, priority: int = 0, shape: JobShape | None = None) -> Task:
    return Task(TaskRequest(task_id, b"s", b"f", priority=priority, shape=shape), 0.0)


def test_an_empty_backlog_gives_nothing():
    backlog = Backlog(SHAPE)
    assert backlog.next_shape() is None
    assert backlog.peek(SHAPE) is None
    assert backlog.pop(SHAPE) is None
    assert backlog.waiting(SHAPE) == 0


@given(st.lists(st.integers(-3, 3)))
def test_higher_priority_goes_first_and_first_come_first_served_within_one(priorities: list[int]):
    backlog = Backlog(SHAPE)
    tasks = [make(b"%d" % number, priority) for number, priority in enumerate(priorities)]
    for task in tasks:
        backlog.put(task)
    left = [backlog.pop(SHAPE) for _ in tasks]
    assert left == sorted(tasks, key=lambda task: -task.request.priority)
    assert backlog.pop(SHAPE) is None


def test_a_late_task_of_higher_priority_overtakes():
    backlog = Backlog(SHAPE)
    low, lower, high = make(b"low"), make(b"lower", -1), make(b"high", 5)
    backlog.put(low)
    backlog.put(lower)
    backlog.put(high)
    assert [backlog.pop(SHAPE), backlog.pop(SHAPE), backlog.pop(SHAPE)] == [high, low, lower]


def test_the_shape_whose_first_task_is_first_of_all_goes_next():
    backlog = Backlog(SHAPE)
    backlog.put(make(b"1", shape=LARGE))
    backlog.put(make(b"2"))
    assert backlog.next_shape() == LARGE
    backlog.put(make(b"3", priority=1))
    assert backlog.next_shape() == SHAPE
    assert (backlog.waiting(SHAPE), backlog.waiting(LARGE)) == (2, 1)


def test_a_task_without_a_shape_goes_with_those_that_name_the_same():
    backlog = Backlog(SHAPE)
    backlog.put(make(b"1"))
    backlog.put(make(b"2", shape=replace(SHAPE)))
    assert backlog.waiting(SHAPE) == 2
