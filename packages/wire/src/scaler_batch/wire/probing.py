"""Finding out how a scheduler wants to be spoken to, by listening to its first bytes.

Both transports greet a new connection without waiting: YMQ with its three letters and a version, ZMQ with the byte FF.
Listening also finds which of a name's addresses answers, and whether anybody does. Through TLS and WebSocket there is
only YMQ.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from .addresses import Endpoint, Scheme
from .backoff import Backoff
from .envelope import Dialect
from .errors import ConnectionLostError, RemoteProtocolError, TlsError
from .framing import MAGIC
from .settings import TransportKind
from .stream import hear_greeting, silence
from .tls import DEFAULT_TLS, TlsSettings


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


async def probe(endpoint: Endpoint, within: float, backoff: Backoff, tls: TlsSettings = DEFAULT_TLS) -> Finding:
    """Listen to who answers at `endpoint`, trying again until somebody does.

    Raises:
        TlsError: the two ends cannot agree on TLS, or a file that it needs cannot be used.
        ConnectionLostError: nobody answered within so many seconds.
        RemoteProtocolError: whoever answers is no scheduler.
    """
    now = asyncio.get_running_loop().time
    deadline, attempts = now() + within, 0
    while True:
        try:
            return await _attempt(endpoint, deadline - now(), tls)
        except TlsError:
            raise
        except (OSError, EOFError, ConnectionLostError) as error:
            if isinstance(error.__cause__, RemoteProtocolError):
                raise RemoteProtocolError(str(error)) from error
            reason, attempts = str(error), attempts + 1
        pause = backoff.delay(attempts)
        if now() + pause >= deadline:
            raise ConnectionLostError(f"{endpoint} did not answer within {within:g} s: {reason}")
        await asyncio.sleep(pause)


async def _attempt(endpoint: Endpoint, within: float, tls: TlsSettings) -> Finding:
    if endpoint.scheme is Scheme.TCP:
        return await _listen(endpoint, within)
    greeting = await hear_greeting(endpoint, within, tls)
    return Finding(endpoint, TransportKind.YMQ, greeting.dialect)


async def _listen(endpoint: Endpoint, within: float) -> Finding:
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(within):
            reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
            transport, dialect = classify(await reader.readexactly(4))
            host, port, *_ = writer.get_extra_info("peername")
            return Finding(Endpoint(host, port), transport, dialect)
    except TimeoutError:
        raise ConnectionLostError(silence(endpoint, connected=writer is not None)) from None
    finally:
        if writer is not None:
            writer.close()
