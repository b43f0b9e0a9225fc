"""Which events a fault strikes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.local.faults import BulkError, Drop, Fault, RateLimit, Throttle, Vanish
from scaler_batch.local.faults.selection import Selection


def calls(fault: Fault, number: int, at: float = 0.0, seed: str = "0/0") -> list[bool]:
    selection = Selection(fault, 0.0, seed)
    return [selection.strike_call(at) for _ in range(number)]


def test_without_more_said_every_event_is_struck() -> None:
    assert calls(Drop(), 3) == [True, True, True]


def test_a_count_ends_it() -> None:
    selection = Selection(Drop(count=2), 0.0, "")
    assert [selection.strike_call(0.0) for _ in range(4)] == [True, True, False, False]
    assert (selection.strikes, selection.exhausted, selection.over(0.0)) == (2, True, True)


def test_the_first_few_can_be_left_alone() -> None:
    assert calls(Drop(skip=2, count=1), 4) == [False, False, True, False]


def test_it_begins_and_ends_when_it_was_told_to() -> None:
    fault = Drop(after=10, span=5)
    assert [calls(fault, 1, at) for at in (0.0, 9.9, 10.0, 14.9, 15.0)] == [[False], [False], [True], [True], [False]]


@given(st.integers(0, 50), st.floats(0.05, 0.95))
def test_the_same_seed_strikes_the_same_events(seed: int, share: float) -> None:
    fault = Throttle(share=share)
    assert calls(fault, 50, seed=str(seed)) == calls(fault, 50, seed=str(seed))


def test_another_seed_strikes_other_events() -> None:
    fault = Throttle(share=0.5)
    assert calls(fault, 50, seed="1") != calls(fault, 50, seed="2")


def test_a_share_is_about_that_many() -> None:
    assert 150 < sum(calls(Throttle(share=0.2), 1000)) < 250


def test_a_rate_lets_its_burst_pass_and_then_so_many_a_second() -> None:
    selection = Selection(RateLimit(per_second=2, burst=3), 0.0, "")
    assert [selection.strike_call(0.0) for _ in range(5)] == [False, False, False, True, True]
    assert [selection.strike_call(1.0) for _ in range(3)] == [False, False, True]
    assert [selection.strike_call(99.0) for _ in range(4)] == [False, False, False, True]


def test_a_job_is_struck_for_good_or_not_at_all() -> None:
    selection = Selection(Vanish(share=0.5), 0.0, "")
    first = [selection.strike_job((order, -1), 0.0) for order in range(40)]
    assert first == [selection.strike_job((order, -1), 0.0) for order in range(40)]
    assert set(first) == {True, False}


def test_whether_a_job_is_struck_does_not_depend_on_the_order_of_asking() -> None:
    forward, backward = (Selection(Vanish(share=0.5), 0.0, "3") for _ in range(2))
    places = [(order, -1) for order in range(40)]
    seen = {place: forward.strike_job(place, 0.0) for place in places}
    assert {place: backward.strike_job(place, 0.0) for place in reversed(places)} == seen


def test_a_count_of_jobs_is_of_different_ones() -> None:
    selection = Selection(Vanish(count=1), 0.0, "")
    asked = [selection.strike_job(place, 0.0) for place in [(0, -1), (0, -1), (1, -1), (0, -1)]]
    assert asked == [True, True, False, True]


def test_a_job_is_back_when_the_fault_has_passed() -> None:
    selection = Selection(Vanish(span=5), 0.0, "")
    assert [selection.strike_job((0, -1), at) for at in (0.0, 4.9, 5.0)] == [True, True, False]


def test_the_first_tries_of_each_job_are_struck() -> None:
    selection = Selection(BulkError(tries=2, count=5), 0.0, "")
    places = [(0, -1), (1, -1), (0, -1), (0, -1), (1, -1), (2, -1), (2, -1)]
    assert [selection.strike_try(place, 2, 0.0) for place in places] == [True, True, True, False, True, True, False]
