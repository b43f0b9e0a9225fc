from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.wire.backoff import Backoff


def test_delays_double_up_to_the_longest() -> None:
    backoff = Backoff(first=0.1, growth=2, longest=0.5)
    assert [round(backoff.delay(n, lambda: 1.0), 3) for n in range(1, 6)] == [0.1, 0.2, 0.4, 0.5, 0.5]


def test_chance_spreads_a_delay_over_its_upper_half() -> None:
    backoff = Backoff(first=1, longest=8)
    assert (backoff.delay(1, lambda: 0.0), backoff.delay(1, lambda: 1.0)) == (0.5, 1.0)


@given(st.integers(1, 10**9))
def test_a_delay_is_never_longer_than_the_longest(attempt: int) -> None:
    assert 0 < Backoff(longest=5).delay(attempt) <= 5
