"""What can go wrong on the wire.

The class says who is to blame, so that a caller can decide without reading the text::

    WireError
    ├── LocalProtocolError     we asked for something the protocol does not allow
    ├── RemoteProtocolError    the peer sent something that is malformed or out of turn
    ├── ConnectionLostError    there is no link: it was never made, or was lost and did not come back
    │   └── TlsError           TLS cannot be had with the peer, or not with these files
    ├── AddressError           an address cannot be read or resolved
    ├── ObjectTimeoutError     the object storage did not answer within the time allowed
    └── ObjectTooLargeError    an object is larger than this client accepts
"""

from __future__ import annotations


class WireError(Exception):
    """The root of all errors of this package."""


class LocalProtocolError(WireError):
    """We asked for something the protocol does not allow; nothing was sent."""


class RemoteProtocolError(WireError):
    """The peer sent something that is malformed or out of turn; the text names what was wrong."""


class ConnectionLostError(WireError):
    """There is no link to the peer: it was never made, or was lost and did not come back in time."""


class TlsError(ConnectionLostError):
    """TLS cannot be had with the peer, or not with the files given.

    Trying again does not help; the text says what does.
    """


class AddressError(WireError):
    """An address cannot be read or resolved."""


class ObjectTimeoutError(WireError, TimeoutError):
    """The object storage did not answer within the time allowed.

    A missing object is no error at the storage: a request for it waits until somebody sets the object. So this is also
    what a request for an object that does not exist ends with.

    Attributes:
        object_id: the object asked for.
        seconds: the time allowed.
    """

    def __init__(self, object_id: bytes, seconds: float) -> None:
        super().__init__(f"no answer about object {object_id.hex()} within {seconds:g} s")
        self.object_id = object_id
        self.seconds = seconds


class ObjectTooLargeError(WireError):
    """An object is larger than this client accepts; it was refused when its size was announced.

    Attributes:
        object_id: the object asked for.
        size: its size, in bytes.
        limit: the largest size accepted, in bytes.
    """

    def __init__(self, object_id: bytes, size: int, limit: int) -> None:
        super().__init__(f"object {object_id.hex()} has {size} bytes; at most {limit} are accepted")
        self.object_id = object_id
        self.size = size
        self.limit = limit
