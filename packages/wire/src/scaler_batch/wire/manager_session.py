"""A worker manager's side of the conversation with a scheduler, without sockets and without a clock.

A manager starts and stops workers as the scheduler wishes. Its heartbeats tell how many it could run and what those
would be capable of; to each the scheduler answers with an echo, and, if its policy scales at all, with a command. A
command lists numbers by capabilities, and is the whole of what is wanted: it takes the place of the one before it. It
is repeated with every heartbeat, or, by 2.4.6, for as long as the workers are not as many. So one that is lost costs an
interval, and there is nothing to confirm.

The manager says no goodbye; a scheduler forgets it after 10 s without a heartbeat and keeps its workers. While it
remembers one, it does not answer a second one of the same id.
"""

from __future__ import annotations

from collections.abc import Iterable

from . import messages as m
from .conversation import Conversation
from .envelope import Dialect, encode
from .errors import RemoteProtocolError
from .events import ConcurrencyDesired
from .settings import DEFAULT_LINK, LinkSettings

_UNLIMITED = 0xFFFFFFFF
"""Stands for any number; the field has no sign."""


class ManagerSession(Conversation[ConcurrencyDesired]):
    """One worker manager.

    Args:
        manager_id: what its workers name in their heartbeats.
        now: the time.
        max_workers: how many workers it could run at most; None for any number.
        capabilities: what each of them would have.
        settings: the interval and the limits of heartbeats are used.
        dialect: the numbering of messages; may be set anew when the peer's is known.

    Raises:
        LocalProtocolError: a value does not fit its field.
    """

    def __init__(
        self,
        manager_id: bytes,
        now: float,
        max_workers: int | None = None,
        capabilities: Iterable[m.Capability] = (),
        settings: LinkSettings = DEFAULT_LINK,
        dialect: Dialect = Dialect.NEW,
    ) -> None:
        super().__init__(now, settings, dialect)
        limit = _UNLIMITED if max_workers is None else max_workers
        self._heartbeat = m.WorkerManagerHeartbeat(limit, tuple(capabilities), manager_id)
        self._own = frozenset(self._heartbeat.capabilities)
        encode(self._heartbeat, dialect)  # what cannot be said is refused now, not when it is due

    def heartbeat(self, now: float) -> None:
        """Send a heartbeat."""
        self._refuse_when_closed()
        self.clock.sent(now)
        self._send_heartbeat(self._heartbeat)

    def _on_message(self, message: m.Message, now: float) -> None:
        match message:
            case m.WorkerManagerHeartbeatEcho():
                self._on_echo(now)
            case m.WorkerManagerCommand(requests=requests):
                self._report(ConcurrencyDesired(desired_workers(requests, self._own)))
            case _:
                raise RemoteProtocolError(f"a worker manager is not sent a {type(message).__name__}")

    def _take_leave(self) -> None:
        """Send nothing."""


def desired_workers(requests: Iterable[m.DesiredTaskConcurrency], own: frozenset[m.Capability]) -> int:
    """Return how many workers with the capabilities `own` a command asks for.

    Each number counts that is asked for with nothing but these capabilities, names and values, or with none at all.
    """
    return sum(request.task_concurrency for request in requests if own.issuperset(request.capabilities))
