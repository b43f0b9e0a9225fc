"""Messages on their way out of a process that must never wait for its reader."""

from __future__ import annotations

import socket
from collections import deque

from .messages import Message, encode

HIGH_WATER = 1 << 20
"""Bytes; with more than this unsent, nothing more should be read that would have to be sent on."""


class Outbox:
    """What is to be sent over a non-blocking socket.

    Args:
        channel: The socket.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._waiting: deque[bytes] = deque()
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def full(self) -> bool:
        """Whether so much is unsent that its sources should wait."""
        return self._size > HIGH_WATER

    def put(self, message: Message) -> None:
        """Add a message, and send what goes without waiting."""
        line = encode(message)
        self._waiting.append(line)
        self._size += len(line)
        self.flush()

    def flush(self) -> None:
        """Send what goes without waiting. A reader that has gone is not noticed here but where it is read from."""
        try:
            while self._waiting:
                sent = self._channel.send(self._waiting[0])
                self._size -= sent
                self._waiting[0] = self._waiting[0][sent:]
                if not self._waiting[0]:
                    self._waiting.popleft()
        except BlockingIOError:
            return
        except OSError:
            self._waiting.clear()
            self._size = 0
