"""What the server and the job host say to each other: one JSON object a line, over a socket.

Order matters and the socket keeps it: a job's last output comes before its end.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Start:
    """To the host: run a command.

    ``container`` is what a container host must know besides; ``memory`` (bytes, 0 for no limit) and ``ulimits`` (name,
    soft and hard limit of each) are what a host of processes enforces.
    """

    attempt: str
    command: list[str]
    environment: dict[str, str]
    container: dict[str, Any] = field(default_factory=dict)
    memory: int = 0
    ulimits: list[list[Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Stop:
    """To the host: send a signal to all processes of an attempt."""

    attempt: str
    signal: int


@dataclass(frozen=True)
class Ready:
    """From the host: it can run jobs. ``warm`` says whether it has the runner in memory, ``note`` why it has not."""

    pid: int
    root: str
    warm: bool
    note: str = ""


@dataclass(frozen=True)
class Started:
    """From the host: the process of an attempt exists."""

    attempt: str
    pid: int


@dataclass(frozen=True)
class Output:
    """From the host: lines that an attempt wrote, without their ends; ``at`` in seconds since 1970."""

    attempt: str
    at: float
    lines: list[str]


@dataclass(frozen=True)
class Ended:
    """From the host: an attempt's process has gone, and everything that it left running.

    ``out_of_memory`` says that it was killed because it had more memory than it may.
    """

    attempt: str
    exit_code: int
    cpu_seconds: float
    out_of_memory: bool = False


@dataclass(frozen=True)
class Refused:
    """From the host: there is no process, and why; ``reason`` is that in AWS's words where the host knows them."""

    attempt: str
    why: str
    reason: str = ""


Message = Start | Stop | Ready | Started | Output | Ended | Refused

_KINDS: dict[str, type[Message]] = {
    kind.__name__: kind for kind in (Start, Stop, Ready, Started, Output, Ended, Refused)
}


def encode(message: Message) -> bytes:
    """A message as its line."""
    return json.dumps([type(message).__name__, asdict(message)], separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Message:
    """The message that a line holds.

    Raises:
        ValueError: It holds none.
    """
    try:
        kind, fields = json.loads(line)
        return _KINDS[kind](**fields)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a message of the job host: {line[:80]!r}") from error
