"""Which scheduler it is that listens at an address.

A scheduler that is started anew has the address of the one before it and none of its memory: it knows no task, and
neither do the clients wait for any. The protocol does not say so; but whoever connects is told the name of the process
that listens, before anything else is said, and that name is a new one at each start. So a second, short connection
tells a link that dropped from a scheduler that is gone.

Over YMQ the name stands in the greeting. Over ZMQ, which is spoken at ``tcp`` addresses only, it is a property of the
handshake, which is ZMTP 3 with the NULL mechanism: 64 bytes of greeting from each side, then a command READY with
properties.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from typing import Final

from scaler_batch.wire import ConnectionLostError, Endpoint, Scheme, TlsSettings, hear_greeting

PATIENCE: Final = 5.0
"""Seconds for the handshake."""

_LONGEST: Final = 64 * 1024
"""Bytes of a handshake at most; one has hundreds."""

_NO_FILES: Final = TlsSettings()

_GREETING: Final = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
_GREETING_REST: Final = len(_GREETING) - 4
_LONG, _COMMAND = 0x02, 0x04
_READY: Final = b"\x05READY"


async def incarnation_of(endpoint: Endpoint, tls: TlsSettings = _NO_FILES) -> bytes | None:
    """Return the name of the process that listens; ``None`` where nobody does, or it does not tell."""
    try:
        if endpoint.scheme is not Scheme.TCP:
            return (await hear_greeting(endpoint, PATIENCE, tls)).identity
        async with asyncio.timeout(PATIENCE):
            return await _ask(endpoint)
    except (OSError, EOFError, ValueError, ConnectionLostError):  # TimeoutError is an OSError
        return None


async def _ask(endpoint: Endpoint) -> bytes | None:
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    try:
        first = await reader.readexactly(4)
        if first[:3] == b"YMQ":
            (length,) = struct.unpack("<Q", await reader.readexactly(8))
            return await reader.readexactly(_bounded(length))
        writer.write(_GREETING)
        await reader.readexactly(_GREETING_REST)
        return identity_in(await _read_command(reader))
    finally:
        writer.close()


async def _read_command(reader: asyncio.StreamReader) -> bytes:
    (flags,) = await reader.readexactly(1)
    if not flags & _COMMAND:
        raise ValueError("not a command")
    size = await reader.readexactly(8 if flags & _LONG else 1)
    return await reader.readexactly(_bounded(int.from_bytes(size, "big")))


def identity_in(command: bytes) -> bytes | None:
    """Read the name in a READY command.

    Raises:
        ValueError: It is none.
    """
    if not command.startswith(_READY):
        raise ValueError("not a READY command")
    names = dict(_properties(command[len(_READY) :]))
    return names.get(b"identity") or None


def _properties(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        name, at = _piece(data, at + 1, data[at])
        value, at = _piece(data, at + 4, int.from_bytes(data[at : at + 4], "big"))
        yield name.lower(), value


def _piece(data: bytes, start: int, length: int) -> tuple[bytes, int]:
    if start + length > len(data):
        raise ValueError("a property that ends behind its command")
    return data[start : start + length], start + length


def _bounded(length: int) -> int:
    if length > _LONGEST:
        raise ValueError(f"a name of {length} bytes")
    return length
