"""The worker's side of the conversation with a scheduler, without sockets and without a clock.

Messages go in by `receive`, wishes by the methods named for them; what comes of both is fetched by `events_received`
and `messages_to_send` (`conversation`). Theory of operation:

* The first heartbeat registers the worker. Tasks may come before the answer to it; they are held back until then,
  because only the answer tells where the objects are.
* A heartbeat follows the last one after the interval, but not before the last one was answered, or taken for lost.
* The answer to a heartbeat tells that what was sent before has arrived; results and confirms after that are sent again
  when the link was lost and came back (`outbox`).
* A task is *open* from its arrival until it is answered. The scheduler delivers an open task again after it has taken
  the worker for dead: that is reported, and changes nothing.
* Each cancel gets exactly one confirm. For a task that is not open the session gives it by itself; for an open one the
  owner does. While a cancel waits for its confirm it is *owed*. When an open task is delivered again, the scheduler has
  forgotten the cancels it owed: they become *void*, and their confirms are not sent. If such a confirm tells that the
  run is gone, the task is *lost*: the scheduler counts on it, and nobody runs it. So it is reported as received once
  more, unless a cancel that is still owed will end it anyway.
* A link that breaks takes tasks and cancels with it that were on their way here, and the scheduler never says what it
  has sent. But it sends all tasks of a worker again that leaves. So after a break the worker is *in doubt*: once it has
  nothing open it leaves and registers anew, which brings what was lost, and disturbs nothing that runs.
"""

from __future__ import annotations

from collections import Counter

from . import events as ev
from . import messages as m
from .conversation import Conversation
from .envelope import Dialect
from .errors import LocalProtocolError, RemoteProtocolError
from .flags import Profile, TaskFlags
from .framing import check_identity
from .settings import DEFAULT_LINK, LinkSettings

_RESULT_NAME = b"result"


