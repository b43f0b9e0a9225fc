"""What the engine asks of the world around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .vocabulary import Scope


@dataclass(frozen=True, slots=True)
class LogStream:
    """Where an attempt's output goes."""

    scope: Scope
    group: str
    name: str


@dataclass(frozen=True, slots=True)
class StartProcess:
    """Run this command; report when it has started, what it says, and how it ended."""

    attempt: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: LogStream


@dataclass(frozen=True, slots=True)
class StopProcess:
    """Ask a process to end, or make it end."""

    attempt: str
    force: bool


@dataclass(frozen=True, slots=True)
class ForgetLogs:
    """A job is no longer remembered, so its output need not be either."""

    streams: tuple[LogStream, ...]


Effect = StartProcess | StopProcess | ForgetLogs
