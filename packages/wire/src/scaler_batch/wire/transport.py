"""What the scheduler link needs of a transport, and what a transport tells its owner.

Two transports exist, `zmq_transport` and `ymq_transport`. Both keep their order, never block a sender, and come
back by themselves when the connection is lost.
"""

from __future__ import annotations

from typing import Protocol

from .envelope import Dialect


class Listener(Protocol):
    """The owner of a transport; all of it is called on the event loop."""

    def link_up(self, dialect: Dialect | None) -> None:
        """Hear that the link is there, and which numbering the peer speaks, where the transport can tell."""

    def link_down(self, reason: str) -> None:
        """Hear that the link is gone; the transport is making it anew."""

    def frame_received(self, frame: bytes) -> None:
        """Hear that a message came."""

    def frame_refused(self, reason: str) -> None:
        """Hear that something came that is no message."""


class Transport(Protocol):
    """Carries frames to and from one peer."""

    async def run(self) -> None:
        """Keep the link up until `close` is called."""

    def send(self, frame: bytes) -> None:
        """Send a frame, now or when the link is up."""

    async def close(self, grace: float) -> None:
        """Wait until what was sent is gone, `grace` seconds at most, and end `run`."""
