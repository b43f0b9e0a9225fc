"""One message as one frame: the envelope that says what kind of message it holds, in both numberings.

The envelope is a struct of one word, whose first 16 bits tell the kind, and one pointer, to the message itself. The
first eleven kinds have had the same number since 2.1.10; the others were renumbered in 2.7.0. Which numbering a peer
speaks shows in the version byte of its greeting (`framing`), never in the messages.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from . import messages as m
from .capnp import WORD, Reader, put_struct
from .errors import LocalProtocolError, RemoteProtocolError
from .forms import Form
from .layout import Layout, record
from .schema import BODIES


class Dialect(Enum):
    """The two numberings of messages; the value is the version byte in the greeting of peers that speak it."""

    OLD = 1
    """Releases 2.1.10 to 2.6.0."""
    NEW = 2
    """Releases 2.7.0 to 2.9.0."""


_SHARED: Mapping[type[Any], int] = {
    m.Task: 0,
    m.TaskCancel: 1,
    m.TaskCancelConfirm: 2,
    m.TaskResult: 3,
    m.TaskLog: 4,
    m.ObjectInstruction: 6,
    m.WorkerHeartbeat: 9,
    m.WorkerHeartbeatEcho: 10,
}
_NUMBERS: Mapping[Dialect, Mapping[type[Any], int]] = {
    Dialect.NEW: {
        **_SHARED,
        m.ClientDisconnect: 18,
        m.WorkerManagerHeartbeat: 23,
        m.WorkerManagerHeartbeatEcho: 24,
        m.WorkerManagerCommand: 25,
        m.WorkerDisconnectNotification: 26,
    },
    Dialect.OLD: {
        **_SHARED,
        m.DisconnectRequest: 11,
        m.DisconnectResponse: 12,
        m.ClientDisconnect: 20,
        m.WorkerManagerHeartbeat: 25,
        m.WorkerManagerHeartbeatEcho: 26,
        m.WorkerManagerCommand: 27,
    },
}

_KIND = struct.Struct("<H")
_TABLE = struct.Struct("<II")
_BODY = 3 * WORD
"""Where the envelope's pointer lies: after the table of segments, the root pointer and the word with the kind."""


def _preamble(number: int) -> bytes:
    """Return what a message of one kind starts with: table of segments, root pointer, envelope with a null pointer."""
    return struct.pack("<IIIHHHxxxxxxQ", 0, 0, 0, 1, 1, number, 0)


Writer = tuple[bytes, Layout]
_LAYOUTS: Mapping[type[Any], Layout] = {layout.type: layout for layout in BODIES}
_FORMS: Mapping[type[Any], Form] = {layout.type: record(layout) for layout in BODIES}
_WRITERS: Mapping[Dialect, Mapping[type[Any], Writer]] = {
    dialect: {type_: (_preamble(number), _LAYOUTS[type_]) for type_, number in numbers.items()}
    for dialect, numbers in _NUMBERS.items()
}
_READERS: Mapping[Dialect, Mapping[int, Callable[[Reader, bytes, int], Any]]] = {
    dialect: {number: _FORMS[type_].read for type_, number in numbers.items()} for dialect, numbers in _NUMBERS.items()
}


def encode(message: m.Message, dialect: Dialect = Dialect.NEW) -> bytes:
    """Return the frame that carries `message`.

    Raises:
        LocalProtocolError: the dialect has no such message, or a value does not fit its field.
    """
    try:
        preamble, layout = _WRITERS[dialect][type(message)]
    except KeyError:
        raise LocalProtocolError(f"{type(message).__name__} is no message of the {dialect.name} releases") from None
    out = bytearray(preamble)
    try:
        layout.write(out, put_struct(out, _BODY, layout.data_words, layout.pointers), message)
    except struct.error as error:
        raise LocalProtocolError(f"{type(message).__name__}: a number does not fit its field: {error}") from error
    _TABLE.pack_into(out, 0, 0, len(out) // WORD - 1)
    return bytes(out)


def decode(frame: bytes, dialect: Dialect = Dialect.NEW) -> m.Message | m.Unknown:
    """Read a frame; a message of a kind not known here comes as `Unknown`.

    Raises:
        RemoteProtocolError: the frame is malformed; the text names what was wrong, and in which field.
    """
    reader = Reader(frame)
    root = reader.segments[0]
    if not root:
        raise RemoteProtocolError("a message has no root")
    envelope = reader.find_struct(root, 0)
    if envelope is None:
        raise RemoteProtocolError("the root of a message is null")
    segment, start, data_words, pointers = envelope
    number = _KIND.unpack_from(segment, start)[0] if data_words else 0
    read = _READERS[dialect].get(number)
    if read is None:
        return m.Unknown(number)
    if not pointers:
        raise RemoteProtocolError(f"an envelope of kind {number} has no body")
    message: m.Message = read(reader, segment, start + data_words * WORD)
    return message
