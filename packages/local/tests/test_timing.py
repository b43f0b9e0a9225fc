"""A local AWS that takes as long as AWS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.config import Config

from scaler_batch.local import LocalAWS, LocalSettings, cli
from scaler_batch.local.batch.rules import Strike
from scaler_batch.local.batch.texts import host_gone
from scaler_batch.local.batch.vocabulary import RetryStrategy, State
from scaler_batch.local.errors import SettingsError
from scaler_batch.local.faults import RateLimit, Slow
from scaler_batch.local.faults.board import FaultBoard
from scaler_batch.local.timing import LONGEST_BOOT, REQUESTS, SHORTEST_BOOT, STATES, SUBMIT_RATE
from scaler_batch.local.web.chain import Call

pytestmark = pytest.mark.long

FIRST_LINE = 13.7
"""Seconds, as measured on AWS on a warm instance."""


def test_every_figure_has_its_source() -> None:
    figures = [*STATES.values(), *REQUESTS.values(), SUBMIT_RATE, SHORTEST_BOOT, LONGEST_BOOT]
    assert all(figure.value > 0 and figure.source for figure in figures)


def test_a_lone_task_on_a_warm_instance_says_its_first_word_after_the_measured_time(make_world: Any) -> None:
    world = make_world(delays=LocalSettings(like="aws").rules().delays)
    job, began = world.submit(), world.now
    while not world.launched():
        world.after(0.1)
    assert world.now - began == pytest.approx(FIRST_LINE, rel=0.1)
    assert job.state is State.RUNNING


def test_the_time_scale_is_about_start_times_requests_and_rates_alike() -> None:
    scaled = LocalSettings(like="aws", time_scale=0.1)
    assert sum(scaled.rules().delays.values()) == pytest.approx(FIRST_LINE / 10, rel=0.01)
    faults = scaled.fault_plan().faults
    assert Slow("s3.*", seconds=0.003) in faults
    assert RateLimit("batch.SubmitJob", per_second=500) in faults


def test_delays_and_a_rate_that_are_given_take_precedence_and_are_not_scaled() -> None:
    mine = LocalSettings(like="aws", time_scale=0.1, delays={"RUNNABLE": 7}, submit_rate=3)
    assert mine.rules().delays[State.RUNNABLE] == 7
    assert mine.rules().delays[State.STARTING] == pytest.approx(0.31)
    assert [fault.per_second for fault in mine.fault_plan().faults if isinstance(fault, RateLimit)] == [3]


def test_a_job_that_is_terminated_before_its_command_begins_never_runs_it(make_world: Any) -> None:
    world = make_world(delays={State.RUNNING: 5})
    job = world.submit()
    assert job.state is State.RUNNING
    world.engine.terminate(job, "enough", world.now)
    world.after(10)
    assert (job.state, job.status_reason, world.launched()) == (State.FAILED, "enough", [])


def test_the_timeout_of_a_job_counts_from_running_and_not_from_its_command(make_world: Any) -> None:
    world = make_world(delays={State.RUNNING: 5})
    job = world.submit(timeout=7)
    world.after(5)
    world.start(job)
    world.after(2)
    assert len(world.stopped()) == 1


def test_an_instance_that_is_reclaimed_before_the_command_begins_ends_the_attempt(make_world: Any) -> None:
    world = make_world(delays={State.RUNNING: 5})
    job = world.submit(retry=RetryStrategy(2))
    world.engine.strike(world.now, Strike(lambda _: True, fate=host_gone("i-1")))
    world.after(0)
    assert [attempt.ending for attempt in job.attempts] == [host_gone("i-1")]
    assert (job.state, world.launched()) == (State.RUNNING, [])


def test_a_thousand_submissions_take_twenty_seconds() -> None:
    now = 0.0
    board = FaultBoard(LocalSettings(like="aws").fault_plan(), lambda after, strike: None, clock=lambda: now)
    board.begin()
    call = Call("batch", "SubmitJob", "user/boto3", {})
    accepted = 0
    while accepted < 1000:
        accepted += not any(isinstance(fault, RateLimit) for fault in board.striking(call))
        now += 0.002
    assert now == pytest.approx(20, rel=0.06)


@pytest.mark.parametrize("options", [[], ["--like", "aws"], ["--like", "aws-cold", "--time-scale", "0.5"]])
def test_the_command_line_has_it(options: list[str]) -> None:
    settings = cli._settings(cli._parser().parse_args(["up", *options]))
    assert [settings.like, settings.time_scale] == [options[1] if options else None, 0.5 if options[2:] else 1]


@pytest.fixture(scope="module")
def quick() -> Any:
    """As AWS, a twentieth of its times."""
    with LocalAWS(LocalSettings(like="aws", time_scale=0.05, slots=4, submit_rate=10_000)) as aws:
        yield aws


def test_a_job_takes_its_share_of_the_time_from_submission_to_its_first_line(
    quick: LocalAWS, open_account: Callable[[LocalAWS], Any], until: Callable[..., Any]
) -> None:
    account = open_account(quick)
    account.define("true")
    began = time.time()
    job = account.wait(account.submit("/bin/date", "+%s.%N"), "SUCCEEDED")
    said = float(account.lines(job)[0])
    assert FIRST_LINE * 0.05 * 0.9 <= said - began < FIRST_LINE * 0.05 + 1.0
    assert job["startedAt"] / 1000 < said


def test_requests_that_take_long_do_not_keep_others_waiting(aws: LocalAWS) -> None:
    everyone = threading.Barrier(100)
    s3 = aws.client("s3", config=Config(max_pool_connections=100, retries={"total_max_attempts": 1}))

    def ask(_: int) -> float:
        everyone.wait()
        began = time.monotonic()
        s3.list_buckets()
        return time.monotonic() - began

    with aws.suffering(Slow("s3.*", seconds=1)), ThreadPoolExecutor(100) as pool:
        taken = sorted(pool.map(ask, range(100)))
    s3.close()
    assert taken[0] >= 1
    assert taken[-1] < 4, "a hundred waits of a second one after another, or sixteen at once, would take longer"


@pytest.mark.parametrize("wrong", [{"like": "azure"}, {"time_scale": 0}, {"time_scale": float("inf")}])
def test_what_cannot_work_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        LocalSettings(**wrong)
