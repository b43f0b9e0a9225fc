"""The worker's link to a scheduler: `link` for whoever runs tasks."""

from __future__ import annotations

from collections.abc import Callable

from .envelope import Dialect
from .events import WorkerEvent
from .flags import Profile
from .identifiers import new_worker_id
from .link import Link
from .messages import CancelOutcome, LogStream, ResultKind, WorkerHeartbeat
from .session import WorkerSession
from .settings import DEFAULT_LINK, LinkSettings


class WorkerConnection(Link[WorkerSession, WorkerEvent]):
    """A worker's link to a scheduler; an async context manager, and an async iterator of events for one consumer.

    Entering waits until the scheduler can be reached. The link comes back by itself when it is lost; open tasks stay
    open meanwhile. If the heartbeat callable raises, the context ends with that error.

    Args:
        address: where the scheduler listens, as ``scheme://host:port``.
        heartbeat: returns what a heartbeat is to say; called for each one, must not block.
        identity: the worker id; a new one where none is given. A process takes a new one at each start.
        settings: intervals and limits.
    """

    def __init__(
        self,
        address: str,
        heartbeat: Callable[[], WorkerHeartbeat],
        *,
        identity: bytes | None = None,
        settings: LinkSettings = DEFAULT_LINK,
    ) -> None:
        super().__init__(address, new_worker_id("scaler-batch") if identity is None else identity, settings)
        self._vitals = heartbeat

    @property
    def open_tasks(self) -> frozenset[bytes]:
        """The ids of the tasks that the scheduler has given us and that are not answered."""
        return self._session.open_tasks

    def send_result(
        self,
        task_id: bytes,
        kind: ResultKind,
        object_id: bytes | None,
        size: int = 0,
        *,
        profile: Profile | None = None,
    ) -> None:
        """Answer a task: announce the object that holds its result, then the result.

        Args:
            task_id: the task.
            kind: how it ended.
            object_id: the object that holds what it returned or raised; None only where the worker died.
            size: of that object, in bytes.
            profile: what running it took.

        Raises:
            LocalProtocolError: the task is not open: never received, already answered, or cancelled.
        """
        self._session.result(task_id, kind, object_id, size, profile)
        self._flush()

    def confirm_cancel(self, task_id: bytes, outcome: CancelOutcome) -> None:
        """Answer one `CancelRequested`.

        Raises:
            LocalProtocolError: none waits for an answer; or it is said to have failed after the result was sent.
        """
        self._session.confirm_cancel(task_id, outcome)
        self._flush()

    def send_log(self, task_id: bytes, stream: LogStream, content: str) -> None:
        """Send what a task printed; dropped unless the task is open and its client wants to see it."""
        self._session.log(task_id, stream, content)
        self._flush()

    def _open_session(self, now: float, dialect: Dialect) -> WorkerSession:
        return WorkerSession(self.identity, now, self._settings, dialect)

    def _put_heartbeat(self, now: float) -> None:
        self._session.heartbeat(self._vitals(), now)
