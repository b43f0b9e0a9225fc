from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.tasks.retrying import Backoff


def test_waits_double_up_to_the_longest_and_end():
    waits = list(Backoff(first=1.0, longest=4.0, within=10.0).waits(lambda low, high: high))
    assert waits == [1.0, 2.0, 4.0, 4.0]


def test_no_wait_is_less_than_half_its_ceiling():
    waits = list(Backoff(first=1.0, longest=4.0, within=10.0).waits(lambda low, high: low))
    assert waits == [0.5, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0]


@given(st.floats(0.01, 5), st.floats(5, 60), st.floats(0.1, 600), st.integers())
def test_patience_is_kept_and_hardly_exceeded(first: float, longest: float, within: float, seed: int):
    waits = list(Backoff(first, longest, within).waits(random.Random(seed).uniform))
    assert within <= sum(waits) < within + longest
    assert all(first / 2 <= wait <= longest for wait in waits)


@pytest.mark.parametrize("seed", range(3))
def test_waits_are_not_in_step_with_those_of_others(seed: int):
    assert list(Backoff().waits(random.Random(seed).uniform)) != list(Backoff().waits())
