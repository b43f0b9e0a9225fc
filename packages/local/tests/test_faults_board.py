"""The faults in force: what they do to calls, to what is shown, and to what runs. Without a server."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from scaler_batch.local.batch.describing import detail
from scaler_batch.local.batch.effects import SignalProcess
from scaler_batch.local.batch.rules import Strike
from scaler_batch.local.batch.vocabulary import ExitAction, ExitRule, RetryStrategy, State
from scaler_batch.local.errors import FaultError
from scaler_batch.local.faults import (
    Drop,
    Duplicate,
    ExpiredToken,
    Fault,
    Kill,
    LoseResponse,
    Reclaim,
    ServerError,
    Slow,
    Stale,
    Throttle,
    Vanish,
)
from scaler_batch.local.faults.board import FaultBoard
from scaler_batch.local.faults.layer import FaultLayer
from scaler_batch.local.faults.reading import Plan
from scaler_batch.local.web.chain import Answer, Call, Disconnect

GOOD = Answer("200 OK", [], [b"done"])


class Board:
    """A board with a clock that is set by hand, and a layer of it."""

    def __init__(self, *faults: Fault, happen: Callable[[float, Strike], None] = lambda after, strike: None) -> None:
        self.now = 0.0
        self.waited: list[float] = []
        self.done: list[str] = []
        self.board = FaultBoard(Plan(faults), happen, lambda: self.now)
        self.board.begin()
        self.layer = FaultLayer(self.board.striking, self.waited.append)

    def ask(self, operation: str = "s3.PutObject", caller: str = "user/boto3", key: str = "", method: str = "") -> str:
        """The status of an answer, or that there was none."""
        service, _, name = operation.partition(".")
        environ: dict[str, Any] = {"wsgi.input": io.BytesIO(b"body"), "REQUEST_METHOD": method}

        def proceed() -> Answer:
            self.done.append(operation)
            return GOOD

        try:
            self.answer = self.layer(Call(service, name, caller, environ, key), proceed)
        except Disconnect:
            return "none"
        return self.answer.status.partition(" ")[0]

    def strikes(self) -> list[int]:
        return [each["strikes"] for each in self.board.report()]


# Calls


def test_without_faults_calls_pass() -> None:
    assert Board().ask() == "200"


@pytest.mark.parametrize(
    ("fault", "status", "done"),
    [
        (Throttle(), "503", False),
        (ServerError(), "500", False),
        (ServerError(status=504), "504", False),
        (ServerError(done=True), "500", True),
        (ExpiredToken(), "400", False),
        (Drop(), "none", False),
        (LoseResponse(), "none", True),
        (Slow(seconds=3), "200", True),
    ],
)
def test_each_fault_answers_in_its_way_and_has_an_effect_or_none(fault: Fault, status: str, done: bool) -> None:
    board = Board(fault)
    assert (board.ask(), bool(board.done)) == (status, done)
    assert board.strikes() == [1]


def test_a_slow_call_waits() -> None:
    board = Board(Slow(seconds=3))
    board.ask()
    assert board.waited == [3]


@pytest.mark.parametrize(
    ("service", "answer", "code"),
    [
        ("batch", "429", b'{"message": "Too Many Requests"}'),
        ("s3", "503", b"<Error><Code>SlowDown</Code>"),
        ("ec2", "503", b"<Response><Errors><Error><Code>RequestLimitExceeded</Code>"),
        ("sts", "400", b"<ErrorResponse><Error><Type>Sender</Type><Code>ThrottlingException</Code>"),
        ("logs", "400", b'{"__type": "ThrottlingException"'),
    ],
)
def test_a_refusal_is_in_the_services_own_words(service: str, answer: str, code: bytes) -> None:
    board = Board(Throttle())
    assert board.ask(f"{service}.Anything") == answer
    assert code in board.answer.body[0]


def test_a_refused_head_has_no_body() -> None:
    board = Board(Throttle())
    assert (board.ask(method="HEAD"), board.answer.body) == ("503", [b""])


def test_only_the_calls_that_are_meant_suffer() -> None:
    board = Board(Throttle("batch.Submit*", caller="user/*"))
    assert [board.ask("batch.SubmitJob"), board.ask("batch.ListJobs"), board.ask("s3.PutObject")] == [
        "429",
        "200",
        "200",
    ]
    assert board.ask("batch.SubmitJob", caller="job/boto3") == "200"


def test_a_client_with_new_credentials_is_served() -> None:
    board = Board(ExpiredToken(key="OLD"))
    assert [board.ask(key="OLD"), board.ask(key="NEW")] == ["400", "200"]


def test_faults_lie_around_each_other_in_the_order_of_their_injection() -> None:
    board = Board(Throttle(count=1), Slow(seconds=2), Drop(skip=1))
    assert [board.ask(), board.ask(), board.ask()] == ["503", "200", "none"]
    assert (board.waited, board.strikes()) == ([2, 2], [1, 2, 1])


def test_a_fault_can_be_taken_back() -> None:
    board = Board(Throttle())
    [number] = board.board.inject(Plan((Drop(),)))
    board.board.remove(1)
    assert board.ask() == "none"
    board.board.remove(number)
    assert board.ask() == "200"
    with pytest.raises(FaultError, match="no fault 1"):
        board.board.remove(1)


def test_a_reset_brings_back_the_faults_of_the_start_and_no_others() -> None:
    board = Board(Throttle(count=1))
    board.ask()
    board.board.inject(Plan((Drop(),)))
    board.board.clear()
    board.board.begin()
    assert [board.ask(), board.ask()] == ["503", "200"]


def test_faults_that_have_passed_make_room_for_new_ones() -> None:
    board = Board(Throttle(count=1), Drop(span=5))
    board.ask()
    board.now = 5
    board.board.inject(Plan((Slow(),)))
    assert [each["kind"] for each in board.board.report()] == ["Slow"]


# Sight


def test_vanished_jobs_are_not_seen(make_world: Any) -> None:
    world, board = make_world(), Board(Vanish(jobs="lost-*", calls="batch.DescribeJobs")).board
    jobs = [world.submit(name=name) for name in ("lost-1", "kept", "lost-2")]
    assert board.sight("DescribeJobs", jobs, world.now) == [jobs[1]]
    assert board.sight("ListJobs", jobs, world.now) == jobs


def test_jobs_can_be_seen_twice(make_world: Any) -> None:
    world, board = make_world(), Board(Duplicate(count=1)).board
    job = world.submit()
    assert board.sight("ListJobs", [job], world.now) == [job, job]
    assert board.sight("ListJobs", [job], world.now) == [job]


def test_jobs_are_seen_as_they_were(make_world: Any) -> None:
    world, board = make_world(), Board(Stale(seconds=5)).board
    job = world.submit()

    def seen() -> list[State]:
        shown = board.sight("DescribeJobs", [job], world.now)
        for each in shown:
            assert detail(each)["jobId"] == job.id
        return [each.state for each in shown]

    assert seen() == []
    world.after(4)
    world.start(job)
    world.after(2)
    assert seen() == [State.RUNNABLE]
    world.end(job)
    world.after(4)
    assert (seen(), job.state) == ([State.RUNNING], State.SUCCEEDED)
    world.after(1)
    assert seen() == [State.SUCCEEDED]


def test_a_parent_is_seen_with_the_children_of_that_time(make_world: Any) -> None:
    world, board = make_world(), Board(Stale(seconds=5)).board
    parent = world.submit(array_size=2)
    world.after(6)
    world.run(parent.children.jobs[0])
    world.after(2)
    world.run(parent.children.jobs[1], 1)
    world.after(4)
    [then] = board.sight("DescribeJobs", [parent], world.now)
    assert (then.state, parent.state) == (State.PENDING, State.FAILED)
    assert +then.children.summary == {State.SUCCEEDED: 1, State.RUNNABLE: 1}


# Hosts


def striking(world: Any, *faults: Fault) -> Board:
    """A board whose faults of hosts happen to a world."""
    return Board(*faults, happen=lambda after, strike: world.engine.strike(world.now + after, strike))


def test_a_reclaimed_host_ends_its_attempts_by_sigterm_and_then_by_sigkill(make_world: Any) -> None:
    world = make_world(stop_grace=30)
    rules = (ExitRule(ExitAction.RETRY, on_status_reason="Host EC2*"), ExitRule(ExitAction.EXIT, on_reason="*"))
    job = world.submit(retry=RetryStrategy(2, rules))
    attempt = world.start(job)
    striking(world, Reclaim(after=10, notice=2))
    world.after(9)
    assert not world.stopped()
    world.after(1)
    assert SignalProcess(attempt, 15) in world.effects
    world.after(2)
    assert [(each.attempt, each.force) for each in world.stopped()] == [(attempt, True)]
    world.end(job, 137)
    assert job.state is State.STARTING
    ending = job.attempts[0].ending
    assert (ending.exit_code, ending.status_reason) == (None, "Host EC2 (instance i-00000000000000001) terminated.")


def test_an_attempt_that_succeeds_before_its_host_is_gone_has_succeeded(make_world: Any) -> None:
    world = make_world()
    job = world.submit()
    world.start(job)
    striking(world, Reclaim())
    world.after(0)
    world.end(job, 0)
    assert job.state is State.SUCCEEDED


def test_only_so_many_attempts_are_struck_and_only_of_the_jobs_that_are_meant(make_world: Any) -> None:
    world = make_world(slots=4)
    jobs = [world.submit(name=name) for name in ("a", "b", "b", "b")]
    attempts = [world.start(job) for job in jobs]
    striking(world, Kill(jobs="b", count=2))
    world.after(0)
    assert [each for each in world.effects if isinstance(each, SignalProcess)] == [
        SignalProcess(attempt, 9) for attempt in attempts[1:3]
    ]
    world.end(jobs[1], 137)
    assert jobs[1].attempts[0].ending.exit_code == 137


def test_a_fault_that_was_taken_back_before_its_moment_does_nothing(make_world: Any) -> None:
    world = make_world()
    world.start(world.submit())
    board = striking(world, Reclaim(after=5)).board
    board.clear()
    world.after(5)
    assert not [each for each in world.effects if isinstance(each, SignalProcess)]
