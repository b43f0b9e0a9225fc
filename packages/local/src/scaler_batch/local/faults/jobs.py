"""Faults of jobs: of the hosts that they run on, of their starts, and of their wait for a machine."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from ..batch.texts import START_ERRORS
from .base import Fault, require


@dataclass(frozen=True)
class HostFault(Fault):
    """A fault that strikes once, when ``after`` has passed. ``share`` and ``count`` are about running attempts.

    Attributes:
        jobs: Which jobs, by name.
    """

    jobs: str = "*"

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        require(self.span is None, "this fault is over in a moment: it has no span")


@dataclass(frozen=True)
class Reclaim(HostFault):
    """The host is taken away: SIGTERM, SIGKILL after the notice; the reason is ``Host EC2 (instance …) terminated.``.

    Attributes:
        notice: Seconds from SIGTERM to SIGKILL; None for what the server's settings say of other stops.
    """

    notice: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        require(self.notice is None or self.notice >= 0, "notice must not be negative")


@dataclass(frozen=True)
class Kill(HostFault):
    """The processes of jobs get a signal from nowhere.

    Attributes:
        number: Which one.
    """

    number: int = int(signal.SIGKILL)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        require(self.number in set(signal.Signals), "number must be that of a signal")


@dataclass(frozen=True)
class JobFault(Fault):
    """A fault on a job's way to its container.

    Attributes:
        jobs: Which jobs, by name.
    """

    jobs: str = "*"


@dataclass(frozen=True)
class HoldRunnable(JobFault):
    """Jobs stay RUNNABLE while the fault lasts, and then go on. ``share`` and ``count`` are about jobs.

    Jobs behind them in the queue are not held up; on AWS those wait as well.

    Attributes:
        reason: The status reason that they show: any text, empty for none. A code of AWS's that stands alone, such as
            ``CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY``, is completed to AWS's whole sentence.
    """

    reason: str = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"


@dataclass(frozen=True)
class FailStart(JobFault):
    """Attempts end because ECS could not start or inspect the container. ``share`` and ``count`` are about attempts.

    Attributes:
        error: ECS's name for it, such as ``CannotPullContainerError``.
        message: The text after the name; None for one that fits.
        ran: Whether the command runs to its end first, and only its exit code is lost.
        fargate: As on Fargate, where the error stands in the status reason and not in the container's reason.
    """

    error: str = "CannotPullContainerError"
    message: str | None = None
    ran: bool = False
    fargate: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        require(self.error in START_ERRORS, f"error must be one of {', '.join(START_ERRORS)}")
