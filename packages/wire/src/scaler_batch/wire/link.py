"""A link to a scheduler, whoever is at this end: an asyncio shell around a `Conversation` and a transport.

Frames come in from the transport, go through the session, and leave it as events, which the one consumer iterates over.
Commands go through the session and leave as frames, at once and in order. One coroutine keeps the time: it sends the
heartbeats. Leaving the context says goodbye, whatever the reason.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from . import events as ev
from .addresses import parse
from .conversation import Conversation
from .envelope import Dialect
from .errors import RemoteProtocolError
from .probing import Finding, probe
from .settings import LinkSettings, TransportKind
from .transport import Transport
from .ymq_transport import YmqTransport
from .zmq_transport import ZmqTransport

Session = TypeVar("Session", bound=Conversation[Any])
Reported = TypeVar("Reported")


class Link(ABC, Generic[Session, Reported]):
    """A link to a scheduler; an async context manager, and an async iterator of events for one consumer.

    Entering waits until the scheduler can be reached. The link comes back by itself when it is lost.

    Args:
        address: where the scheduler listens, as ``scheme://host:port``.
        identity: the name of this end; a process takes a new one at each start.
        settings: intervals and limits.
        dialect: the numbering of messages to begin with, where the transport does not tell.
    """

    def __init__(self, address: str, identity: bytes, settings: LinkSettings, dialect: Dialect = Dialect.NEW) -> None:
        self._endpoint = parse(address)
        self._settings = settings
        self._presumed = dialect
        self.identity = identity
        self._events: deque[Reported | ev.LinkEvent] = deque()
        self._news = asyncio.Event()
        self._nudge = asyncio.Event()
        self._ended = False
        self._was_up = False
        self._session: Session
        self._spoken: TransportKind
        self._transport: Transport
        self._group: asyncio.TaskGroup
        self._timekeeper: asyncio.Task[None]

    @abstractmethod
    def _open_session(self, now: float, dialect: Dialect) -> Session:
        """Begin the conversation."""

    @abstractmethod
    def _put_heartbeat(self, now: float) -> None:
        """Have the session send a heartbeat."""

    async def __aenter__(self) -> Self:
        """Find the scheduler and start to register.

        Raises:
            TlsError: the two ends cannot agree on TLS, or a file that it needs cannot be used.
            ConnectionLostError: nobody answers at the address.
            RemoteProtocolError: whoever answers speaks another transport than the settings ask for, or none.
        """
        settings = self._settings
        finding = await probe(self._endpoint, settings.connect_timeout, settings.backoff, settings.tls)
        self._session = self._open_session(self._now(), finding.dialect or self._presumed)
        self._transport = self._choose(finding)
        self._group = await asyncio.TaskGroup().__aenter__()
        self._group.create_task(self._transport.run())
        self._timekeeper = self._group.create_task(self._keep_time())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say goodbye and wait until it has left."""
        try:
            await self.close()
        finally:
            # The error of the body, if any, goes its own way; the group is only to raise those of its tasks.
            await self._group.__aexit__(None, None, None)

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> Reported | ev.LinkEvent:
        """Return the next event; ends when the connection is closed and every event was returned."""
        while not self._events:
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._events.popleft()

    @property
    def transport(self) -> TransportKind:
        """How the link travels, once it is entered."""
        return self._spoken

    @property
    def dialect(self) -> Dialect:
        """The numbering of messages in use."""
        return self._session.dialect

    def adopt(self, dialect: Dialect) -> None:
        """Use the numbering that the object storage showed; over ZMQ the scheduler itself does not tell."""
        self._session.dialect = dialect

    def beat(self) -> None:
        """Send a heartbeat now, in addition to those sent by themselves."""
        self._put_heartbeat(self._now())
        self._flush()

    async def close(self) -> None:
        """Say goodbye, wait until it has left, and end the iteration; idempotent."""
        if self._ended:
            return
        self._ended = True
        self._session.goodbye()
        self._flush()
        self._timekeeper.cancel()
        try:
            await self._transport.close(self._settings.goodbye_grace)
        finally:
            self._news.set()

    # --- called by the transport ---

    def link_up(self, dialect: Dialect | None) -> None:
        """Go on, with a heartbeat at once when the link was lost before."""
        if self._ended:
            return
        if dialect is not None:
            self._session.dialect = dialect
        if self._was_up:
            self._session.resume(self._now())
            self._flush()
            self._tell(ev.LinkRestored())
            self._nudge.set()
        self._was_up = True

    def link_down(self, reason: str) -> None:
        """Report it."""
        self._tell(ev.LinkLost(reason))

    def frame_received(self, frame: bytes) -> None:
        """Pass a frame through the session."""
        self._session.receive(frame, self._now())
        self._flush()

    def frame_refused(self, reason: str) -> None:
        """Report it."""
        self._tell(ev.MessageRefused(reason))

    # --- our own ---

    def _choose(self, finding: Finding) -> Transport:
        wanted = self._settings.transport
        if wanted not in (TransportKind.AUTO, finding.transport):
            raise RemoteProtocolError(
                f"the scheduler at {self._endpoint} speaks {finding.transport.name}, not {wanted.name} as was set"
            )
        self._spoken = finding.transport
        if self._spoken is TransportKind.ZMQ:
            return ZmqTransport(finding.endpoint, self.identity, self._settings, self)
        return YmqTransport(self._endpoint, self.identity, self._settings, self)

    async def _keep_time(self) -> None:
        clock = self._session.clock
        while True:
            now = self._now()
            if clock.due(now):
                self._put_heartbeat(now)
            self._session.check(now)
            self._flush()
            # An answer brings the next heartbeat forward; so never sleep longer than an interval.
            await self._sleep(min(clock.wake_at() - now, self._settings.heartbeat_interval))

    async def _sleep(self, seconds: float) -> None:
        """Wait so long, or until there is reason not to."""
        self._nudge.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._nudge.wait()
        except TimeoutError:
            return

    def _flush(self) -> None:
        for frame in self._session.messages_to_send():
            self._transport.send(frame)
        for event in self._session.events_received():
            self._tell(event)

    def _tell(self, event: Reported | ev.LinkEvent) -> None:
        self._events.append(event)
        self._news.set()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