class WorkerSession(Conversation[ev.WorkerEvent]):
    """One worker, from its first heartbeat to its goodbye.

    Args:
        identity: the worker id.
        now: the time.
        settings: the interval and the limits of heartbeats are used.
        dialect: the numbering of messages; may be set anew when the peer's is known.
    """

    def __init__(
        self, identity: bytes, now: float, settings: LinkSettings = DEFAULT_LINK, dialect: Dialect = Dialect.NEW
    ) -> None:
        check_identity(identity)
        super().__init__(now, settings, dialect)
        self.identity = identity
        self._storage: m.ObjectStorageAddress | None = None
        """Where the objects are; known once the worker is registered."""
        self._open: dict[bytes, m.Task] = {}
        self._owed: Counter[bytes] = Counter()
        self._void: Counter[bytes] = Counter()
        self._lost: set[bytes] = set()
        self._held: list[ev.WorkerEvent] = []
        self._in_doubt = False
        self._heard_since = False
        """Whether the scheduler has answered since the link came back."""

    @property
    def open_tasks(self) -> frozenset[bytes]:
        """The ids of the tasks that wait for an answer."""
        return frozenset(self._open)

    # --- what time and the link bring ---

    def resume(self, now: float) -> None:
        """Go on after the link was lost and came back, in doubt of what was lost with it."""
        super().resume(now)
        self._in_doubt, self._heard_since = True, False

    def check(self, now: float) -> None:
        """Report what has come to pass by the passing of time; in doubt and with nothing open, register anew."""
        super().check(now)
        idle = not (self._open or self._owed or self._void or self.closed)
        if self._in_doubt and self._heard_since and idle:
            self._in_doubt = False
            self._take_leave()
            self.clock.hurry(now)
            self._report(ev.RegisteredAnew())

    # --- what comes in ---

    def _on_message(self, message: m.Message, now: float) -> None:
        match message:
            case m.Task():
                self._on_task(message)
            case m.TaskCancel(task_id=task_id, flags=flags):
                self._on_cancel(task_id, flags.force)
            case m.WorkerHeartbeatEcho(storage=storage):
                self._on_echo(now)
                self._heard_since = True
                self._on_storage(storage)
            case m.ObjectInstruction(kind=m.InstructionKind.DELETE, metadata=metadata):
                self._hold_or_report(ev.ObjectsDeleted(metadata.ids))
            case m.ClientDisconnect(kind=m.DisconnectKind.SHUTDOWN):
                self._report(ev.ShutdownRequested())
            case m.DisconnectResponse():
                pass
            case _:
                raise RemoteProtocolError(f"a worker is not sent such a {type(message).__name__}")

    def _on_task(self, task: m.Task) -> None:
        task_id = task.task_id
        if self._owed[task_id] and task_id in self._open:
            self._void[task_id] += self._owed.pop(task_id)
        again = self._runs(task_id)
        self._open[task_id] = task
        self._lost.discard(task_id)
        self._hold_or_report(ev.TaskRedelivered(task) if again else ev.TaskReceived(task))

    def _runs(self, task_id: bytes) -> bool:
        """Whether the owner has the task and is to answer it."""
        return task_id in self._open and task_id not in self._lost

    def _on_cancel(self, task_id: bytes, force: bool) -> None:
        if task_id not in self._open:
            self._send(m.TaskCancelConfirm(task_id, m.CancelOutcome.NOT_FOUND), keep=True)
            return
        self._owed[task_id] += 1
        self._hold_or_report(ev.CancelRequested(task_id, force))

    def _on_storage(self, storage: m.ObjectStorageAddress) -> None:
        before, self._storage = self._storage, storage
        if before is None:
            self._events += [ev.Registered(storage), *self._held]
            self._held.clear()
        elif storage != before:
            self._report(ev.StorageMoved(storage))

    def _hold_or_report(self, event: ev.WorkerEvent) -> None:
        if self._storage is None:
            self._held.append(event)
        else:
            self._report(event)

    # --- what goes out ---

    def heartbeat(self, vitals: m.WorkerHeartbeat, now: float) -> None:
        """Send a heartbeat; the latency in it is filled in here."""
        self._refuse_when_closed()
        self._send_heartbeat(self.clock.stamp(vitals, now))

    def result(
        self,
        task_id: bytes,
        kind: m.ResultKind,
        object_id: bytes | None,
        size: int = 0,
        profile: Profile | None = None,
    ) -> None:
        """Answer an open task: announce the object that holds its result, then the result.

        Args:
            task_id: the task.
            kind: how it ended.
            object_id: the object that holds what it returned or raised; None only where the worker died.
            size: of that object, in bytes.
            profile: what running it took.

        Raises:
            LocalProtocolError: the task is not open, or a result without an object is none.
        """
        self._refuse_when_closed()
        if not self._runs(task_id):
            raise LocalProtocolError(f"task {task_id.hex()} waits for no result: never received, answered or cancelled")
        if object_id is None and kind is not m.ResultKind.FAILED_WORKER_DIED:
            raise LocalProtocolError(f"a result of kind {kind.name} names an object")
        names = () if object_id is None else (object_id,)
        result = m.TaskResult(task_id, kind, b"" if profile is None else profile.encode(), names)
        if object_id is not None:
            created = m.ObjectMetadata((object_id,), (m.ObjectKind.OBJECT,), (_RESULT_NAME,), (size,))
            self._send(m.ObjectInstruction(m.InstructionKind.CREATE, self._open[task_id].source, created), keep=True)
        self._send(result, keep=True)
        del self._open[task_id]

    def confirm_cancel(self, task_id: bytes, outcome: m.CancelOutcome) -> None:
        """Answer one cancel that was reported.

        Raises:
            LocalProtocolError: no cancel of this task waits for a confirm; or it is said to have failed, which promises
                a result, when the result was sent already.
        """
        self._refuse_when_closed()
        if self._void[task_id]:
            self._confirm_void(task_id, outcome)
            return
        if not self._owed[task_id]:
            raise LocalProtocolError(f"no cancel of task {task_id.hex()} waits for a confirm")
        if outcome is m.CancelOutcome.FAILED and not self._runs(task_id):
            raise LocalProtocolError(f"task {task_id.hex()} is gone: its cancel was not found, rather than failed")
        self._settle(self._owed, task_id)
        self._send(m.TaskCancelConfirm(task_id, outcome), keep=True)
        if outcome is not m.CancelOutcome.FAILED:
            self._open.pop(task_id, None)
            self._lost.discard(task_id)

    def _confirm_void(self, task_id: bytes, outcome: m.CancelOutcome) -> None:
        self._settle(self._void, task_id)
        task = self._open.get(task_id)
        if task is None or outcome is m.CancelOutcome.FAILED:
            return
        if self._owed[task_id]:
            self._lost.add(task_id)
        else:
            self._report(ev.TaskReceived(task))

    def _settle(self, account: Counter[bytes], task_id: bytes) -> None:
        account[task_id] -= 1
        if not account[task_id]:
            del account[task_id]

    def log(self, task_id: bytes, stream: m.LogStream, content: str) -> None:
        """Send what a task printed; dropped unless the task is open and its client wants to see it."""
        self._refuse_when_closed()
        task = self._open.get(task_id)
        if task is not None and _wants_output(task):
            self._send(m.TaskLog(task_id, stream, content))

    def _take_leave(self) -> None:
        """Tell the scheduler, which then gives the open tasks to others at once."""
        if self.clock.started:
            old = self.dialect is Dialect.OLD
            self._send(m.DisconnectRequest(self.identity) if old else m.WorkerDisconnectNotification())


def _wants_output(task: m.Task) -> bool:
    try:
        return TaskFlags.decode(task.metadata).stream_output
    except RemoteProtocolError:
        return False  # flags that cannot be read are for whoever runs the task to complain about
