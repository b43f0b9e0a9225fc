from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.aws import JobShape
from scaler_batch.aws.limits import LARGEST_ARRAY
from scaler_batch.tasks.backlog import Backlog
from scaler_batch.tasks.batching import LARGEST_BUNDLE, bundle_size, next_batch
from scaler_batch.tasks.capacity import Room, gathering, may_start
from scaler_batch.tasks.lifecycle import Task
from scaler_batch.tasks.pace import Pace, Stream
from scaler_batch.tasks.vocabulary import TaskRequest

SHAPE = JobShape("queue", "definition", 3600)


def filled(count: int, alone: tuple[int, ...] = ()) -> Backlog:
    waiting = Backlog(SHAPE)
    for number in range(count):
        task = Task(TaskRequest(b"%d" % number, b"s", b"f"), 0.0)
        task.alone = number in alone
        waiting.put(task)
    return waiting


def names(batch: list[list[Task]]) -> list[list[int]]:
    return [[int(task.request.task_id) for task in bundle] for bundle in batch]


def take(backlog: Backlog, jobs: int, size: int = 1) -> list[list[int]]:
    return names(next_batch(backlog, SHAPE, jobs, size, lambda _: True))


def test_all_that_waits_leaves_together():
    assert len(take(filled(20), 100)) == 20


@pytest.mark.parametrize("free", [0, -5])
def test_nothing_leaves_without_a_free_slot_and_nothing_is_lost(free: int):
    backlog = filled(20)
    assert take(backlog, free) == []
    assert len(take(backlog, 100)) == 20


def test_no_more_leave_than_slots_are_free_and_the_rest_keep_their_order():
    backlog = filled(20)
    assert take(backlog, 3) == [[0], [1], [2]]
    assert take(backlog, 2) == [[3], [4]]


def test_a_task_that_ended_while_it_waited_takes_no_slot():
    even = next_batch(filled(20), SHAPE, 5, 1, lambda task: int(task.request.task_id) % 2 == 0)
    assert names(even) == [[0], [2], [4], [6], [8]]


def test_tasks_share_jobs_in_their_order():
    backlog = filled(8)
    assert take(backlog, 2, 3) == [[0, 1, 2], [3, 4, 5]]
    assert take(backlog, 2, 3) == [[6, 7]]


def test_a_task_that_has_to_be_alone_shares_no_job_and_never_takes_one_slot_too_many():
    backlog = filled(7, alone=(0, 3, 4))
    assert take(backlog, 3, 10) == [[0], [1, 2], [3]]
    assert take(backlog, 3, 10) == [[4], [5, 6]]


def test_no_batch_is_larger_than_an_array_may_be():
    backlog = filled(LARGEST_ARRAY + 1)
    assert len(take(backlog, 50_000)) == LARGEST_ARRAY
    assert len(take(backlog, 50_000)) == 1


@pytest.mark.parametrize(
    ("waiting", "free", "seconds", "timeout", "size"),
    [
        (10, 100, None, 3600, 1),
        (1000, 100, None, 3600, 8),
        (300, 100, None, 3600, 3),
        (1000, 100, 0.001, 3600, 200),
        (1000, 100, 0.5, 3600, 10),
        (10, 100, 0.001, 3600, 10),
        (10_000, 100, 10.0, 3600, 18),
        (10_000, 100, 10.0, 60, 1),
        (10_000, 100, 600.0, 3600, 1),
        (1_000_000, 100, 0.001, 3600, LARGEST_BUNDLE),
        (0, 0, 1.0, 3600, 1),
    ],
    ids=[
        "few",
        "many of unknown length",
        "as many as fill the slots",
        "short ones, worth a container's start",
        "enough to fill the slots",
        "few short ones",
        "no longer than three minutes",
        "far from the timeout",
        "long ones",
        "no more than the most",
        "none",
    ],
)
def test_a_job_has_as_many_tasks_as_are_worth_its_start_and_no_more(
    waiting: int, free: int, seconds: float | None, timeout: int, size: int
):
    assert bundle_size(waiting, free, seconds, timeout) == size


@given(st.integers(0, 10**6), st.integers(-10, 10**4), st.none() | st.floats(0, 1e6), st.integers(60, 10**6))
def test_a_job_has_between_one_task_and_the_most(waiting: int, free: int, seconds: float | None, timeout: int):
    assert 1 <= bundle_size(waiting, free, seconds, timeout) <= LARGEST_BUNDLE


@pytest.mark.parametrize(
    ("room", "jobs"),
    [
        (Room(slots=100, free=100, wanted=1), 100),
        (Room(slots=100, free=5, wanted=5), 5),
        (Room(slots=100, free=5, wanted=6), 0),
        (Room(slots=100, free=5, wanted=6, urgent=True), 5),
        (Room(slots=100, free=5, wanted=6, waited=2.0), 5),
        (Room(slots=100, free=25, wanted=1000), 25),
        (Room(slots=1, free=1, wanted=1000), 1),
        (Room(slots=100, free=0, wanted=6, urgent=True, waited=9.0), 0),
        (Room(slots=100, free=-3, wanted=6), 0),
        (Room(slots=100, free=100, wanted=0), 0),
    ],
    ids=[
        "a lone task",
        "all fit",
        "a few slots wait for more",
        "not for what is urgent",
        "not for ever",
        "a quarter is enough",
        "a single slot is",
        "no slot",
        "fewer than none",
        "nobody waits",
    ],
)
def test_slots_are_refilled_in_portions(room: Room, jobs: int):
    assert may_start(room) == jobs


@pytest.mark.parametrize(
    ("streaming", "in_flight", "seconds"),
    [(0.0, 1000, 0.0), (10.0, 0, 0.0), (10.0, 1, 0.01), (0.1, 1000, 0.05), (0.5, 10, 0.1), (60.0, 1000, 1.0)],
    ids=["a lone task", "nobody runs", "one at a time", "a stream begins", "a few run", "a long stream"],
)
def test_tasks_that_keep_coming_are_gathered(streaming: float, in_flight: int, seconds: float):
    assert gathering(streaming, in_flight) == pytest.approx(seconds)


def test_a_pause_begins_a_new_stream():
    now = 100.0
    stream = Stream(lambda: now)
    assert stream.seconds == 0.0
    for moment in (100.0, 100.2, 100.4):
        now = moment
        stream.note()
    assert stream.seconds == pytest.approx(0.4)
    now = 101.0
    assert stream.seconds == 0.0
    stream.note()
    assert stream.seconds == 0.0


def test_the_pace_follows_the_tasks_slowly():
    pace = Pace()
    assert pace.seconds is None
    pace.learn(10.0)
    assert pace.seconds == 10.0
    for _ in range(100):
        pace.learn(1.0)
    assert pace.seconds == pytest.approx(1.0, abs=0.01)
