"""What starts now: order, bundles, slots, and what is learnt of tasks."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.aws import JobShape
from scaler_batch.aws.limits import LARGEST_ARRAY
from scaler_batch.tasks.models import TaskRequest
from scaler_batch.tasks.scheduling import (
    LARGEST_BUNDLE,
    ArrivalStream,
    Backlog,
    BundleLimits,
    DurationEstimate,
    Durations,
    Queue,
    SlotState,
    auto_bundles,
    fixed_bundles,
    linger,
    may_start,
    next_bundles,
)
from scaler_batch.tasks.state.tables import Task

SHAPE = JobShape("queue", "definition", 3600)


LARGE = replace(SHAPE, memory=64_000)


def make(
    name: bytes, priority: int = 0, shape: JobShape | None = None, function: bytes = b"f", source: bytes = b""
) -> Task:
    return Task(TaskRequest(name, b"s", function, priority=priority, shape=shape, source=source), 1, 0.0)


def filled(count: int, alone: tuple[int, ...] = (), functions: str = "f") -> Backlog:
    waiting = Backlog(SHAPE)
    for number in range(count):
        task = make(b"%d" % number, function=functions[number % len(functions)].encode())
        task.alone = number in alone
        waiting.put(task)
    return waiting


def drained(queue: Queue) -> list[Task]:
    left = []
    while (task := queue.peek()) is not None:
        left.append(queue.take(task)[2])
    return left


def names(batch: list[list[Task]]) -> list[list[int]]:
    return [[int(task.request.task_id) for task in bundle] for bundle in batch]


def take(backlog: Backlog, jobs: int, size: int = 1) -> list[list[int]]:
    return names(next_bundles(backlog.queue(SHAPE), jobs, fixed_bundles(size), Durations()))


def learnt(**seconds: float) -> Durations:
    """What is known after many tasks of each function took the same time."""
    durations = Durations()
    for function, each in seconds.items():
        for _ in range(1000):
            durations.learn(function.encode(), each)
    return durations


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
    backlog = Backlog(SHAPE)
    for number in range(20):
        backlog.put(task := make(b"%d" % number))
        task.ended = bool(number % 2)
    assert take(backlog, 5) == [[0], [2], [4], [6], [8]]


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
    ("waiting", "free", "slots", "seconds", "timeout", "largest"),
    [
        (10, 100, 100, None, 3600, 1),
        (1000, 100, 100, None, 3600, 10),
        (300, 100, 100, None, 3600, 3),
        (10_000, 100, 100, None, 3600, 32),
        (100, 10, 10, None, 60, 4),
        (1000, 100, 100, 0.001, 3600, 10),
        (1000, 100, 100, 0.5, 3600, 10),
        (10, 100, 100, 0.001, 3600, 1),
        (99, 1, 8, 0.001, 3600, 99),
        (99, 1, 8, 0.2, 3600, 13),
        (10_000, 100, 100, 10.0, 3600, 17),
        (10_000, 100, 100, 10.0, 60, 1),
        (10_000, 100, 100, 600.0, 3600, 1),
        (1_000_000, 100, 100, 0.001, 3600, LARGEST_BUNDLE),
    ],
    ids=[
        "few",
        "many of unknown length",
        "as many as fill the slots",
        "no more of unknown length",
        "of unknown length, and a short timeout",
        "no slot idle for short ones",
        "nor for longer ones",
        "nor for a few",
        "little work for the only free slot",
        "its share for the only free slot",
        "no longer than three minutes",
        "far from the timeout",
        "long ones",
        "no more than the most",
    ],
)
def test_a_job_has_its_share_of_what_waits_and_no_more(
    waiting: int, free: int, slots: int, seconds: float | None, timeout: int, largest: int
):
    durations = Durations() if seconds is None else learnt(f=seconds)
    limits = auto_bundles(waiting, free, slots, timeout)
    bundles = next_bundles(filled(min(waiting, 200_000)).queue(SHAPE), free, limits, durations)
    assert max(map(len, bundles)) == largest


@given(
    st.integers(1, 300),
    st.integers(1, 50),
    st.integers(0, 50),
    st.lists(st.floats(0, 100), max_size=3),
    st.integers(60, 7200),
)
def test_no_free_slot_stays_idle_while_tasks_wait_behind_others(
    waiting: int, free: int, busy: int, seconds: list[float], timeout: int
):
    functions = "abc"[: len(seconds)] or "f"
    durations = learnt(**dict(zip(functions, seconds, strict=False)))
    backlog = filled(waiting, functions=functions)
    bundles = next_bundles(backlog.queue(SHAPE), free, auto_bundles(waiting, free, free + busy, timeout), durations)
    assert len(bundles) <= free
    assert max(map(len, bundles)) <= max(1, math.ceil(waiting / free))
    left = len(backlog.queue(SHAPE))
    assert left + sum(map(len, bundles)) == waiting
    assert not left or len(bundles) == free


def test_short_tasks_of_one_function_say_nothing_about_another():
    durations = learnt(short=0.001)
    limits = BundleLimits(tasks=100, share=1, seconds=180.0, worthwhile=1.0, unmeasured=32)
    backlog = Backlog(SHAPE)
    for number in range(100):
        backlog.put(make(b"%d" % number, function=b"short" if number < 50 else b"other"))
    bundles = next_bundles(backlog.queue(SHAPE), 3, limits, durations)
    assert [len(bundle) for bundle in bundles] == [50, 1, 1]


def test_the_spread_of_a_functions_times_makes_bundles_smaller():
    even, uneven = Durations(), Durations()
    for number in range(1000):
        even.learn(b"f", 5.0)
        uneven.learn(b"f", 50.0 if number % 10 == 0 else 0.0)
    limits = auto_bundles(10_000, 10, 10, 3600)
    sizes = [len(next_bundles(filled(10_000).queue(SHAPE), 1, limits, each)[0]) for each in (even, uneven)]
    assert sizes[0] == 35
    assert sizes[1] < 10


@pytest.mark.parametrize(
    ("room", "jobs"),
    [
        (SlotState(slots=100, free=100, wanted=1), 100),
        (SlotState(slots=100, free=5, wanted=5), 5),
        (SlotState(slots=100, free=5, wanted=6), 0),
        (SlotState(slots=100, free=5, wanted=6, urgent=True), 5),
        (SlotState(slots=100, free=5, wanted=6, waited=2.0), 5),
        (SlotState(slots=100, free=25, wanted=1000), 25),
        (SlotState(slots=1, free=1, wanted=1000), 1),
        (SlotState(slots=100, free=0, wanted=6, urgent=True, waited=9.0), 0),
        (SlotState(slots=100, free=-3, wanted=6), 0),
        (SlotState(slots=100, free=100, wanted=0), 0),
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
def test_slots_are_refilled_in_portions(room: SlotState, jobs: int):
    assert may_start(room) == jobs


@pytest.mark.parametrize(
    ("streaming", "in_flight", "seconds"),
    [(0.0, 1000, 0.0), (10.0, 0, 0.0), (10.0, 1, 0.01), (0.1, 1000, 0.05), (0.5, 10, 0.1), (60.0, 1000, 1.0)],
    ids=["a lone task", "nobody runs", "one at a time", "a stream begins", "a few run", "a long stream"],
)
def test_tasks_that_keep_coming_are_gathered(streaming: float, in_flight: int, seconds: float):
    assert linger(streaming, in_flight) == pytest.approx(seconds)


def test_a_pause_begins_a_new_stream():
    stream = ArrivalStream()
    assert stream.seconds(100.0) == 0.0
    for moment in (100.0, 100.2, 100.4):
        stream.note(moment)
    assert stream.seconds(100.4) == pytest.approx(0.4)
    assert stream.seconds(101.0) == 0.0
    stream.note(101.0)
    assert stream.seconds(101.0) == 0.0


def test_an_estimate_follows_the_tasks_slowly():
    estimate = DurationEstimate(10.0)
    assert estimate.seconds == 10.0
    for _ in range(100):
        estimate.learn(1.0)
    assert estimate.seconds == pytest.approx(1.0, abs=0.01)


def test_a_single_task_is_not_believed_to_the_letter():
    assert DurationEstimate(10.0).cautious == 20.0


@pytest.mark.parametrize("seed", range(3))
def test_few_tasks_exceed_the_cautious_estimate(seed: int):
    source = random.Random(seed)
    taken = [source.uniform(0.5, 1.5) for _ in range(1000)]
    durations = Durations()
    for seconds in taken:
        durations.learn(b"f", seconds)
    cautious = durations.cautious(b"f")
    assert cautious is not None
    assert sum(seconds > cautious for seconds in taken) < 50


def test_functions_that_ended_long_ago_are_forgotten():
    durations = Durations()
    for number in range(5000):
        durations.learn(b"often", 1.0)
        durations.learn(b"%d" % number, 1.0)
    assert durations.cautious(b"often") is not None
    assert durations.cautious(b"0") is None
    assert durations.cautious(b"4999") is not None


def of_clients(*tasks: tuple[str, int]) -> Queue:
    """Tasks that wait, by client and priority."""
    backlog = Backlog(SHAPE)
    for number, (source, priority) in enumerate(tasks):
        backlog.put(make(b"%d" % number, priority, source=source.encode()))
    return backlog.queue(SHAPE)


def test_tasks_of_two_clients_share_no_job_and_each_clients_share_as_many_as_if_they_were_alone():
    queue = of_clients(*[("a", 0), ("b", 0)] * 4)
    assert names(next_bundles(queue, 10, fixed_bundles(3), Durations())) == [[0, 2, 4], [6]]
    assert names(next_bundles(queue, 10, fixed_bundles(3), Durations())) == [[1, 3, 5], [7]]


def test_a_submission_is_of_one_client_and_leaves_the_others_their_share_of_the_slots():
    queue = of_clients(*[("a", 0)] * 2, ("b", 0), *[("a", 0)] * 9, ("c", 0))
    assert names(next_bundles(queue, 4, fixed_bundles(1), Durations())) == [[0], [1], [3]]
    assert names(next_bundles(queue, 1, fixed_bundles(1), Durations())) == [[2]]
    assert names(next_bundles(queue, 10, fixed_bundles(1), Durations())) == [[number] for number in range(4, 12)]
    assert names(next_bundles(queue, 1, fixed_bundles(1), Durations())) == [[12]]


def test_no_client_fills_its_job_with_tasks_that_another_was_given_priority_over():
    queue = of_clients(("a", 1), ("b", 1), ("a", 0), ("a", 0), ("b", 1), ("b", 0))
    assert names(next_bundles(queue, 1, fixed_bundles(10), Durations())) == [[0]]
    assert names(next_bundles(queue, 1, fixed_bundles(10), Durations())) == [[1, 4, 5]]
    assert names(next_bundles(queue, 1, fixed_bundles(10), Durations())) == [[2, 3]]


def test_the_jobs_that_would_start_are_counted_client_by_client():
    queue = of_clients(*[(source, 0) for source in "abcabcaab"])
    assert [queue.jobs(size, enough=100) for size in (1, 2, 3, 4)] == [9, 5, 4, 3]
    assert queue.jobs(1, enough=2) >= 2


def test_a_clients_turn_is_long_enough_to_be_worth_a_submission_and_ends_where_another_was_given_priority():
    queue = of_clients(*[("a", 0), ("b", 0)] * 10, ("a", -1), ("b", -1))
    taken = [names(next_bundles(queue, jobs, fixed_bundles(1), Durations(), turn=6)) for jobs in (8, 2, 8, 8, 8)]
    assert taken == [
        [[0], [2], [4], [6], [8], [10]],
        [[1], [3]],
        [[5], [7], [9], [11], [13], [15]],
        [[12], [14], [16], [18], [20]],
        [[17], [19], [21]],
    ]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(-1, 1), st.booleans(), st.booleans()), max_size=60),
    st.integers(1, 8),
    st.integers(1, 6),
    st.integers(1, 4),
)
def test_whatever_comes_and_goes_clients_stay_apart_and_no_slot_idles_for_it(
    steps: list[tuple[str, int, bool, bool]], jobs: int, size: int, turn: int
):
    backlog, waiting = Backlog(SHAPE), list[Task]()
    for number, (source, priority, is_cancelled, leaves) in enumerate(steps):
        task = make(b"%d" % number, priority, source=source.encode())
        backlog.put(task)
        waiting.append(task)
        if is_cancelled:
            waiting.pop(number % len(waiting)).ended = True
        if not leaves:
            continue
        queue = backlog.queue(SHAPE)
        bundles: list[list[Task]] = []
        while submission := next_bundles(queue, jobs - len(bundles), fixed_bundles(size), Durations(), turn):
            assert len({task.request.source for bundle in submission for task in bundle}) == 1
            bundles += submission
        taken = [task for bundle in bundles for task in bundle]
        assert len(taken) == len(set(taken)), "each once"
        assert set(taken) <= set(waiting)
        waiting = [task for task in waiting if task not in taken]
        assert not waiting or len(bundles) == jobs, "a slot was left free while somebody waits"
        heads = [bundle[0].request.priority for bundle in bundles]
        assert all(task.request.priority <= min(heads) for task in waiting)
    assert drained(backlog.queue(SHAPE)) == sorted(waiting, key=lambda task: -task.request.priority)


def test_a_queue_through_which_much_has_gone_holds_no_more_than_what_waits():
    backlog = Backlog(SHAPE)
    for number in range(1000):
        backlog.put(make(b"%d" % number, source=b"%d" % (number % 7)))
        if number > 10:
            next_bundles(backlog.queue(SHAPE), 1, fixed_bundles(1), Durations())
    queue = backlog.queue(SHAPE)
    assert len(queue) == 11
    assert len(queue._firsts) < 40
    assert len(drained(queue)) == 11
    assert not queue._firsts
    assert not queue._lines


def test_an_empty_backlog_gives_nothing():
    backlog = Backlog(SHAPE)
    assert backlog.next_shape() is None
    assert backlog.queue(SHAPE).peek() is None
    assert len(backlog.queue(SHAPE)) == 0


@given(st.lists(st.integers(-3, 3)))
def test_higher_priority_goes_first_and_first_come_first_served_within_one(priorities: list[int]):
    backlog = Backlog(SHAPE)
    tasks = [make(b"%d" % number, priority) for number, priority in enumerate(priorities)]
    for task in tasks:
        backlog.put(task)
    queue = backlog.queue(SHAPE)
    left = drained(queue)
    assert left == sorted(tasks, key=lambda task: -task.request.priority)
    assert backlog.queue(SHAPE).peek() is None


def test_a_late_task_of_higher_priority_overtakes():
    backlog = Backlog(SHAPE)
    low, lower, high = make(b"low"), make(b"lower", -1), make(b"high", 5)
    backlog.put(low)
    backlog.put(lower)
    backlog.put(high)
    queue = backlog.queue(SHAPE)
    assert drained(queue) == [high, low, lower]


def test_the_shape_whose_first_task_is_first_of_all_goes_next():
    backlog = Backlog(SHAPE)
    backlog.put(make(b"1", shape=LARGE))
    backlog.put(make(b"2"))
    assert backlog.next_shape() == LARGE
    backlog.put(make(b"3", priority=1))
    assert backlog.next_shape() == SHAPE
    assert (len(backlog.queue(SHAPE)), len(backlog.queue(LARGE))) == (2, 1)


def test_a_task_without_a_shape_goes_with_those_that_name_the_same():
    backlog = Backlog(SHAPE)
    backlog.put(make(b"1"))
    backlog.put(make(b"2", shape=replace(SHAPE)))
    assert len(backlog.queue(SHAPE)) == 2


def test_a_shape_whose_tasks_have_all_ended_is_not_next():
    backlog = Backlog(SHAPE)
    backlog.put(first := make(b"1", shape=LARGE))
    backlog.put(make(b"2"))
    first.ended = True
    assert backlog.next_shape() == SHAPE
