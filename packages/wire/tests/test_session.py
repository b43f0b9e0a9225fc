from __future__ import annotations

from typing import Any

import pytest

from scaler_batch.wire import events as ev
from scaler_batch.wire import messages as m
from scaler_batch.wire.envelope import Dialect, decode, encode
from scaler_batch.wire.errors import LocalProtocolError
from scaler_batch.wire.flags import Profile, TaskFlags
from scaler_batch.wire.session import WorkerSession
from scaler_batch.wire.settings import LinkSettings

STORAGE = m.ObjectStorageAddress("127.0.0.1", 5, "tcp")
ECHO = m.WorkerHeartbeatEcho(STORAGE)
RESULT_ID = b"r" * 32


def a_task(number: int = 1, **changes: Any) -> m.Task:
    return m.Task(**{"task_id": bytes([number]) * 16, "source": b"client", "function_id": b"f" * 32, **changes})


class Desk:
    """A session with the scheduler's side played by hand."""

    def __init__(self, *, registered: bool = True, dialect: Dialect = Dialect.NEW) -> None:
        self.now = 0.0
        self.session = WorkerSession(b"worker", 0.0, LinkSettings(), dialect)
        if registered:
            self.session.heartbeat(m.WorkerHeartbeat(queue_size=1), 0.0)
            self.hear(ECHO)
            self.sent()

    def hear(self, *messages: m.Message) -> list[ev.Event]:
        for message in messages:
            self.session.receive(encode(message, self.session.dialect), self.now)
        return self.session.events_received()

    def sent(self) -> list[m.Message | m.Unknown]:
        return [decode(frame, self.session.dialect) for frame in self.session.messages_to_send()]


def confirm(task: m.Task, outcome: m.CancelOutcome) -> m.TaskCancelConfirm:
    return m.TaskCancelConfirm(task.task_id, outcome)


def cancel(task: m.Task, *, force: bool = False) -> m.TaskCancel:
    return m.TaskCancel(task.task_id, m.TaskCancelFlags(force))


# --- registering ---


def test_the_first_answer_registers_and_tells_where_the_objects_are() -> None:
    desk = Desk(registered=False)
    desk.session.heartbeat(m.WorkerHeartbeat(queue_size=7), 0.0)
    assert desk.sent() == [m.WorkerHeartbeat(queue_size=7)]
    assert desk.hear(ECHO) == [ev.Registered(STORAGE)]
    assert desk.hear(ECHO) == []


def test_tasks_and_what_concerns_them_are_held_until_the_first_answer() -> None:
    desk = Desk(registered=False)
    task = a_task()
    deletion = m.ObjectInstruction(m.InstructionKind.DELETE, metadata=m.ObjectMetadata((b"o" * 32,)))
    assert desk.hear(task, cancel(task), deletion) == []
    assert desk.hear(ECHO) == [
        ev.Registered(STORAGE),
        ev.TaskReceived(task),
        ev.CancelRequested(task.task_id, force=False),
        ev.ObjectsDeleted((b"o" * 32,)),
    ]


def test_a_storage_elsewhere_is_reported() -> None:
    desk = Desk()
    elsewhere = m.ObjectStorageAddress("127.0.0.2", 6, "tcp")
    assert desk.hear(m.WorkerHeartbeatEcho(elsewhere)) == [ev.StorageMoved(elsewhere)]


def test_silence_is_reported() -> None:
    desk = Desk()
    desk.session.check(299.0)
    assert desk.session.events_received() == []
    desk.session.check(300.0)
    assert desk.session.events_received() == [ev.SchedulerSilent(300.0)]


def test_a_shutdown_is_reported_even_before_the_first_answer() -> None:
    assert Desk(registered=False).hear(m.ClientDisconnect(m.DisconnectKind.SHUTDOWN)) == [ev.ShutdownRequested()]


# --- results ---


def test_a_result_is_preceded_by_the_news_of_its_object() -> None:
    desk = Desk()
    task = a_task()
    desk.hear(task)
    profile = Profile(1.5, 4096, 0.25)
    desk.session.result(task.task_id, m.ResultKind.FAILED, RESULT_ID, 77, profile)
    created, result = desk.sent()
    assert isinstance(created, m.ObjectInstruction)
    assert (created.kind, created.user) == (m.InstructionKind.CREATE, b"client")
    assert created.metadata.ids == (RESULT_ID,)
    assert created.metadata.kinds == (m.ObjectKind.OBJECT,)
    assert len(created.metadata.names) == 1
    assert created.metadata.sizes == (77,)
    assert result == m.TaskResult(task.task_id, m.ResultKind.FAILED, profile.encode(), (RESULT_ID,))
    assert desk.session.open_tasks == frozenset()


