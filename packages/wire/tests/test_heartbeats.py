from __future__ import annotations

from scaler_batch.wire.heartbeats import HeartbeatClock
from scaler_batch.wire.messages import WorkerHeartbeat
from scaler_batch.wire.settings import LinkSettings

SETTINGS = LinkSettings(heartbeat_interval=2.0, echo_patience=10.0, silence_limit=300.0)
VITALS = WorkerHeartbeat(queue_size=1)


def test_the_first_heartbeat_is_due_at_once() -> None:
    clock = HeartbeatClock(100.0, SETTINGS)
    assert clock.due(100.0)
    assert not clock.started


def test_an_answered_heartbeat_is_followed_after_the_interval() -> None:
    clock = HeartbeatClock(100.0, SETTINGS)
    clock.stamp(VITALS, 100.0)
    clock.echoed(100.5)
    assert not clock.due(101.9)
    assert clock.due(102.0)
    assert clock.wake_at() == 102.0


def test_no_heartbeat_precedes_the_answer_to_the_last_one() -> None:
    clock = HeartbeatClock(100.0, SETTINGS)
    clock.stamp(VITALS, 100.0)
    assert not clock.due(109.9)
    clock.echoed(109.9)
    assert clock.due(109.9)


def test_a_heartbeat_whose_answer_is_lost_is_repeated() -> None:
    clock = HeartbeatClock(100.0, SETTINGS)
    clock.stamp(VITALS, 100.0)
    assert clock.due(110.0)


def test_the_next_heartbeat_tells_half_of_the_round_trip_in_microseconds() -> None:
    clock = HeartbeatClock(100.0, SETTINGS)
    assert clock.stamp(VITALS, 100.0).latency == 0
    clock.echoed(100.25)
    assert clock.stamp(VITALS, 102.0) == WorkerHeartbeat(queue_size=1, latency=125_000)


def test_an_answer_that_could_be_to_either_of_two_heartbeats_is_not_measured() -> None:
    clock = HeartbeatClock(100.0, SETTINGS)
    clock.stamp(VITALS, 100.0)
    clock.stamp(VITALS, 110.0)
    clock.echoed(110.1)
    assert clock.latency == 0


def test_after_a_link_was_made_anew_a_heartbeat_is_due_at_once() -> None:
    clock = HeartbeatClock(100.0, SETTINGS)
    clock.stamp(VITALS, 100.0)
    clock.hurry(100.1)
    assert clock.due(100.1)
    clock.echoed(100.2)
    assert clock.latency == 0


def test_silence_is_told_once_until_it_is_broken() -> None:
    clock = HeartbeatClock(100.0, SETTINGS)
    clock.stamp(VITALS, 399.0)
    assert clock.wake_at() == 400.0
    assert clock.silence(399.9) is None
    assert clock.silence(400.0) == 300.0
    assert clock.silence(400.1) is None
    assert clock.wake_at() == 409.0
    clock.echoed(500.0)
    assert clock.silence(801.0) == 301.0
