"""Addresses as text: ``scheme://host:port``, the host being a name, an IPv4 address or an IPv6 address in brackets.

The scheme says what lies between YMQ and the network: nothing (``tcp``), TLS (``tls``), WebSocket (``ws``), or both
(``wss``). Only the last three name their transport; at a ``tcp`` address either YMQ or ZMQ may be spoken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from urllib.parse import urlsplit

from .errors import AddressError
from .messages import ObjectStorageAddress

ADDRESS_FORMS = "tcp://HOST:PORT, tls://HOST:PORT, ws://HOST:PORT or wss://HOST:PORT"
"""The addresses that are understood."""

_HTTP_HOST = re.compile(r"[!-~]+")
_HTTP_PATH = re.compile(r"/[!-~]*|")


class Scheme(Enum):
    """What lies between YMQ and the network."""

    TCP = "tcp"
    TLS = "tls"
    WS = "ws"
    WSS = "wss"

    @property
    def is_encrypted(self) -> bool:
        """Whether TLS protects what is sent."""
        return self in (Scheme.TLS, Scheme.WSS)

    @property
    def is_websocket(self) -> bool:
        """Whether bytes travel in WebSocket frames."""
        return self in (Scheme.WS, Scheme.WSS)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect to, and how; the path is that of a WebSocket's HTTP request."""

    host: str
    port: int
    scheme: Scheme = Scheme.TCP
    path: str = "/"

    def __str__(self) -> str:
        """Return the address as text."""
        return f"{self.scheme.value}://{self.authority}{self.path if self.path != '/' else ''}"

    @property
    def authority(self) -> str:
        """Host and port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_private(self) -> bool:
        """Whether nobody on a network can read along: it is encrypted, or does not leave this machine."""
        return self.scheme.is_encrypted or _is_loopback(self.host)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def parse(address: str) -> Endpoint:
    """Read an address.

    Raises:
        AddressError: it has none of the forms that are understood.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise AddressError(f"{address!r} is not a valid address: {error}") from error
    scheme = _scheme(parts.scheme)
    if scheme is None or not host or not port or parts.query or parts.fragment or parts.username is not None:
        raise AddressError(f"{address!r} is not a valid address; use {ADDRESS_FORMS}")
    if scheme.is_websocket:
        if not _HTTP_HOST.fullmatch(host) or not _HTTP_PATH.fullmatch(parts.path):
            raise AddressError(f"{address!r} is not a valid address: its host or path has characters HTTP cannot carry")
        return Endpoint(host, port, scheme, parts.path or "/")
    if parts.path:
        raise AddressError(f"{address!r} is not a valid address: only ws:// and wss:// addresses have a path")
    return Endpoint(host, port, scheme)


def _scheme(text: str) -> Scheme | None:
    return next((scheme for scheme in Scheme if scheme.value == text), None)


def endpoint_of(address: ObjectStorageAddress | str) -> Endpoint:
    """Return where an object storage is to be connected to.

    Raises:
        AddressError: the address is incomplete, or has a scheme that is not understood.
    """
    if isinstance(address, str):
        return parse(address)
    scheme = _scheme(address.scheme or "tcp")  # releases before 2.2.0 send none
    if scheme is None:
        raise AddressError(f"the object storage is to be reached by {address.scheme!r}, which is not spoken here")
    if not address.host or not address.port:
        raise AddressError(f"the address of the object storage is incomplete: {address}")
    host = address.host.strip("[]")
    if scheme.is_websocket and not _HTTP_HOST.fullmatch(host):
        raise AddressError(f"the address of the object storage has a host that HTTP cannot carry: {address}")
    return Endpoint(host, address.port, scheme)
