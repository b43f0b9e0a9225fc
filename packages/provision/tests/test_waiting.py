"""Waiting, on a clock that only sleeping moves."""

from __future__ import annotations

import pytest

from scaler_batch.provision import WaitError
from scaler_batch.provision.waiting import Waiter


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def waiter(clock: Clock) -> Waiter:
    return Waiter(clock=clock, sleep=clock.sleep)


def test_what_is_there_is_not_waited_for(waiter: Waiter, clock: Clock) -> None:
    waiter.until("it", lambda: None, seconds=0)
    assert clock.pauses == []


def test_looking_becomes_rarer_up_to_a_limit(waiter: Waiter, clock: Clock) -> None:
    looks = iter(["CREATING"] * 10)
    waiter.until("it", lambda: next(looks, None), seconds=1000)
    assert clock.pauses == sorted(clock.pauses)
    assert (clock.pauses[0], clock.pauses[-1]) == (1.0, 10.0)


def test_time_out_tells_the_last_reason(waiter: Waiter, clock: Clock) -> None:
    with pytest.raises(WaitError, match="waited 30 s for the queue; at the end: UPDATING") as error:
        waiter.until("the queue", lambda: "UPDATING", seconds=30)
    assert (error.value.reason, error.value.seconds) == ("UPDATING", 30)
    assert clock.now == pytest.approx(30), "the last look is at the end, not before"


def test_each_wait_is_told(clock: Clock) -> None:
    heard: list[str] = []
    looks = iter(["one", "two"])
    waiter = Waiter(clock=clock, sleep=clock.sleep, notify=heard.append)
    waiter.until("it", lambda: next(looks, None), seconds=100)
    assert heard == ["it: one", "it: two"]
