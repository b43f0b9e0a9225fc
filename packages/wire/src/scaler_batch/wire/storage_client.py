"""The link to an object storage: an asyncio shell around `StorageSession`.

One coroutine owns the connection. It connects, writes the requests one after the other, and starts over when the
connection is lost: what was not answered is asked again. Because it, and not the caller, does the writing, a caller
that is cancelled leaves no half of a request behind. Answers are handed to the waiting callers as they come in.

Each connection has an identity of its own. The storage keeps answers for an identity whose connection broke and sends
them when it returns, perhaps from the middle; under a new identity there can be no mistaking them for new ones.
"""

from __future__ import annotations

import asyncio
import struct
import uuid
from collections import deque
from types import TracebackType
from typing import Self

from .addresses import endpoint_of
from .envelope import Dialect
from .errors import (
    ConnectionLostError,
    LocalProtocolError,
    ObjectTimeoutError,
    ObjectTooLargeError,
    RemoteProtocolError,
    TlsError,
)
from .messages import ObjectStorageAddress
from .settings import DEFAULT_STORAGE, StorageSettings
from .storage import ANY_LENGTH, Answer, AnswerKind, Buffer, Request, RequestKind, StorageSession, TooLarge
from .stream import YmqStream, open_stream


class ObjectStorageClient:
    """A client of the object storage; an async context manager.

    Any number of requests may be under way at once; they are pipelined on one connection.

    Args:
        address: where the storage listens: what the scheduler told, or ``scheme://host:port``.
        identity: what the identities of the connections start with.
        settings: limits and times.
    """

    def __init__(
        self,
        address: ObjectStorageAddress | str,
        *,
        identity: bytes | None = None,
        settings: StorageSettings = DEFAULT_STORAGE,
    ) -> None:
        self._endpoint = endpoint_of(address)
        self._identity = identity or f"ObjectStorageClient|{uuid.uuid4().hex}".encode()
        self._settings = settings
        self._session = StorageSession(settings.max_object)
        self._waiters: dict[int, asyncio.Future[Answer]] = {}
        self._unsent: deque[int] = deque()
        self._work = asyncio.Event()
        self._up = asyncio.Event()
        self._closing = False
        self._stream: YmqStream | None = None
        self._dialect = Dialect.NEW
        self._down_reason = "not connected yet"
        self._down_since: float | None = None
        self._answered = False
        self._refused: TlsError | None = None
        self._group: asyncio.TaskGroup
        self._keeper: asyncio.Task[None]
        self.connections = 0
        """How many connections have been made so far."""

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            TlsError: the two ends cannot agree on TLS, or a file that it needs cannot be used.
            ConnectionLostError: the storage cannot be reached.
        """
        self._group = await asyncio.TaskGroup().__aenter__()
        self._keeper = self._group.create_task(self._keep_connected())
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                await self._up.wait()
            if self._refused is not None:
                raise self._refused
        except BaseException as error:
            await self.close()
            await self._group.__aexit__(None, None, None)
            if isinstance(error, TimeoutError):
                raise ConnectionLostError(f"the object storage at {self._down_reason}") from None
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave."""
        try:
            await self.close()
        finally:
            # The error of the body, if any, goes its own way; the group is only to raise those of its tasks.
            await self._group.__aexit__(None, None, None)

    @property
    def dialect(self) -> Dialect:
        """The numbering of messages that the cluster uses, as the storage's greeting showed it."""
        return self._dialect

    @property
    def connected(self) -> bool:
        """Whether there is a connection at this moment."""
        return self._up.is_set()

    async def wait_connected(self) -> None:
        """Return as soon as there is a connection."""
        await self._up.wait()

    async def get(self, object_id: bytes, within: float, *, limit: int | None = None) -> bytes:
        """Return the content of an object, waiting for it to be set if need be.

        Args:
            object_id: the object.
            within: seconds to wait at most.
            limit: return the first so many bytes only.

        Raises:
            ObjectTimeoutError: nobody set it in time.
            ObjectTooLargeError: it is larger than the settings accept.
            ConnectionLostError: the storage cannot be reached any more.
        """
        request = Request(RequestKind.GET, object_id, limit=ANY_LENGTH if limit is None else limit)
        return (await self._ask(request, within)).payload

    async def set(self, object_id: bytes, *parts: Buffer, within: float | None = None) -> None:
        """Store an object and return when the storage has it; replaces what it was before.

        Args:
            object_id: the object.
            parts: its content, in parts that follow each other; they are never joined, and must not change meanwhile.
            within: seconds to wait at most.

        Raises:
            ObjectTimeoutError: the storage did not confirm in time.
            ConnectionLostError: the storage cannot be reached any more.
        """
        await self._ask(Request(RequestKind.SET, object_id, parts), within)

    async def delete(self, object_id: bytes, within: float | None = None) -> bool:
        """Remove an object and return whether it was there; after a lost connection it may be gone already.

        Raises:
            ObjectTimeoutError: the storage did not answer in time.
            ConnectionLostError: the storage cannot be reached any more.
        """
        answer = await self._ask(Request(RequestKind.DELETE, object_id), within)
        return answer.kind is AnswerKind.DELETED

    async def duplicate(self, source_id: bytes, new_id: bytes, within: float) -> None:
        """Let `new_id` be another name for the content of `source_id`, waiting for that to be set if need be.

        Raises:
            ObjectTimeoutError: nobody set the source in time.
            ConnectionLostError: the storage cannot be reached any more.
        """
        await self._ask(Request(RequestKind.DUPLICATE, new_id, source_id=source_id), within)

    async def info(self, within: float | None = None) -> tuple[int, ...]:
        """Return the storage's figures.

        In 2.9.0 these are: ids, distinct objects, bytes, waiting requests, objects waited for, seconds of the oldest
        wait. Other releases tell fewer.

        Raises:
            ObjectTimeoutError: the storage did not answer in time.
            ConnectionLostError: the storage cannot be reached any more.
            RemoteProtocolError: the answer is no list of figures.
        """
        payload = (await self._ask(Request(RequestKind.INFO), within)).payload
        if len(payload) % 8:
            raise RemoteProtocolError(f"figures are 8 bytes each, but {len(payload)} came")
        return struct.unpack(f"<{len(payload) // 8}Q", payload)

    async def close(self) -> None:
        """Send what is left and leave; requests still under way fail. Idempotent."""
        if self._closing:
            return
        self._closing = True
        self._fail_all("the client was closed")
        try:
            if self._stream is not None:
                await self._stream.close(self._settings.close_grace)
        finally:
            self._keeper.cancel()

    async def _ask(self, request: Request, within: float | None) -> Answer:
        if self._closing:
            raise LocalProtocolError("the client was closed")
        if self._given_up():
            raise ConnectionLostError(f"the object storage is away: {self._down_reason}")
        seconds = self._settings.request_timeout if within is None else within
        number = self._session.submit(request)
        self._waiters[number] = asyncio.get_running_loop().create_future()
        self._unsent.append(number)
        self._work.set()
        try:
            async with asyncio.timeout(seconds):
                return await self._waiters[number]
        except TimeoutError:
            raise ObjectTimeoutError(request.object_id, seconds) from None
        finally:
            del self._waiters[number]
            self._session.forget(number)

    def _on_message(self, message: bytes) -> None:
        answer = self._session.receive(message)
        if answer is None:
            return
        self._answered = True
        waiter = self._waiters.get(answer.number)
        if isinstance(answer, TooLarge):
            error = ObjectTooLargeError(answer.object_id, answer.size, self._settings.max_object)
            if waiter is not None and not waiter.done():
                waiter.set_exception(error)
            raise RemoteProtocolError(str(error))
        if waiter is not None and not waiter.done():
            waiter.set_result(answer)

    # --- the coroutine that owns the connection ---

    async def _keep_connected(self) -> None:
        failures = 0
        while True:
            self._answered = False
            try:
                await self._serve()
            except ConnectionLostError as error:
                self._down_reason = str(error)
                if isinstance(error, TlsError) and not self.connections:
                    self._refused = error  # trying again does not help, and somebody is waiting for the first one
                    self._up.set()
                    return
            failures = 1 if self._answered else failures + 1
            if self._closing:
                return
            if self._given_up():
                self._fail_all(f"the object storage is away: {self._down_reason}")
            await asyncio.sleep(self._settings.backoff.delay(failures))

    async def _serve(self) -> None:
        """Connect once and write requests until the connection is lost, which raises."""
        settings = self._settings
        self._session.restart()
        identity = self._identity + b"|%d" % (self.connections + 1)
        loop = asyncio.get_running_loop()
        self._down_since = loop.time() if self._down_since is None else self._down_since
        stream, greeting = await open_stream(
            self._endpoint, identity, self._on_message, settings.max_object, self._attempt_time(), settings.tls
        )
        self._dialect, self._down_since, self._stream = greeting.dialect, None, stream
        self.connections += 1
        self._unsent = deque(self._session.outstanding)
        self._up.set()
        stream.lost.add_done_callback(lambda _: self._work.set())
        try:
            await self._write_requests(stream)
        finally:
            self._stream = None
            self._up.clear()
            self._down_since = loop.time()
            stream.abort("closed")

    def _attempt_time(self) -> float:
        """Return how long one attempt may take, so that giving up is noticed in time, and the first failure told."""
        return min(self._settings.connect_timeout / 2, self._settings.give_up_after)

    async def _write_requests(self, stream: YmqStream) -> None:
        while not stream.lost.done():
            while self._unsent:
                for parts in self._session.messages(self._unsent.popleft()):
                    await stream.send_parts(parts, self._settings.piece)
            self._work.clear()
            if not self._unsent and not stream.lost.done():
                await self._work.wait()
        raise ConnectionLostError(stream.lost.result())

    def _given_up(self) -> bool:
        if self._down_since is None:
            return False
        return asyncio.get_running_loop().time() - self._down_since >= self._settings.give_up_after

    def _fail_all(self, reason: str) -> None:
        for waiter in self._waiters.values():
            if not waiter.done():
                waiter.set_exception(ConnectionLostError(reason))
