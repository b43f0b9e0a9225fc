"""What the engine asks of the world around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .vocabulary import NO_LIMITS, Limits, Scope


@dataclass(frozen=True, slots=True)
class LogStream:
    """Where an attempt's output goes."""

    scope: Scope
    group: str
    name: str


@dataclass(frozen=True, slots=True)
class StartProcess:
    """Run this command; report when it has started, what it says, and how it ended.

    Attributes:
        secrets: Variables of the environment that are to be fetched first, and where from.
    """

    attempt: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: LogStream
    secrets: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = NO_LIMITS


@dataclass(frozen=True, slots=True)
class StopProcess:
    """Ask a process to end, or make it end."""

    attempt: str
    force: bool


@dataclass(frozen=True, slots=True)
class SignalProcess:
    """Send a signal to a process that nobody wants to end."""

    attempt: str
    signal: int


@dataclass(frozen=True, slots=True)
class ForgetLogs:
    """A job is no longer remembered, so its output need not be either."""

    streams: tuple[LogStream, ...]


Effect = StartProcess | StopProcess | SignalProcess | ForgetLogs
