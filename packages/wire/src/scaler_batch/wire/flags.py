"""Two small records that travel inside messages as plain bytes, big-endian unlike everything around them.

A task carries its flags (6 bytes, or none for the defaults); a result carries its profile (16 bytes).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from .errors import LocalProtocolError, RemoteProtocolError

_FLAGS = struct.Struct(">?i?")
_PROFILE = struct.Struct(">fQf")


@dataclass(frozen=True, slots=True)
class TaskFlags:
    """What the client wants of the running of a task.

    Attributes:
        profiling: the client wants a profile. True when a task carries no flags at all.
        priority: higher runs first; a task sent from within a task has its parent's priority plus one.
        stream_output: what the task prints is to be sent while it runs.
    """

    profiling: bool = True
    priority: int = 0
    stream_output: bool = False

    @classmethod
    def decode(cls, metadata: bytes) -> TaskFlags:
        """Read the flags of a task.

        Raises:
            RemoteProtocolError: `metadata` has a length other than 0 or 6.
        """
        if not metadata:
            return cls()
        if len(metadata) != _FLAGS.size:
            raise RemoteProtocolError(f"task flags are {_FLAGS.size} bytes, not {len(metadata)}")
        return cls(*_FLAGS.unpack(metadata))

    def encode(self) -> bytes:
        """Return the 6 bytes that a task carries.

        Raises:
            LocalProtocolError: the priority does not fit into 32 bits.
        """
        try:
            return _FLAGS.pack(self.profiling, self.priority, self.stream_output)
        except struct.error as error:
            raise LocalProtocolError(f"priority {self.priority} does not fit into 32 bits") from error


@dataclass(frozen=True, slots=True)
class Profile:
    """What the running of a task took.

    Attributes:
        duration: seconds from start to end.
        memory_peak: the most memory in use above what was in use at the start, in bytes.
        cpu: processor time, in seconds.
    """

    duration: float = 0.0
    memory_peak: int = 0
    cpu: float = 0.0

    @classmethod
    def decode(cls, metadata: bytes) -> Profile:
        """Read the profile of a result.

        Raises:
            RemoteProtocolError: `metadata` is not 16 bytes long.
        """
        if len(metadata) != _PROFILE.size:
            raise RemoteProtocolError(f"a profile is {_PROFILE.size} bytes, not {len(metadata)}")
        return cls(*_PROFILE.unpack(metadata))

    def encode(self) -> bytes:
        """Return the 16 bytes that a result carries.

        Raises:
            LocalProtocolError: a number cannot be expressed.
        """
        if not (math.isfinite(self.duration) and math.isfinite(self.cpu)):
            raise LocalProtocolError(f"a profile holds finite times only: {self}")
        try:
            return _PROFILE.pack(self.duration, self.memory_peak, self.cpu)
        except (struct.error, OverflowError) as error:
            raise LocalProtocolError(f"a number of the profile does not fit: {self}") from error
