"""Finding out how a scheduler wants to be spoken to, by listening to its first bytes.

Both transports greet a new connection without waiting: YMQ with its three letters and a version, ZMQ with the byte FF.
Listening also finds which of a name's addresses answers, and whether anybody does.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from .addresses import Endpoint
from .backoff import Backoff
from .envelope import Dialect
from .errors import ConnectionLostError, RemoteProtocolError
from .framing import MAGIC
from .settings import TransportKind


@dataclass(frozen=True, slots=True)
class Finding:
    """Who answers at an address: the numeric address, and what is spoken there; the dialect where that shows."""

    endpoint: Endpoint
    transport: TransportKind
    dialect: Dialect | None


def classify(first: bytes) -> tuple[TransportKind, Dialect | None]:
    """Read the first four bytes of a greeting.

    Raises:
        RemoteProtocolError: they are of neither transport.
    """
    if first[:1] == b"\xff":
        return TransportKind.ZMQ, None
    if first[:3] == MAGIC:
        try:
            return TransportKind.YMQ, Dialect(first[3])
        except ValueError:
            raise RemoteProtocolError(f"version {first[3]} of YMQ is not known here") from None
    raise RemoteProtocolError(f"the peer greets with {first!r}, which is neither ZMQ nor YMQ")


async def probe(endpoint: Endpoint, within: float, backoff: Backoff) -> Finding:
    """Listen to who answers at `endpoint`, trying again until somebody does.

    Raises:
        ConnectionLostError: nobody answered within so many seconds.
        RemoteProtocolError: whoever answers is no scheduler.
    """
    attempt, reason = 0, "no answer"
    try:
        async with asyncio.timeout(within):
            while True:
                try:
                    return await _listen(endpoint)
                except (OSError, EOFError) as error:
                    attempt, reason = attempt + 1, str(error)
                await asyncio.sleep(backoff.delay(attempt))
    except TimeoutError:
        raise ConnectionLostError(f"{endpoint} did not answer within {within:g} s: {reason}") from None


async def _listen(endpoint: Endpoint) -> Finding:
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    try:
        transport, dialect = classify(await reader.readexactly(4))
        host, port, *_ = writer.get_extra_info("peername")
        return Finding(Endpoint(host, port), transport, dialect)
    finally:
        writer.close()
