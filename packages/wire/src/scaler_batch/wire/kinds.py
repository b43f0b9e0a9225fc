"""The choices that messages carry, by their numbers on the wire."""

from __future__ import annotations

from enum import IntEnum


class ArgumentKind(IntEnum):
    """What the data of an argument names."""

    TASK = 0
    OBJECT_ID = 1


class CancelOutcome(IntEnum):
    """What became of a wish to cancel a task."""

    CANCELED = 0
    FAILED = 1
    NOT_FOUND = 2


class ResultKind(IntEnum):
    """How a task ended."""

    SUCCESS = 0
    FAILED = 1
    FAILED_WORKER_DIED = 2


class LogStream(IntEnum):
    """Where a task printed to."""

    STDOUT = 0
    STDERR = 1


class InstructionKind(IntEnum):
    """What is to be done with objects."""

    CREATE = 0
    DELETE = 1
    CLEAR = 2


class ObjectKind(IntEnum):
    """What an object is."""

    SERIALIZER = 0
    OBJECT = 1


class DisconnectKind(IntEnum):
    """Why a client leaves; a worker sees only `SHUTDOWN`, which means that it is to stop."""

    DISCONNECT = 0
    SHUTDOWN = 1
