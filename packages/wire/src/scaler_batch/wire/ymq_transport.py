"""The scheduler link over YMQ: one stream after the other, under the same identity.

While no stream is up, what is sent waits here. The scheduler does not notice a lost connection and keeps the worker's
tasks, so that coming back under the same identity resumes where things were left.
"""

from __future__ import annotations

import asyncio
from collections import deque

from .addresses import Endpoint
from .errors import ConnectionLostError
from .settings import LinkSettings
from .stream import YmqStream, open_stream
from .transport import Listener


class YmqTransport:
    """A YMQ connection to the scheduler that is made anew whenever it is lost.

    Args:
        endpoint: where the scheduler listens; a name is resolved at each attempt.
        identity: the worker id.
        settings: the limits and the back-off are used.
        listener: hears what happens.
    """

    def __init__(self, endpoint: Endpoint, identity: bytes, settings: LinkSettings, listener: Listener) -> None:
        self._endpoint = endpoint
        self._identity = identity
        self._settings = settings
        self._listener = listener
        self._stream: YmqStream | None = None
        self._waiting: deque[bytes] = deque()
        self._idle = asyncio.Event()
        self._closing = asyncio.Event()

    async def run(self) -> None:
        """Connect, stay connected, and connect again, until `close` is called."""
        failures = 0
        while not self._closing.is_set():
            try:
                await self._serve()
                failures = 0
            except ConnectionLostError:
                failures += 1
            await self._pause(self._settings.backoff.delay(max(failures, 1)))

    def send(self, frame: bytes) -> None:
        """Send a frame, or keep it until there is a connection."""
        if self._stream is None or self._stream.lost.done():
            self._waiting.append(frame)
        else:
            self._stream.send(frame)

    async def close(self, grace: float) -> None:
        """Send what is left, leave, and end `run`."""
        self._closing.set()
        if self._stream is not None:
            await self._stream.close(grace)

    async def _serve(self) -> None:
        """Connect once and stay until the connection is lost."""
        settings = self._settings
        stream, greeting = await open_stream(
            self._endpoint,
            self._identity,
            self._listener.frame_received,
            settings.max_message,
            settings.connect_timeout,
            settings.tls,
        )
        self._stream = stream
        self._listener.link_up(greeting.dialect)
        while self._waiting:
            stream.send(self._waiting.popleft())
        reason = await asyncio.shield(stream.lost)
        self._stream = None
        if not self._closing.is_set():
            self._listener.link_down(reason)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return
