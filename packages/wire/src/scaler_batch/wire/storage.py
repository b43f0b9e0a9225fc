"""The conversation with an object storage, without sockets and without a clock.

Requests carry numbers, answers repeat them. A request is one message, a header of 80 bytes, followed by one with the
payload where the kind of request has one (even when it is empty). An answer is a header, followed by its payload unless
that is empty. Answers come in any order, because a request for an object that is not there waits until it is.

`StorageSession` keeps the requests until they are answered or forgotten, so that they can be made again on another
connection: all of them have the same effect when they are made twice. Whoever forgets a request may still see its
answer pass by; that is dropped. An answer to a request never made, or of another kind than was asked for, is an error.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from .errors import LocalProtocolError, RemoteProtocolError
from .identifiers import OBJECT_ID_LENGTH

Buffer = bytes | bytearray | memoryview

ANY_LENGTH = (1 << 64) - 1
"""The limit of a request for the whole of an object."""
HEADER_LENGTH = 80

_HEADER = struct.Struct("<IIIHHQQH6xIHH4Q")
_HEADER_SHAPE = (0, 9, 0, 3, 1)
_ID_SHAPE = (0, 4, 0)
_DUPLICATE = struct.Struct("<IIIHH4Q")
_DUPLICATE_SHAPE = (0, 5, 0, 4, 0)
_ID = struct.Struct(">4Q")
_NO_OBJECT = bytes(OBJECT_ID_LENGTH)


class RequestKind(IntEnum):
    """What a request wants."""

    SET = 0
    GET = 1
    DELETE = 2
    DUPLICATE = 3
    INFO = 4


class AnswerKind(IntEnum):
    """What an answer says."""

    SET = 0
    GOT = 1
    DELETED = 2
    NOT_THERE = 3
    DUPLICATED = 4
    INFO = 5


_EXPECTED = {
    RequestKind.SET: (AnswerKind.SET,),
    RequestKind.GET: (AnswerKind.GOT,),
    RequestKind.DELETE: (AnswerKind.DELETED, AnswerKind.NOT_THERE),
    RequestKind.DUPLICATE: (AnswerKind.DUPLICATED,),
    RequestKind.INFO: (AnswerKind.INFO,),
}


@dataclass(frozen=True, slots=True)
class Header:
    """What goes ahead of each request and each answer; `kind` is a `RequestKind` or an `AnswerKind`."""

    length: int
    number: int
    kind: int
    object_id: bytes

    def encode(self) -> bytes:
        """Return the 80 bytes."""
        groups = _ID.unpack(self.object_id)
        return _HEADER.pack(*_HEADER_SHAPE, self.length, self.number, self.kind, *_ID_SHAPE, *groups)

    @classmethod
    def decode(cls, message: bytes) -> Header:
        """Read a header.

        Raises:
            RemoteProtocolError: it is not 80 bytes long, or not made like a header.
        """
        if len(message) != HEADER_LENGTH:
            raise RemoteProtocolError(f"a storage header is {HEADER_LENGTH} bytes, not {len(message)}")
        fields = _HEADER.unpack(message)
        if fields[:5] != _HEADER_SHAPE or fields[8:11] != _ID_SHAPE:
            raise RemoteProtocolError("a storage header is not made like one")
        length, number, kind = fields[5:8]
        return cls(length, number, kind, _ID.pack(*fields[11:]))


@dataclass(frozen=True, slots=True)
class Request:
    """Something wanted of the storage.

    Attributes:
        kind: what is wanted.
        object_id: the object it is about; for a duplicate, the new one.
        parts: the content of a set, in parts that follow each other.
        limit: the most bytes that a get wants.
        source_id: the object that is to be duplicated.
    """

    kind: RequestKind
    object_id: bytes = _NO_OBJECT
    parts: tuple[Buffer, ...] = ()
    limit: int = ANY_LENGTH
    source_id: bytes = _NO_OBJECT

    def messages(self, number: int) -> list[Sequence[Buffer]]:
        """Return the messages that make up the request, each as parts that follow each other."""
        payload = self._payload()
        length = self.limit if self.kind is RequestKind.GET else sum(memoryview(part).nbytes for part in payload or ())
        header = Header(length, number, self.kind, self.object_id).encode()
        return [(header,)] if payload is None else [(header,), payload]

    def _payload(self) -> Sequence[Buffer] | None:
        if self.kind is RequestKind.SET:
            return self.parts
        if self.kind is RequestKind.DUPLICATE:
            return (encode_source(self.source_id),)
        return None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the storage said to a request."""

    number: int
    kind: AnswerKind
    payload: bytes


