"""The rules of the conversation, whatever the order of things: a scheduler's ledger is kept beside the session."""

from __future__ import annotations

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from scaler_batch.wire import events as ev
from scaler_batch.wire import messages as m
from scaler_batch.wire.envelope import decode, encode
from scaler_batch.wire.errors import LocalProtocolError
from scaler_batch.wire.session import WorkerSession

RESULT_ID = b"r" * 32
task_ids = st.sampled_from([bytes([n]) * 16 for n in range(4)])


class Conversation(RuleBasedStateMachine):
    """An owner that answers what it is told, in any order, and a scheduler that counts."""

    cancels = Bundle("cancels")

    def __init__(self) -> None:
        super().__init__()
        self.session = WorkerSession(b"worker", 0.0)
        self.session.heartbeat(m.WorkerHeartbeat(queue_size=1), 0.0)
        self.registered = False
        self.held: set[bytes] = set()
        """What the owner was told to run and has neither answered nor dropped."""
        self.expected_confirms: Counter[bytes] = Counter()
        """What the scheduler is owed, less what it has forgotten."""
        self.promised: set[bytes] = set()
        """Tasks for which a result must still come, because the scheduler was told that the cancel failed."""

    def hear(self, message: m.Message) -> list[bytes]:
        self.session.receive(encode(message), 0.0)
        return self.settle()

    def settle(self) -> list[bytes]:
        """Do what both sides do with what has come; return the tasks whose cancel the owner is to confirm."""
        asked = []
        for event in self.session.events_received():
            assert self.registered or isinstance(event, ev.Registered)
            match event:
                case ev.Registered():
                    self.registered = True
                case ev.TaskReceived(task=task):
                    assert task.task_id not in self.held
                    self.held.add(task.task_id)
                case ev.TaskRedelivered(task=task):
                    assert task.task_id in self.held
                case ev.CancelRequested(task_id=task_id):
                    asked.append(task_id)
                case _:
                    raise AssertionError(event)
        for frame in self.session.messages_to_send():
            self.arrive(decode(frame))
        return asked

    def arrive(self, message: m.Message | m.Unknown) -> None:
        match message:
            case m.TaskCancelConfirm(task_id=task_id, outcome=outcome):
                assert self.expected_confirms[task_id] > 0, "a confirm that nobody asked for"
                self.expected_confirms[task_id] -= 1
                if outcome is m.CancelOutcome.FAILED:
                    self.promised.add(task_id)
                else:
                    self.promised.discard(task_id)
            case m.TaskResult(task_id=task_id):
                self.promised.discard(task_id)

    @rule()
    def echo(self) -> None:
        for task_id in self.hear(m.WorkerHeartbeatEcho(m.ObjectStorageAddress("h", 1))):
            self.answer(task_id, m.CancelOutcome.NOT_FOUND if task_id not in self.held else m.CancelOutcome.FAILED)

    @rule(task_id=task_ids)
    def deliver(self, task_id: bytes) -> None:
        if task_id in self.session.open_tasks:
            self.expected_confirms[task_id] = 0  # a scheduler that delivers again has forgotten what it asked
        self.hear(m.Task(task_id, b"client"))

    @rule(target=cancels, task_id=task_ids, force=st.booleans())
    def ask_to_cancel(self, task_id: bytes, force: bool) -> list[bytes]:
        self.expected_confirms[task_id] += 1
        return self.hear(m.TaskCancel(task_id, m.TaskCancelFlags(force)))

    @rule(asked=consumes(cancels), outcome=st.sampled_from([m.CancelOutcome.CANCELED, m.CancelOutcome.FAILED]))
    def confirm(self, asked: list[bytes], outcome: m.CancelOutcome) -> None:
        for task_id in asked:
            self.answer(task_id, outcome if task_id in self.held else m.CancelOutcome.NOT_FOUND)

    def answer(self, task_id: bytes, outcome: m.CancelOutcome) -> None:
        if outcome is m.CancelOutcome.CANCELED:
            self.held.discard(task_id)
        self.session.confirm_cancel(task_id, outcome)
        self.settle()

    @rule(task_id=task_ids)
    def finish(self, task_id: bytes) -> None:
        if task_id in self.held:
            self.held.remove(task_id)
            self.session.result(task_id, m.ResultKind.SUCCESS, RESULT_ID)
            self.settle()
        elif task_id not in self.session.open_tasks:
            try:
                self.session.result(task_id, m.ResultKind.SUCCESS, RESULT_ID)
            except LocalProtocolError:
                return
            raise AssertionError("a result for a task that is not open was sent")

    @invariant()
    def what_was_promised_can_still_be_kept(self) -> None:
        assert self.promised <= self.session.open_tasks

    @invariant()
    def the_owner_holds_nothing_that_the_session_does_not_know(self) -> None:
        assert self.held <= self.session.open_tasks


TestConversation = Conversation.TestCase
