from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.tasks.backlog import Backlog
from scaler_batch.tasks.lifecycle import Task
from scaler_batch.tasks.vocabulary import TaskRequest


def make(task_id: bytes, priority: int = 0) -> Task:
    return Task(TaskRequest(task_id, b"s", b"f", priority=priority), 0.0)


def test_an_empty_backlog_gives_nothing():
    assert Backlog().pop() is None


@given(st.lists(st.integers(-3, 3)))
def test_higher_priority_goes_first_and_first_come_first_served_within_one(priorities: list[int]):
    backlog = Backlog()
    tasks = [make(b"%d" % number, priority) for number, priority in enumerate(priorities)]
    for task in tasks:
        backlog.put(task)
    left = [backlog.pop() for _ in tasks]
    assert left == sorted(tasks, key=lambda task: -task.request.priority)
    assert backlog.pop() is None


def test_a_late_task_of_higher_priority_overtakes():
    backlog = Backlog()
    low, lower, high = make(b"low"), make(b"lower", -1), make(b"high", 5)
    backlog.put(low)
    backlog.put(lower)
    backlog.put(high)
    assert [backlog.pop(), backlog.pop(), backlog.pop()] == [high, low, lower]
