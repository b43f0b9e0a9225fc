"""What the conversations with a scheduler have in common, whoever it is that talks to it.

Messages go in by `receive`; what comes of them is fetched by `events_received` and `messages_to_send`. Heartbeats are
sent and answered, a scheduler that no longer answers is reported, what is malformed is reported and dropped, and a
goodbye ends it all. Time is an argument, in seconds on any clock that does not go back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from . import messages as m
from .envelope import Dialect, decode, encode
from .errors import LocalProtocolError, RemoteProtocolError
from .events import LinkEvent, MessageIgnored, MessageRefused, SchedulerSilent
from .heartbeats import HeartbeatClock
from .outbox import Outbox
from .settings import LinkSettings

Own = TypeVar("Own")
"""The events that only this kind of conversation reports."""


class Conversation(ABC, Generic[Own]):
    """One party's side, from its first heartbeat to its goodbye.

    Args:
        now: the time.
        settings: the interval and the limits of heartbeats are used.
        dialect: the numbering of messages; may be set anew when the peer's is known.
    """

    def __init__(self, now: float, settings: LinkSettings, dialect: Dialect) -> None:
        self.dialect = dialect
        self.clock = HeartbeatClock(now, settings)
        self.closed = False
        """Whether the goodbye has been said."""
        self._events: list[Own | LinkEvent] = []
        self._outbox = Outbox()

    def events_received(self) -> list[Own | LinkEvent]:
        """Return what has happened since the last call."""
        events, self._events = self._events, []
        return events

    def messages_to_send(self) -> list[bytes]:
        """Return the frames that are to be sent, in this order, since the last call."""
        return self._outbox.take()

    def receive(self, frame: bytes, now: float) -> None:
        """Take a frame from the scheduler; one that is malformed or out of turn is reported and dropped."""
        if self.closed:
            return
        try:
            self._dispatch(decode(frame, self.dialect), now)
        except RemoteProtocolError as error:
            self._report(MessageRefused(str(error)))

    def check(self, now: float) -> None:
        """Report what has come to pass by the passing of time alone."""
        silence = self.clock.silence(now)
        if silence is not None and not self.closed:
            self._report(SchedulerSilent(silence))

    def resume(self, now: float) -> None:
        """Go on after the link was lost and came back: send again what may not have arrived; a heartbeat is due."""
        self._refuse_when_closed()
        self.clock.hurry(now)
        self._outbox.send_again()

    def goodbye(self) -> None:
        """Leave. Nothing can be sent afterwards; idempotent."""
        if not self.closed:
            self._take_leave()
            self.closed = True

    def _dispatch(self, message: m.Message | m.Unknown, now: float) -> None:
        if isinstance(message, m.Unknown):
            self._report(MessageIgnored(message.discriminant))
        else:
            self._on_message(message, now)

    @abstractmethod
    def _on_message(self, message: m.Message, now: float) -> None:
        """Do what a message asks for; a `RemoteProtocolError` refuses it."""

    @abstractmethod
    def _take_leave(self) -> None:
        """Send whatever leaving takes."""

    def _on_echo(self, now: float) -> None:
        """Note that a heartbeat was answered."""
        self.clock.echoed(now)
        self._outbox.heartbeat_answered()

    def _report(self, event: Own | LinkEvent) -> None:
        self._events.append(event)

    def _send_heartbeat(self, message: m.Message) -> None:
        self._outbox.put_heartbeat(encode(message, self.dialect))

    def _send(self, message: m.Message, *, keep: bool = False) -> None:
        self._outbox.put(encode(message, self.dialect), keep=keep)

    def _refuse_when_closed(self) -> None:
        if self.closed:
            raise LocalProtocolError("whoever has said goodbye can send nothing")
