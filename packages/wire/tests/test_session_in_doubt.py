"""Nobody says what was lost with a broken link; so the worker has it sent again, when that disturbs nothing."""

from __future__ import annotations

import pytest

from scaler_batch.wire import events as ev
from scaler_batch.wire import messages as m
from scaler_batch.wire.envelope import Dialect, decode, encode
from scaler_batch.wire.session import WorkerSession
from scaler_batch.wire.settings import LinkSettings

ECHO = m.WorkerHeartbeatEcho(m.ObjectStorageAddress("127.0.0.1", 5, "tcp"))
TASK = m.Task(b"t" * 16, b"client", b"", b"f" * 32)
SETTINGS = LinkSettings()


class Desk:
    """A session whose link has broken and come back, with the scheduler's side played by hand."""

    def __init__(self, *open_tasks: m.Task, dialect: Dialect = Dialect.NEW) -> None:
        self.now = 0.0
        self.session = WorkerSession(b"worker", self.now, SETTINGS, dialect)
        self.beat()
        self.hear(ECHO, *open_tasks)
        self.session.resume(self.now)
        self.beat()
        self.happened()

    def beat(self) -> None:
        self.session.heartbeat(m.WorkerHeartbeat(queue_size=1), self.now)

    def hear(self, *messages: m.Message) -> None:
        for message in messages:
            self.session.receive(encode(message, self.session.dialect), self.now)

    def happened(self) -> tuple[list[ev.Event], list[m.Message | m.Unknown]]:
        """Let an interval pass, and return what is reported and what is sent."""
        self.now += SETTINGS.heartbeat_interval
        self.session.check(self.now)
        sent = [decode(frame, self.session.dialect) for frame in self.session.messages_to_send()]
        return self.session.events_received(), sent


@pytest.mark.parametrize(
    ("dialect", "goodbye"),
    [(Dialect.NEW, m.WorkerDisconnectNotification()), (Dialect.OLD, m.DisconnectRequest(b"worker"))],
)
def test_with_nothing_open_a_worker_registers_anew_once(dialect: Dialect, goodbye: m.Message) -> None:
    desk = Desk(dialect=dialect)
    desk.hear(ECHO)
    assert desk.happened() == ([ev.RegisteredAnew()], [goodbye])
    assert desk.session.clock.due(desk.now)
    desk.beat()
    desk.hear(ECHO)
    events, sent = desk.happened()
    assert events == []
    assert [type(message) for message in sent] == [m.WorkerHeartbeat]


def test_what_was_lost_is_then_a_task_like_any_other() -> None:
    desk = Desk()
    desk.hear(ECHO)
    desk.happened()
    desk.hear(TASK)
    assert desk.happened() == ([ev.TaskReceived(TASK)], [])


def test_a_scheduler_that_has_not_answered_yet_may_still_be_sending() -> None:
    assert Desk().happened() == ([], [])


def test_an_open_task_is_answered_first() -> None:
    desk = Desk(TASK)
    desk.hear(ECHO)
    assert desk.happened() == ([], [])
    desk.session.result(TASK.task_id, m.ResultKind.SUCCESS, b"r" * 32)
    events, sent = desk.happened()
    assert events == [ev.RegisteredAnew()]
    assert sent[-1] == m.WorkerDisconnectNotification()


def test_a_cancel_is_confirmed_first() -> None:
    desk = Desk(TASK)
    desk.hear(ECHO, m.TaskCancel(TASK.task_id, m.TaskCancelFlags(force=False)))
    desk.session.result(TASK.task_id, m.ResultKind.SUCCESS, b"r" * 32)
    assert ev.RegisteredAnew() not in desk.happened()[0]
    desk.session.confirm_cancel(TASK.task_id, m.CancelOutcome.NOT_FOUND)
    assert desk.happened()[0] == [ev.RegisteredAnew()]


def test_whoever_has_left_does_not_come_again() -> None:
    desk = Desk()
    desk.hear(ECHO)
    desk.session.goodbye()
    assert desk.happened() == ([], [m.WorkerDisconnectNotification()])