def test_a_worker_that_died_has_no_object() -> None:
    desk = Desk()
    desk.hear(a_task())
    desk.session.result(a_task().task_id, m.ResultKind.FAILED_WORKER_DIED, None)
    assert desk.sent() == [m.TaskResult(a_task().task_id, m.ResultKind.FAILED_WORKER_DIED)]


@pytest.mark.parametrize("kind", [m.ResultKind.SUCCESS, m.ResultKind.FAILED])
def test_any_other_result_without_an_object_is_refused_and_the_task_stays_open(kind: m.ResultKind) -> None:
    desk = Desk()
    desk.hear(a_task())
    with pytest.raises(LocalProtocolError, match="names an object"):
        desk.session.result(a_task().task_id, kind, None)
    assert desk.sent() == []
    assert desk.session.open_tasks == {a_task().task_id}


def test_a_task_is_answered_once() -> None:
    desk = Desk()
    desk.hear(a_task())
    desk.session.result(a_task().task_id, m.ResultKind.SUCCESS, RESULT_ID)
    with pytest.raises(LocalProtocolError, match="waits for no result"):
        desk.session.result(a_task().task_id, m.ResultKind.SUCCESS, RESULT_ID)


def test_a_task_never_received_cannot_be_answered() -> None:
    with pytest.raises(LocalProtocolError, match="waits for no result"):
        Desk().session.result(b"x" * 16, m.ResultKind.SUCCESS, RESULT_ID)


# --- cancelling ---


def test_a_cancel_is_reported_and_confirmed_once() -> None:
    desk = Desk()
    task = a_task()
    desk.hear(task)
    assert desk.hear(cancel(task, force=True)) == [ev.CancelRequested(task.task_id, force=True)]
    desk.session.confirm_cancel(task.task_id, m.CancelOutcome.CANCELED)
    assert desk.sent() == [confirm(task, m.CancelOutcome.CANCELED)]
    with pytest.raises(LocalProtocolError, match="no cancel"):
        desk.session.confirm_cancel(task.task_id, m.CancelOutcome.CANCELED)


def test_two_cancels_get_two_confirms() -> None:
    desk = Desk()
    task = a_task()
    desk.hear(task, cancel(task), cancel(task, force=True))
    desk.session.confirm_cancel(task.task_id, m.CancelOutcome.FAILED)
    desk.session.confirm_cancel(task.task_id, m.CancelOutcome.CANCELED)
    assert desk.sent() == [confirm(task, m.CancelOutcome.FAILED), confirm(task, m.CancelOutcome.CANCELED)]


def test_a_cancelled_task_gets_no_result() -> None:
    desk = Desk()
    task = a_task()
    desk.hear(task, cancel(task))
    desk.session.confirm_cancel(task.task_id, m.CancelOutcome.CANCELED)
    with pytest.raises(LocalProtocolError, match="waits for no result"):
        desk.session.result(task.task_id, m.ResultKind.SUCCESS, RESULT_ID)


def test_a_result_follows_a_cancel_that_failed() -> None:
    desk = Desk()
    task = a_task()
    desk.hear(task, cancel(task))
    desk.session.confirm_cancel(task.task_id, m.CancelOutcome.FAILED)
    desk.session.result(task.task_id, m.ResultKind.SUCCESS, RESULT_ID)
    assert [type(message) for message in desk.sent()] == [m.TaskCancelConfirm, m.ObjectInstruction, m.TaskResult]


def test_the_cancel_of_a_task_that_is_not_open_is_answered_without_asking() -> None:
    desk = Desk()
    task = a_task()
    assert desk.hear(cancel(task, force=True)) == []
    assert desk.sent() == [confirm(task, m.CancelOutcome.NOT_FOUND)]


def test_a_cancel_that_crosses_the_result_is_answered_without_asking() -> None:
    desk = Desk()
    task = a_task()
    desk.hear(task)
    desk.session.result(task.task_id, m.ResultKind.SUCCESS, RESULT_ID)
    desk.sent()
    assert desk.hear(cancel(task)) == []
    assert desk.sent() == [confirm(task, m.CancelOutcome.NOT_FOUND)]


