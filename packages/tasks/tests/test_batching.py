from __future__ import annotations

import pytest

from scaler_batch.tasks.backlog import Backlog
from scaler_batch.tasks.batching import LARGEST_ARRAY, next_batch
from scaler_batch.tasks.lifecycle import Task
from scaler_batch.tasks.vocabulary import TaskRequest


@pytest.fixture
def backlog() -> Backlog:
    waiting = Backlog()
    for number in range(20):
        waiting.put(Task(TaskRequest(b"%d" % number, b"s", b"f"), 0.0))
    return waiting


def names(tasks) -> list[bytes]:
    return [task.request.task_id for task in tasks]


def test_all_that_waits_leaves_together(backlog: Backlog):
    assert len(next_batch(backlog, 100, lambda _: True)) == 20


@pytest.mark.parametrize("free", [0, -5])
def test_nothing_leaves_without_a_free_slot_and_nothing_is_lost(backlog: Backlog, free: int):
    assert next_batch(backlog, free, lambda _: True) == []
    assert len(next_batch(backlog, 100, lambda _: True)) == 20


def test_no_more_leave_than_slots_are_free_and_the_rest_keep_their_order(backlog: Backlog):
    assert names(next_batch(backlog, 3, lambda _: True)) == [b"0", b"1", b"2"]
    assert names(next_batch(backlog, 2, lambda _: True)) == [b"3", b"4"]


def test_a_task_that_ended_while_it_waited_takes_no_slot(backlog: Backlog):
    even = next_batch(backlog, 5, lambda task: int(task.request.task_id) % 2 == 0)
    assert names(even) == [b"0", b"2", b"4", b"6", b"8"]


def test_no_batch_is_larger_than_an_array_may_be():
    backlog = Backlog()
    for number in range(LARGEST_ARRAY + 1):
        backlog.put(Task(TaskRequest(b"%d" % number, b"s", b"f"), 0.0))
    assert len(next_batch(backlog, 50_000, lambda _: True)) == LARGEST_ARRAY
    assert len(next_batch(backlog, 50_000, lambda _: True)) == 1
