"""What the engine asks of the world around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .fleet import Instance
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
        execution_role: ARN of the role that fetches them; None where the definition names none.
    """

    attempt: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: LogStream
    secrets: Mapping[str, str] = field(default_factory=dict)
    execution_role: str | None = None
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


@dataclass(frozen=True, slots=True)
class StartInstance:
    """An instance was started. It is not connected yet."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class ConnectInstance:
    """An instance has joined the cluster of its environment."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class StopInstance:
    """An instance is gone."""

    instance: Instance


Effect = StartInstance | ConnectInstance | StopInstance | StartProcess | StopProcess | SignalProcess | ForgetLogs