def test_a_cancel_still_owed_when_the_result_goes_out_is_confirmed_but_cannot_have_failed() -> None:
    desk = Desk()
    task = a_task()
    desk.hear(task, cancel(task))
    desk.session.result(task.task_id, m.ResultKind.SUCCESS, RESULT_ID)
    desk.sent()
    with pytest.raises(LocalProtocolError, match="not found, rather than failed"):
        desk.session.confirm_cancel(task.task_id, m.CancelOutcome.FAILED)
    desk.session.confirm_cancel(task.task_id, m.CancelOutcome.NOT_FOUND)
    assert desk.sent() == [confirm(task, m.CancelOutcome.NOT_FOUND)]


def test_a_task_cancelled_for_balance_may_come_back_as_a_new_one() -> None:
    desk = Desk()
    task = a_task()
    desk.hear(task, cancel(task))
    desk.session.confirm_cancel(task.task_id, m.CancelOutcome.CANCELED)
    assert desk.hear(task) == [ev.TaskReceived(task)]


# --- delivered again ---


def test_a_task_delivered_again_is_not_reported_as_new_and_is_answered_once() -> None:
    desk = Desk()
    task = a_task()
    assert desk.hear(task, task) == [ev.TaskReceived(task), ev.TaskRedelivered(task)]
    desk.session.result(task.task_id, m.ResultKind.SUCCESS, RESULT_ID)
    assert desk.session.open_tasks == frozenset()


@pytest.mark.parametrize("outcome", [m.CancelOutcome.CANCELED, m.CancelOutcome.NOT_FOUND])
def test_a_cancel_forgotten_by_the_scheduler_is_not_confirmed_and_the_task_starts_anew(
    outcome: m.CancelOutcome,
) -> None:
    desk = Desk()
    task = a_task()
    desk.hear(task, cancel(task), task)
    desk.session.confirm_cancel(task.task_id, outcome)
    assert desk.sent() == []
    assert desk.session.events_received() == [ev.TaskReceived(task)]
    desk.session.result(task.task_id, m.ResultKind.SUCCESS, RESULT_ID)


def test_a_forgotten_cancel_that_failed_changes_nothing() -> None:
    desk = Desk()
    task = a_task()
    desk.hear(task, cancel(task), task)
    desk.session.confirm_cancel(task.task_id, m.CancelOutcome.FAILED)
    assert desk.sent() == []
    assert desk.session.events_received() == []


def test_a_forgotten_cancel_of_a_task_that_was_answered_is_not_confirmed() -> None:
    desk = Desk()
    task = a_task()
    desk.hear(task, cancel(task), task)
    desk.session.result(task.task_id, m.ResultKind.SUCCESS, RESULT_ID)
    desk.sent()
    desk.session.confirm_cancel(task.task_id, m.CancelOutcome.NOT_FOUND)
    assert desk.sent() == []
    assert desk.session.events_received() == []


def test_a_cancel_after_a_forgotten_one_is_confirmed() -> None:
    desk = Desk()
    task = a_task()
    desk.hear(task, cancel(task), task, cancel(task))
    desk.session.confirm_cancel(task.task_id, m.CancelOutcome.CANCELED)
    assert desk.sent() == []
    desk.session.confirm_cancel(task.task_id, m.CancelOutcome.CANCELED)
    assert desk.sent() == [confirm(task, m.CancelOutcome.CANCELED)]
    assert desk.session.open_tasks == frozenset()


def test_a_task_whose_run_is_gone_starts_anew_when_it_is_delivered_again() -> None:
    desk = Desk()
    task = a_task()
    desk.hear(task, cancel(task), task, cancel(task))
    desk.session.confirm_cancel(task.task_id, m.CancelOutcome.CANCELED)
    with pytest.raises(LocalProtocolError, match="waits for no result"):
        desk.session.result(task.task_id, m.ResultKind.SUCCESS, RESULT_ID)
    with pytest.raises(LocalProtocolError, match="rather than failed"):
        desk.session.confirm_cancel(task.task_id, m.CancelOutcome.FAILED)
    assert desk.hear(task) == [ev.TaskReceived(task)]


# --- logs ---


@pytest.mark.parametrize(
    ("metadata", "lines"),
    [(TaskFlags(stream_output=True).encode(), 1), (TaskFlags().encode(), 0), (b"", 0), (b"what?", 0)],
    ids=["wanted", "not wanted", "no flags", "malformed flags"],
)
def test_output_is_sent_to_clients_that_want_it(metadata: bytes, lines: int) -> None:
    desk = Desk()
    desk.hear(a_task(metadata=metadata))
    desk.session.log(a_task().task_id, m.LogStream.STDERR, "hi\n")
    assert desk.sent() == [m.TaskLog(a_task().task_id, m.LogStream.STDERR, "hi\n")] * lines


