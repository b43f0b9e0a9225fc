"""An object storage in memory that answers as the real one does, and can be made to misbehave."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from ..envelope import Dialect
from ..messages import ObjectStorageAddress
from ..storage import AnswerKind, Header, RequestKind, decode_source
from .ymq_server import YmqServer

_Messages = tuple[Sequence[bytes], ...]


class MemoryObjectStorage:
    """Keeps objects; a request for one that is not there waits until it is.

    Args:
        dialect: the version shown in the greeting.

    Attributes:
        objects: what is kept, by id; use `set` to add to it where somebody may be waiting.
        requests: every request received, in order.
    """

    def __init__(self, dialect: Dialect = Dialect.NEW) -> None:
        self.objects: dict[bytes, bytes] = {}
        self.requests: list[tuple[RequestKind, bytes]] = []
        self.server = YmqServer(b"ObjectStorageServer", self._on_message, dialect)
        self._announced: dict[bytes, Header] = {}
        self._waiting: dict[bytes, list[tuple[bytes, Header]]] = {}
        self._held: list[tuple[bytes, _Messages]] | None = None
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Start to listen."""
        await self.server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        await self.server.stop()

    @property
    def address(self) -> ObjectStorageAddress:
        """Where it listens."""
        return ObjectStorageAddress(self.server.host, self.server.port, "tcp")

    def set(self, object_id: bytes, content: bytes) -> None:
        """Keep an object and answer whoever waits for it."""
        self.objects[object_id] = content
        for peer, header in self._waiting.pop(object_id, []):
            if header.kind == RequestKind.GET:
                self._answer_get(peer, header, content)
            else:
                self._answer_duplicate(peer, header, content)

    async def restart(self) -> None:
        """Go away and come back on the same port, with nothing left of what was kept."""
        await self.server.stop()
        self.objects.clear()
        self._announced.clear()
        self._waiting.clear()
        await self.server.start()

    def drop_connections(self) -> None:
        """Drop every connection at once; what is kept stays."""
        self._announced.clear()
        self.server.drop_connections()

    async def asked(self, number: int) -> None:
        """Wait until so many requests have come since the beginning."""
        while len(self.requests) < number:
            self._news.clear()
            await self._news.wait()

    def hold(self) -> None:
        """Keep answers back until `release`."""
        self._held = []

    def release(self, *, backwards: bool = False) -> None:
        """Send the answers that were kept back, the last one first if so wished."""
        held, self._held = self._held or [], None
        for peer, messages in reversed(held) if backwards else held:
            self.server.send(peer, *messages)

    def _on_message(self, peer: bytes, message: bytes) -> None:
        header = self._announced.pop(peer, None)
        if header is None:
            header = Header.decode(message)
            if header.kind in (RequestKind.SET, RequestKind.DUPLICATE):
                self._announced[peer] = header
                return
            message = b""
        self.requests.append((RequestKind(header.kind), header.object_id))
        self._news.set()
        self._handle(peer, header, message)

    def _handle(self, peer: bytes, header: Header, payload: bytes) -> None:
        match RequestKind(header.kind):
            case RequestKind.SET:
                self.set(header.object_id, payload)
                self._answer(peer, header, AnswerKind.SET)
            case RequestKind.GET:
                self._when_there(peer, header, header.object_id)
            case RequestKind.DUPLICATE:
                self._when_there(peer, header, decode_source(payload))
            case RequestKind.DELETE:
                there = self.objects.pop(header.object_id, None) is not None
                self._answer(peer, header, AnswerKind.DELETED if there else AnswerKind.NOT_THERE)
            case RequestKind.INFO:
                self._answer(peer, header, AnswerKind.INFO, self._figures())

    def _when_there(self, peer: bytes, header: Header, wanted: bytes) -> None:
        self._waiting.setdefault(wanted, []).append((peer, header))
        if wanted in self.objects:
            self.set(wanted, self.objects[wanted])

    def _answer_get(self, peer: bytes, header: Header, content: bytes) -> None:
        self._answer(peer, header, AnswerKind.GOT, content[: header.length])

    def _answer_duplicate(self, peer: bytes, header: Header, content: bytes) -> None:
        self.set(header.object_id, content)
        self._answer(peer, header, AnswerKind.DUPLICATED)

    def _answer(self, peer: bytes, request: Header, kind: AnswerKind, payload: bytes = b"") -> None:
        header = Header(len(payload), request.number, kind, request.object_id).encode()
        messages: _Messages = ((header,), (payload,)) if payload else ((header,),)
        if self._held is None:
            self.server.send(peer, *messages)
        else:
            self._held.append((peer, messages))

    def _figures(self) -> bytes:
        contents = self.objects.values()
        waiting = sum(map(len, self._waiting.values()))
        figures = (len(contents), len(set(contents)), sum(map(len, contents)), waiting, len(self._waiting), 0)
        return struct.pack("<6Q", *figures)
