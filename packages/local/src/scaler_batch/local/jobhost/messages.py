"""What the server and the job host say to each other: one JSON object a line, over a socket.

Order matters and the socket keeps it: a job's last output comes before its end.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Start:
    """To the host: run a command."""

    attempt: str
    command: list[str]
    environment: dict[str, str]


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
    """From the host: an attempt's process has gone, and everything that it left running."""

    attempt: str
    exit_code: int
    cpu_seconds: float


@dataclass(frozen=True)
class Refused:
    """From the host: there is no process, for this reason."""

    attempt: str
    why: str


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
