"""Exceptions that a Scaler client knows by name, written without importing them.

A failed task's object is a plain pickle of an exception. The three below are classes of the ``scaler`` package, which
every client has and no worker of ours needs: their pickle is short enough to write by hand.
"""

from __future__ import annotations

import struct
from enum import Enum

_MODULE = "scaler.utility.exceptions"
_PROTOCOL_4 = b"\x80\x04"
_STACK_GLOBAL, _TUPLE1, _REDUCE, _STOP = b"\x93", b"\x85", b"R", b"."


class ScalerException(Enum):
    """A class of Scaler's that a client raises."""

    PROCESSOR_DIED = "ProcessorDiedError"
    """The process that ran the task died."""
    DESERIALIZE_OBJECT = "DeserializeObjectError"
    """The function or an argument could not be read."""
    TASK_EXCEPTION_NOT_SERIALIZABLE = "TaskExceptionNotSerializableError"
    """The task raised something that cannot be sent; the text says what."""


def pickle_scaler_exception(kind: ScalerException, text: str) -> bytes:
    """Write the pickle of one of Scaler's exceptions.

    Args:
        kind: Which one.
        text: Its only argument.
    """
    constructor = _unicode(_MODULE) + _unicode(kind.value) + _STACK_GLOBAL
    return _PROTOCOL_4 + constructor + _unicode(text) + _TUPLE1 + _REDUCE + _STOP


def _unicode(text: str) -> bytes:
    encoded = text.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(encoded)) + encoded
