"""YMQ: messages over a byte stream.

Each side sends a greeting as soon as the stream is open (three letters, a version byte, its identity), then any
number of messages, each behind its length. The framing is the same in every version; the version byte tells which
numbering of messages the peer speaks (`envelope.Dialect`), and a peer drops whoever greets it with another version.
The accepting side greets without waiting, so the connecting side can answer with the version it was shown.

`FrameDecoder` turns what is received, cut anywhere, into a `Greeting` followed by messages. What has come of a message
is written to its place at once, and the whole is handed out as it lies, so that a large message is never there twice.
What is held is an eighth more than what has come at most, whatever length was announced, and lengths above
`max_message` are refused when they are announced.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .envelope import Dialect
from .errors import LocalProtocolError, RemoteProtocolError

MAGIC = b"YMQ"
MAX_IDENTITY = 1024
"""Bytes; the identities in use are under 100."""

_HEAD = struct.Struct("<3sBQ")
_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class Greeting:
    """How a peer introduces itself; the dialect stands for the version byte."""

    dialect: Dialect
    identity: bytes

    def encode(self) -> bytes:
        """Return the bytes that open a stream.

        Raises:
            LocalProtocolError: the identity is too long, or is not the UTF-8 text that peers expect.
        """
        check_identity(self.identity)
        return _HEAD.pack(MAGIC, self.dialect.value, len(self.identity)) + self.identity


def check_identity(identity: bytes) -> None:
    """Refuse an identity that a peer could not take.

    Raises:
        LocalProtocolError: it is empty, too long, or not UTF-8.
    """
    if not 0 < len(identity) <= MAX_IDENTITY:
        raise LocalProtocolError(f"an identity has 1 to {MAX_IDENTITY} bytes, not {len(identity)}")
    try:
        identity.decode()
    except UnicodeDecodeError as error:
        raise LocalProtocolError("an identity is UTF-8 text") from error


def prefix(length: int) -> bytes:
    """Return what goes ahead of a message of so many bytes."""
    return _LENGTH.pack(length)


class FrameDecoder:
    """Turns the bytes of one stream into a greeting and messages.

    Args:
        max_message: the longest message that is accepted, in bytes.
    """

    def __init__(self, max_message: int) -> None:
        self._max_message = max_message
        self._held = io.BytesIO()
        self._missing = _HEAD.size
        self._complete: Callable[[bytes], Greeting | bytes | None] = self._on_head
        self._dialect = Dialect.NEW

    def feed(self, data: bytes) -> Iterator[Greeting | bytes]:
        """Take what was received and yield what is complete by it; must be iterated to its end.

        Raises:
            RemoteProtocolError: the peer does not speak YMQ, or announces too much; the stream cannot be used further.
                What came before that has been yielded by then.
        """
        rest = memoryview(data)
        while len(rest) >= self._missing:
            piece, rest = rest[: self._missing], rest[self._missing :]
            found = self._complete(self._whole(piece))
            if found is not None:
                yield found
        self._missing -= self._held.write(rest)

    def _whole(self, last: memoryview) -> bytes:
        """Put the last piece of what is expected to the others, and hand all of it out."""
        if not self._held.tell():
            return bytes(last)
        self._held.write(last)
        # Not a copy: the buffer itself changes hands, and a new one takes its place.
        whole, self._held = self._held.getvalue(), io.BytesIO()
        return whole

    def _on_head(self, head: bytes) -> None:
        magic, version, length = _HEAD.unpack(head)
        if magic != MAGIC:
            raise RemoteProtocolError(f"the peer does not speak YMQ: it greets with {head[:4]!r}")
        try:
            self._dialect = Dialect(version)
        except ValueError:
            raise RemoteProtocolError(f"the peer speaks version {version} of YMQ, which is not known here") from None
        if length > MAX_IDENTITY:
            raise RemoteProtocolError(f"the peer announces an identity of {length} bytes")
        self._expect(length, self._on_identity)

    def _on_identity(self, identity: bytes) -> Greeting:
        self._expect(_LENGTH.size, self._on_length)
        return Greeting(self._dialect, identity)

    def _on_length(self, raw: bytes) -> None:
        length = _LENGTH.unpack(raw)[0]
        if length > self._max_message:
            raise RemoteProtocolError(f"the peer announces {length} bytes; at most {self._max_message} are accepted")
        self._expect(length, self._on_message)

    def _on_message(self, message: bytes) -> bytes:
        self._expect(_LENGTH.size, self._on_length)
        return message

    def _expect(self, length: int, complete: Callable[[bytes], Greeting | bytes | None]) -> None:
        self._missing, self._complete = length, complete