def test_output_of_a_task_that_is_not_open_is_dropped() -> None:
    desk = Desk()
    desk.session.log(b"x" * 16, m.LogStream.STDOUT, "hi\n")
    assert desk.sent() == []


# --- when the link was lost ---


def test_what_may_not_have_arrived_is_sent_again_when_the_link_came_back() -> None:
    desk = Desk()
    early, late, cancelled = a_task(1), a_task(2), a_task(3)
    desk.hear(early, late, cancelled, cancel(cancelled))
    desk.session.result(early.task_id, m.ResultKind.SUCCESS, RESULT_ID)
    desk.session.heartbeat(m.WorkerHeartbeat(queue_size=1), 2.0)
    desk.hear(ECHO)
    desk.session.result(late.task_id, m.ResultKind.SUCCESS, RESULT_ID)
    desk.session.confirm_cancel(cancelled.task_id, m.CancelOutcome.CANCELED)
    desk.hear(cancel(a_task(4)))
    desk.sent()
    desk.session.resume(3.0)
    created, result, *confirms = desk.sent()
    assert isinstance(created, m.ObjectInstruction)
    assert result == m.TaskResult(late.task_id, m.ResultKind.SUCCESS, b"", (RESULT_ID,))
    assert confirms == [
        confirm(cancelled, m.CancelOutcome.CANCELED),
        confirm(a_task(4), m.CancelOutcome.NOT_FOUND),
    ]
    assert desk.session.clock.due(3.0)


# --- what does not belong here ---


def test_what_is_malformed_is_reported_and_dropped() -> None:
    desk = Desk()
    desk.session.receive(b"not a message", 0.0)
    (event,) = desk.session.events_received()
    assert isinstance(event, ev.MessageRefused)
    assert desk.hear(a_task()) == [ev.TaskReceived(a_task())]


@pytest.mark.parametrize(
    "message",
    [
        m.TaskResult(b"t" * 16, m.ResultKind.SUCCESS),
        m.ObjectInstruction(m.InstructionKind.CLEAR),
        m.ClientDisconnect(m.DisconnectKind.DISCONNECT),
        m.WorkerHeartbeat(),
    ],
)
def test_what_is_out_of_turn_is_reported_and_dropped(message: m.Message) -> None:
    assert Desk().hear(message) == [ev.MessageRefused(f"a worker is not sent such a {type(message).__name__}")]


def test_what_is_unknown_is_reported_and_dropped() -> None:
    desk = Desk()
    desk.session.receive(encode(m.ClientDisconnect(), Dialect.OLD), 0.0)
    assert desk.session.events_received() == [ev.MessageIgnored(20)]


def test_the_answer_to_an_old_goodbye_is_no_news() -> None:
    assert Desk(dialect=Dialect.OLD).hear(m.DisconnectResponse(b"worker")) == []


# --- leaving ---


@pytest.mark.parametrize(
    ("dialect", "goodbye"),
    [(Dialect.NEW, m.WorkerDisconnectNotification()), (Dialect.OLD, m.DisconnectRequest(b"worker"))],
)
def test_each_release_has_its_goodbye_and_it_is_said_once(dialect: Dialect, goodbye: m.Message) -> None:
    desk = Desk(dialect=dialect)
    desk.session.goodbye()
    desk.session.goodbye()
    assert desk.sent() == [goodbye]


def test_a_worker_nobody_heard_of_leaves_without_a_word() -> None:
    desk = Desk(registered=False)
    desk.session.goodbye()
    assert desk.sent() == []


def test_nothing_is_sent_or_heard_after_the_goodbye() -> None:
    desk = Desk()
    desk.hear(a_task(), cancel(a_task()))
    desk.session.goodbye()
    session, task_id = desk.session, a_task().task_id
    for command in (
        lambda: session.heartbeat(m.WorkerHeartbeat(), 1.0),
        lambda: session.resume(1.0),
        lambda: session.result(task_id, m.ResultKind.SUCCESS, RESULT_ID),
        lambda: session.confirm_cancel(task_id, m.CancelOutcome.CANCELED),
        lambda: session.log(task_id, m.LogStream.STDOUT, ""),
    ):
        with pytest.raises(LocalProtocolError, match="said goodbye"):
            command()
    desk.sent()
    assert desk.hear(a_task(2), cancel(a_task(3))) == []
    assert desk.sent() == []
