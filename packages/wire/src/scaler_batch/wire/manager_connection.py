"""The worker manager's link to a scheduler: `link` for whoever starts and stops workers."""

from __future__ import annotations

from collections.abc import Iterable

from .envelope import Dialect
from .events import ConcurrencyDesired
from .identifiers import new_manager_id
from .link import Link
from .manager_session import ManagerSession
from .messages import Capability
from .settings import DEFAULT_LINK, LinkSettings


class ManagerConnection(Link[ManagerSession, ConcurrencyDesired]):
    """A worker manager's link to a scheduler; an async context manager, and an async iterator of events.

    Entering waits until the scheduler can be reached. The link comes back by itself when it is lost.

    Args:
        address: where the scheduler listens, as ``scheme://host:port``.
        manager_id: what the workers of this manager name in their heartbeats. The scheduler does not answer while it
            remembers another manager of this id.
        max_workers: how many workers it could run at most; None for any number.
        capabilities: what each of them would have.
        identity: names this end of the link; a new one where none is given.
        settings: intervals and limits.
        dialect: the numbering of messages. Over YMQ the scheduler shows it; over ZMQ it is to be given for releases up
            to 2.6.0, and is that which the object storage shows.

    Raises:
        AddressError: the address cannot be read.
    """

    def __init__(
        self,
        address: str,
        manager_id: bytes,
        *,
        max_workers: int | None = None,
        capabilities: Iterable[Capability] = (),
        identity: bytes | None = None,
        settings: LinkSettings = DEFAULT_LINK,
        dialect: Dialect = Dialect.NEW,
    ) -> None:
        super().__init__(address, new_manager_id("scaler-batch") if identity is None else identity, settings, dialect)
        self._manager_id = manager_id
        self._max_workers = max_workers
        self._capabilities = tuple(capabilities)

    def _open_session(self, now: float, dialect: Dialect) -> ManagerSession:
        return ManagerSession(self._manager_id, now, self._max_workers, self._capabilities, self._settings, dialect)

    def _put_heartbeat(self, now: float) -> None:
        self._session.heartbeat(now)
