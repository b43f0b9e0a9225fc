from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.wire import events as ev
from scaler_batch.wire import messages as m
from scaler_batch.wire.envelope import Dialect, decode, encode
from scaler_batch.wire.errors import LocalProtocolError
from scaler_batch.wire.manager_session import ManagerSession
from scaler_batch.wire.settings import LinkSettings

LARGEST = 2**32 - 1
OWN = (m.Capability("gpu", 2), m.Capability("batch"))
ECHO = m.WorkerManagerHeartbeatEcho()

capabilities = st.builds(m.Capability, st.sampled_from(["gpu", "batch", "arm"]), st.sampled_from([-1, 1, 2]))
capability_lists = st.lists(capabilities, max_size=4).map(tuple)
numbers = st.integers(0, LARGEST)
commands = st.lists(st.builds(m.DesiredTaskConcurrency, numbers, capability_lists), max_size=6).map(tuple)


class Desk:
    """A session with the scheduler's side played by hand."""

    def __init__(self, own: tuple[m.Capability, ...] = OWN, dialect: Dialect = Dialect.NEW) -> None:
        self.now = 0.0
        self.session = ManagerSession(b"wm", 0.0, 3, own, LinkSettings(), dialect)

    def hear(self, *messages: m.Message) -> list[ev.ManagerEvent]:
        for message in messages:
            self.session.receive(encode(message, self.session.dialect), self.now)
        return self.session.events_received()

    def sent(self) -> list[m.Message | m.Unknown]:
        return [decode(frame, self.session.dialect) for frame in self.session.messages_to_send()]


# --- commands ---


@given(capability_lists, commands)
def test_the_numbers_that_are_within_its_capabilities_are_added_up(
    own: tuple[m.Capability, ...], requests: tuple[m.DesiredTaskConcurrency, ...]
) -> None:
    expected = 0
    for request in requests:
        if all(wanted in own for wanted in request.capabilities):
            expected += request.task_concurrency
    assert Desk(own).hear(m.WorkerManagerCommand(requests)) == [ev.ConcurrencyDesired(expected)]


@given(capability_lists, commands, st.randoms(use_true_random=False))
def test_neither_order_nor_repetition_of_capabilities_matters(
    own: tuple[m.Capability, ...], requests: tuple[m.DesiredTaskConcurrency, ...], random: Random
) -> None:
    shuffled = [
        m.DesiredTaskConcurrency(
            request.task_concurrency,
            tuple(random.sample(request.capabilities * 2, len(request.capabilities) * 2)),
        )
        for request in random.sample(requests, len(requests))
    ]
    assert Desk(own).hear(m.WorkerManagerCommand(tuple(shuffled))) == Desk(own).hear(m.WorkerManagerCommand(requests))


@pytest.mark.parametrize(
    ("requests", "workers"),
    [
        pytest.param([], 0, id="nothing"),
        pytest.param([(5, ())], 5, id="workers of any kind"),
        pytest.param([(5, (m.Capability("gpu", 2),))], 5, id="some of its capabilities"),
        pytest.param([(5, OWN[::-1])], 5, id="all of its capabilities"),
        pytest.param([(5, (m.Capability("gpu", 1),))], 0, id="another value"),
        pytest.param([(5, (*OWN, m.Capability("arm")))], 0, id="one capability too many"),
        pytest.param([(1, ()), (2, OWN), (4, (m.Capability("arm"),)), (8, ())], 11, id="a sum"),
        pytest.param([(LARGEST, ()), (LARGEST, ())], 2 * LARGEST, id="more than fits the field"),
    ],
)
def test_a_command_says_how_many_workers_there_should_be(
    requests: list[tuple[int, tuple[m.Capability, ...]]], workers: int
) -> None:
    command = m.WorkerManagerCommand(tuple(m.DesiredTaskConcurrency(*request) for request in requests))
    assert Desk().hear(command) == [ev.ConcurrencyDesired(workers)]


def test_every_command_is_reported_even_if_it_repeats_the_last() -> None:
    command = m.WorkerManagerCommand((m.DesiredTaskConcurrency(1),))
    assert Desk().hear(command, ECHO, command) == [ev.ConcurrencyDesired(1)] * 2


# --- heartbeats ---


@pytest.mark.parametrize("dialect", Dialect)
def test_a_heartbeat_says_what_the_manager_could_run(dialect: Dialect) -> None:
    desk = Desk(dialect=dialect)
    desk.session.heartbeat(0.0)
    assert desk.sent() == [m.WorkerManagerHeartbeat(3, OWN, b"wm")]
    assert desk.hear(ECHO) == []


def test_without_a_limit_the_largest_number_is_sent() -> None:
    session = ManagerSession(b"wm", 0.0)
    session.heartbeat(0.0)
    (frame,) = session.messages_to_send()
    assert decode(frame) == m.WorkerManagerHeartbeat(LARGEST, (), b"wm")


@pytest.mark.parametrize("number", [-1, LARGEST + 1])
def test_a_limit_that_cannot_be_sent_is_refused_at_once(number: int) -> None:
    with pytest.raises(LocalProtocolError, match="does not fit"):
        ManagerSession(b"wm", 0.0, number)


def test_a_heartbeat_is_due_at_once_then_an_interval_after_an_answered_one() -> None:
    desk = Desk()
    assert desk.session.clock.due(0.0)
    desk.session.heartbeat(0.0)
    assert not desk.session.clock.due(9.0)
    desk.hear(ECHO)
    assert not desk.session.clock.due(1.9)
    assert desk.session.clock.due(2.0)


def test_a_command_is_no_answer_to_a_heartbeat() -> None:
    desk = Desk()
    desk.session.heartbeat(0.0)
    desk.hear(m.WorkerManagerCommand())
    assert not desk.session.clock.due(9.9)
    assert desk.session.clock.due(10.0)


def test_silence_is_reported_once() -> None:
    desk = Desk()
    desk.session.check(300.0)
    desk.session.check(301.0)
    assert desk.session.events_received() == [ev.SchedulerSilent(300.0)]


def test_after_a_link_was_made_anew_only_a_heartbeat_is_due() -> None:
    desk = Desk()
    desk.session.heartbeat(0.0)
    desk.sent()
    desk.session.resume(0.5)
    assert desk.sent() == []
    assert desk.session.clock.due(0.5)


# --- what is refused ---


def test_what_is_malformed_is_refused_and_survived() -> None:
    desk = Desk()
    desk.session.receive(b"not a message", 0.0)
    (refused,) = desk.session.events_received()
    assert isinstance(refused, ev.MessageRefused)
    assert desk.hear(m.WorkerManagerCommand()) == [ev.ConcurrencyDesired(0)]


def test_what_is_meant_for_others_is_refused() -> None:
    assert Desk().hear(m.Task(b"t" * 16, b"client")) == [ev.MessageRefused("a worker manager is not sent a Task")]


def test_what_is_not_known_is_ignored() -> None:
    desk = Desk()
    desk.session.receive(encode(m.WorkerManagerCommand(), Dialect.OLD), 0.0)
    assert desk.session.events_received() == [ev.MessageIgnored(27)]


def test_after_the_goodbye_there_is_nothing_more() -> None:
    desk = Desk()
    desk.session.heartbeat(0.0)
    desk.sent()
    desk.session.goodbye()
    desk.session.goodbye()
    assert desk.sent() == []
    assert desk.hear(m.WorkerManagerCommand()) == []
    with pytest.raises(LocalProtocolError, match="goodbye"):
        desk.session.heartbeat(1.0)
