"""Addresses as text: ``tcp://host:port``, the host being a name, an IPv4 address or an IPv6 address in brackets."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from .errors import AddressError
from .messages import ObjectStorageAddress


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect to."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return the address as text."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{self.port}"


def parse(address: str) -> Endpoint:
    """Read an address.

    Raises:
        AddressError: it is not of the form ``tcp://host:port``.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise AddressError(f"{address!r} is no address: {error}") from error
    if parts.scheme != "tcp":
        raise AddressError(f"{address!r} is no address of the form tcp://host:port; other schemes are not spoken here")
    if not host or not port or parts.path or parts.query or parts.fragment or parts.username is not None:
        raise AddressError(f"{address!r} is no address of the form tcp://host:port")
    return Endpoint(host, port)


def endpoint_of(address: ObjectStorageAddress | str) -> Endpoint:
    """Return where an object storage is to be connected to.

    Raises:
        AddressError: the address is incomplete, or is not a TCP address.
    """
    if isinstance(address, str):
        return parse(address)
    if address.scheme not in ("", "tcp"):  # releases before 2.2.0 send none
        raise AddressError(f"the object storage is to be reached by {address.scheme!r}, which is not spoken here")
    if not address.host or not address.port:
        raise AddressError(f"the address of the object storage is incomplete: {address}")
    return Endpoint(address.host.strip("[]"), address.port)
