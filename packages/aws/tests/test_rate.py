"""The rate rate: arithmetic first, then the waiting, on a virtual clock."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.aws.rate import SUBMIT, AdaptiveRateLimiter, AimdRate, RateSettings

LIMITED = RateSettings(highest=16.0, lowest=1.0, slower=0.5, faster=1.0, submits=4.0)


@pytest.mark.parametrize(
    "wrong",
    [{"lowest": 0.0}, {"lowest": 200.0}, {"submits": 0.0}, {"faster": 0.0}, {"slower": 1.0}, {"slower": 0.0}],
    ids=repr,
)
def test_bounds_that_would_stand_still_or_never_slow_down_are_refused(wrong: dict[str, float]):
    with pytest.raises(ValueError, match="0 < "):
        RateSettings(**wrong)


def test_the_default_keeps_to_aws_limit_of_submissions():
    assert RateSettings().submits == 50.0


def test_the_first_call_goes_at_once_and_the_next_in_its_time():
    rate = AimdRate(LIMITED)
    assert rate.wait("ListJobs", 100.0) == 0
    assert rate.spend("ListJobs", 100.0)
    assert rate.wait("ListJobs", 100.0) == 1 / 16
    assert not rate.spend("ListJobs", 100.05)
    assert rate.spend("ListJobs", 100.0 + 1 / 16)


def test_submissions_keep_to_their_own_rate_and_hold_nobody_else_up():
    rate = AimdRate(LIMITED)
    assert rate.spend(SUBMIT, 0.0)
    assert rate.wait(SUBMIT, 0.0) == 1 / 4
    assert rate.spend("ListJobs", 1 / 16)
    assert not rate.spend(SUBMIT, 2 / 16)
    assert rate.spend(SUBMIT, 1 / 4)


def test_a_throttled_call_halves_the_rate_for_all():
    rate = AimdRate(LIMITED)
    rate.spend("ListJobs", 0.0)
    rate.throttled(sent=0.0, now=0.2)
    assert rate.rate == 8.0
    assert rate.wait("DescribeJobs", 0.2) == pytest.approx(1 / 8)


def test_calls_that_were_under_way_together_count_as_throttled_once():
    rate = AimdRate(LIMITED)
    for sent in (0.0, 0.1, 0.2):
        rate.throttled(sent, now=0.3)
    assert rate.rate == 8.0
    rate.throttled(sent=0.4, now=0.5)
    assert rate.rate == 4.0


def test_the_rate_comes_back_by_so_much_a_second_of_calling():
    rate = AimdRate(LIMITED)
    rate.throttled(sent=0.0, now=0.0)
    now, served = 0.0, 0
    while now < 4.0:
        now += rate.wait("ListJobs", now)
        assert rate.spend("ListJobs", now)
        rate.served()
        served += 1
    assert rate.rate == pytest.approx(8 + 4, abs=0.2)
    assert 32 < served < 48, "on the way from 8 to 12 a second"


def test_idling_makes_no_faster():
    rate = AimdRate(LIMITED)
    rate.throttled(sent=0.0, now=0.0)
    rate.spend("ListJobs", 3600.0)
    rate.served()
    assert rate.rate == 8 + 1 / 8


@given(st.lists(st.booleans(), max_size=200))
def test_the_rate_stays_within_its_bounds(throttled: list[bool]):
    rate = AimdRate(LIMITED)
    for now, slower in enumerate(throttled):
        if slower:
            rate.throttled(float(now), float(now))
        else:
            rate.served()
        assert LIMITED.lowest <= rate.rate <= LIMITED.highest


@given(
    st.lists(
        st.tuples(st.sampled_from([SUBMIT, "ListJobs"]), st.floats(0.0, 0.2), st.booleans()), min_size=30, max_size=150
    )
)
def test_no_second_sees_more_calls_than_the_rate_allows(asked: list[tuple[str, float, bool]]):
    rate, now = AimdRate(LIMITED), 0.0
    gone: list[tuple[float, str]] = []
    for operation, pause, throttled in asked:
        now += pause
        while not rate.spend(operation, now):
            now += rate.wait(operation, now) + 1e-9
        gone.append((now, operation))
        if throttled:
            rate.throttled(now, now)
        else:
            rate.served()
    for start, _ in gone:
        second = Counter(operation for at, operation in gone if start <= at < start + 1 - 1e-6)
        assert second.total() <= LIMITED.highest
        assert second[SUBMIT] <= LIMITED.submits


@pytest.mark.looptime(end=10_000)
async def test_fifty_submissions_a_second_and_no_more():
    limiter, loop = AdaptiveRateLimiter(RateSettings()), asyncio.get_running_loop()
    start = loop.time()
    for _ in range(501):
        await limiter.enter(SUBMIT)
    assert loop.time() - start == pytest.approx(10.0, abs=0.01)


@pytest.mark.looptime(end=10_000)
async def test_all_who_wait_go_in_turn_however_many_wait_at_once():
    limiter, loop = AdaptiveRateLimiter(LIMITED), asyncio.get_running_loop()
    gone: list[tuple[int, float]] = []

    async def call(number: int) -> None:
        await limiter.enter("ListJobs")
        gone.append((number, loop.time()))

    async with asyncio.TaskGroup() as group:
        for number in range(33):
            group.create_task(call(number))
    assert [number for number, _ in gone] == list(range(33))
    assert gone[-1][1] - gone[0][1] == pytest.approx(32 / 16, abs=0.01)


@pytest.mark.looptime(end=10_000)
async def test_who_waits_already_is_slowed_down_too():
    limiter, loop = AdaptiveRateLimiter(RateSettings(highest=1.0, lowest=0.1)), asyncio.get_running_loop()
    start = sent = await limiter.enter("ListJobs")
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(limiter.enter("ListJobs"))
        await asyncio.sleep(0.5)
        limiter.throttled(sent)
        assert limiter.rate == 0.5
    assert waiting.result() - start == pytest.approx(2.5, abs=0.01)
    assert loop.time() - start == pytest.approx(2.5, abs=0.01)


@pytest.mark.looptime(end=10_000)
async def test_who_gives_up_waiting_takes_no_turn():
    limiter, loop = AdaptiveRateLimiter(RateSettings(highest=1.0, lowest=0.1)), asyncio.get_running_loop()
    start = await limiter.enter("ListJobs")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await limiter.enter("ListJobs")
    await limiter.enter("ListJobs")
    assert loop.time() - start == pytest.approx(1.0, abs=0.01)


@pytest.mark.looptime(end=10_000)
async def test_a_minute_of_throttling_is_met_with_few_calls_and_left_behind():
    limiter, loop = AdaptiveRateLimiter(RateSettings()), asyncio.get_running_loop()
    start, calls = loop.time(), 0
    while loop.time() - start < 60:
        sent = await limiter.enter("ListJobs")
        calls += 1
        limiter.throttled(sent)
    assert calls < 45
    assert limiter.rate == RateSettings().lowest
    while limiter.rate < 20:
        await limiter.enter("ListJobs")
        limiter.served()
    assert loop.time() - start < 60 + 2 + 25
