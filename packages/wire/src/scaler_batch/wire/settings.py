"""What can be set on the two links. Durations are in seconds, sizes in bytes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .backoff import Backoff
from .tls import DEFAULT_TLS, TlsSettings

MIB = 1024 * 1024
_BACKOFF = Backoff()


class TransportKind(Enum):
    """How the scheduler link travels; the whole cluster uses the same."""

    AUTO = "auto"
    """Look at what the scheduler greets with, and do likewise."""
    ZMQ = "zmq"
    YMQ = "ymq"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """The scheduler link.

    Attributes:
        transport: how it travels.
        heartbeat_interval: from one heartbeat to the next, provided the answer to the last one has come.
        echo_patience: a heartbeat that was not answered for so long is taken for lost, and another one is sent. Must be
            well below the scheduler's worker timeout (60 s by default).
        silence_limit: after so long without an answer the scheduler is reported silent.
        connect_timeout: how long entering waits for the name to resolve and for the first connection.
        goodbye_grace: how long leaving waits for what was sent to be gone.
        max_message: longer messages are refused.
        io_threads: threads in which ZeroMQ serves the link; over YMQ the event loop does, and none is needed.
        backoff: the delays between attempts to connect.
        tls: what TLS takes, where the address asks for it.
    """

    transport: TransportKind = TransportKind.AUTO
    heartbeat_interval: float = 2.0
    echo_patience: float = 10.0
    silence_limit: float = 300.0
    connect_timeout: float = 30.0
    goodbye_grace: float = 2.0
    max_message: int = 64 * MIB
    io_threads: int = 1
    backoff: Backoff = _BACKOFF
    tls: TlsSettings = DEFAULT_TLS


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSettings:
    """The link to the object storage.

    Attributes:
        connect_timeout: how long entering waits for the first connection.
        request_timeout: what requests that are given no time of their own may take.
        give_up_after: requests fail once there has been no connection for so long; until then they wait for the next.
        close_grace: how long closing waits for what was sent to be gone.
        max_object: larger objects are refused when they are announced, which costs the connection.
        piece: objects are handed to the operating system in pieces of this size, so that a large one is not copied as a
            whole on its way.
        backoff: the delays between attempts to connect.
        tls: what TLS takes, where the address asks for it.
    """

    connect_timeout: float = 30.0
    request_timeout: float = 60.0
    give_up_after: float = 60.0
    close_grace: float = 2.0
    max_object: int = 4096 * MIB
    piece: int = 256 * 1024
    backoff: Backoff = _BACKOFF
    tls: TlsSettings = DEFAULT_TLS


DEFAULT_LINK = LinkSettings()
DEFAULT_STORAGE = StorageSettings()