@dataclass(frozen=True, slots=True)
class TooLarge:
    """The storage announced an answer that is larger than accepted; the request is over, and so is the connection."""

    number: int
    object_id: bytes
    size: int


def encode_source(source_id: bytes) -> bytes:
    """Return the payload of a request to duplicate `source_id`."""
    return _DUPLICATE.pack(*_DUPLICATE_SHAPE, *_ID.unpack(source_id))


def decode_source(payload: bytes) -> bytes:
    """Read the payload of a request to duplicate.

    Raises:
        RemoteProtocolError: it is not made like one.
    """
    if len(payload) != _DUPLICATE.size:
        raise RemoteProtocolError(f"the source of a duplicate is {_DUPLICATE.size} bytes, not {len(payload)}")
    fields = _DUPLICATE.unpack(payload)
    if fields[:5] != _DUPLICATE_SHAPE:
        raise RemoteProtocolError("the source of a duplicate is not made like one")
    return _ID.pack(*fields[5:])


class StorageSession:
    """The requests under way on one link to an object storage, in the order in which they were made.

    Args:
        max_object: the largest answer that is accepted, in bytes.
    """

    def __init__(self, max_object: int = ANY_LENGTH) -> None:
        self._max_object = max_object
        self._next = 1
        self._requests: dict[int, Request] = {}
        self._header: Header | None = None

    @property
    def outstanding(self) -> tuple[int, ...]:
        """The numbers of the requests that wait for an answer, oldest first."""
        return tuple(self._requests)

    def submit(self, request: Request) -> int:
        """Take a request and return its number.

        Raises:
            LocalProtocolError: an object id has a wrong length, or the limit cannot be expressed.
        """
        for object_id in (request.object_id, request.source_id):
            if len(object_id) != OBJECT_ID_LENGTH:
                raise LocalProtocolError(f"an object id is {OBJECT_ID_LENGTH} bytes, not {len(object_id)}")
        if not 0 <= request.limit <= ANY_LENGTH:
            raise LocalProtocolError(f"a limit of {request.limit} bytes cannot be expressed")
        number, self._next = self._next, self._next + 1
        self._requests[number] = request
        return number

    def messages(self, number: int) -> list[Sequence[Buffer]]:
        """Return the messages that make up a request, to be sent one after the other with nothing between them.

        Each is given as parts that follow each other. None are returned when the request was forgotten.
        """
        request = self._requests.get(number)
        return [] if request is None else request.messages(number)

    def forget(self, number: int) -> None:
        """Stop waiting for the answer to a request."""
        self._requests.pop(number, None)

    def restart(self) -> None:
        """Begin anew on another connection; half an answer from the last one is void."""
        self._header = None

    def receive(self, message: bytes) -> Answer | TooLarge | None:
        """Take a message and return the answer it completes, if somebody waits for it.

        After `TooLarge` the connection is of no more use, for the payload would follow.

        Raises:
            RemoteProtocolError: it is malformed or answers nothing that was asked; the connection is of no more use.
        """
        if self._header is None:
            header = Header.decode(message)
            self._check(header)
            if header.length > self._max_object:
                return self._refuse(header)
            if header.length:
                self._header = header
                return None
            return self._complete(header, b"")
        header, self._header = self._header, None
        if len(message) != header.length:
            raise RemoteProtocolError(f"a payload of {header.length} bytes was announced, {len(message)} came")
        return self._complete(header, message)

    def _check(self, header: Header) -> None:
        if not 0 < header.number < self._next:
            raise RemoteProtocolError(f"an answer to request {header.number}, which was never made")
        request = self._requests.get(header.number)
        if request is None:
            return
        if header.kind not in _EXPECTED[request.kind]:
            raise RemoteProtocolError(f"a request to {request.kind.name} is answered by kind {header.kind}")
        if request.kind is RequestKind.GET and header.length > request.limit:
            raise RemoteProtocolError(f"{request.limit} bytes at most were asked for, {header.length} are announced")

    def _refuse(self, header: Header) -> TooLarge:
        request = self._requests.pop(header.number, None)
        return TooLarge(header.number, request.object_id if request else header.object_id, header.length)

    def _complete(self, header: Header, payload: bytes) -> Answer | None:
        if self._requests.pop(header.number, None) is None:
            return None
        return Answer(header.number, AnswerKind(header.kind), payload)
