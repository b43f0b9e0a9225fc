"""The bad days that can be had, each as one frozen object.

::

    Fault                      how often and for how long
    ├── CallFault              strikes single calls to AWS
    │   ├── Throttle           refused: too many requests
    │   ├── RateLimit          the same, for calls above a rate
    │   ├── ServerError        a status of 500 or more
    │   ├── ExpiredToken       refused: credentials no longer hold
    │   ├── Slow               answered late
    │   ├── Drop               the connection is closed, nothing was done
    │   └── LoseResponse       the connection is closed, and yet it was done
    ├── SightFault             DescribeJobs and ListJobs are answered, but do not show how it is
    │   ├── Vanish             jobs are not found
    │   ├── Stale              jobs are shown as they were a while ago
    │   └── Duplicate          jobs are shown twice
    └── HostFault              strikes processes of jobs, once
        ├── Reclaim            the host under running jobs is taken away
        └── Kill               the jobs' processes get a signal

A fault says what it is and which events it is about, and does nothing by itself. Patterns are those of file names:
``*`` stands for any text, ``?`` for one character.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from math import isfinite

from ..errors import FaultError


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What all faults have.

    Attributes:
        share: Of the events that a fault is about, how many it strikes: 1 is all of them, 0.1 every tenth. Which ones
            is drawn from the seed, so the same events are struck when a run is repeated.
        count: After this many the fault is over; None for no such end.
        after: Seconds from its injection until it begins.
        span: Seconds that it lasts; None for ever.

    Raises:
        FaultError: A value is out of its range.
    """

    share: float = 1.0
    count: int | None = None
    after: float = 0.0
    span: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for each in fields(self):
            _check_type(each.name, getattr(self, each.name), str(each.type))
        _require(0 < self.share <= 1, "share must be above 0, and 1 at most")
        _require(self.count is None or self.count >= 1, "count must be at least 1")
        _require(self.after >= 0, "after must not be negative")
        _require(self.span is None or self.span > 0, "span must be above 0")


@dataclass(frozen=True)
class CallFault(Fault):
    """A fault of single calls.

    Attributes:
        calls: Which ones, by service and operation: ``batch.SubmitJob``, ``s3.*``.
        caller: By whom, as the counters name callers: ``user/*``, ``job/boto3``.
        skip: Leave the first so many of these alone.
    """

    calls: str = "*"
    caller: str = "*"
    skip: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        _require(self.skip >= 0, "skip must not be negative")


@dataclass(frozen=True)
class Throttle(CallFault):
    """Too many requests: 429 ``TooManyRequestsException`` from Batch, 503 ``SlowDown`` from S3."""


@dataclass(frozen=True)
class RateLimit(CallFault):
    """As :class:`Throttle`, for the calls above a rate. ``share`` and ``count`` are about those.

    Attributes:
        per_second: Calls a second that pass in the long run; Batch takes 50 SubmitJob.
        burst: Calls that pass at once after a quiet time; None for as many as pass in a second.
    """

    per_second: float = 50.0
    burst: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        _require(self.per_second > 0, "per_second must be above 0")
        _require(self.burst is None or self.burst >= 1, "burst must be at least 1")


@dataclass(frozen=True)
class ServerError(CallFault):
    """The service fails.

    Attributes:
        status: 500 to 599.
        done: Whether it fails only after it has done what it was asked.
    """

    status: int = 500
    done: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        _require(500 <= self.status <= 599, "status must be between 500 and 599")


@dataclass(frozen=True)
class ExpiredToken(CallFault):
    """Credentials have expired.

    Attributes:
        key: Which ones, by the access key; a client with new ones is served.
    """

    key: str = "*"


@dataclass(frozen=True)
class Slow(CallFault):
    """The answer takes its time.

    Attributes:
        seconds: How long nothing happens before the call is dealt with.
    """

    seconds: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        _require(self.seconds >= 0, "seconds must not be negative")


@dataclass(frozen=True)
class Drop(CallFault):
    """The connection is closed without an answer, and nothing was done."""


@dataclass(frozen=True)
class LoseResponse(CallFault):
    """What was asked is done, and then the connection is closed without an answer."""


@dataclass(frozen=True)
class SightFault(Fault):
    """A fault of what DescribeJobs and ListJobs show.

    Attributes:
        jobs: Which jobs, by name.
        calls: In which answers: ``batch.DescribeJobs``, ``batch.ListJobs``; both unless one is named.
    """

    jobs: str = "*"
    calls: str = "batch.*"


@dataclass(frozen=True)
class Vanish(SightFault):
    """Jobs are not found any more. ``share`` and ``count`` are about jobs: one that has vanished stays so."""


@dataclass(frozen=True)
class Stale(SightFault):
    """Jobs are shown as they were a while ago, and new ones not at all. ``share`` and ``count`` are about calls.

    Attributes:
        seconds: How long ago.
    """

    seconds: float = 5.0

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        _require(self.seconds > 0, "seconds must be above 0")


@dataclass(frozen=True)
class Duplicate(SightFault):
    """Jobs are shown twice in one answer. ``share`` and ``count`` are about calls."""


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
        _require(self.span is None, "this fault is over in a moment: it has no span")


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
        _require(self.notice is None or self.notice >= 0, "notice must not be negative")


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
        _require(self.number in set(signal.Signals), "number must be that of a signal")


def fits(text: str, pattern: str) -> bool:
    """Whether a text is one that a pattern stands for."""
    return fnmatchcase(text, pattern)


_TYPES: dict[str, type | tuple[type, ...]] = {"str": str, "int": int, "bool": bool, "float": (int, float)}


def _check_type(name: str, value: object, annotation: str) -> None:
    """Values come from files and requests, so they may be anything."""
    kind, _, optional = annotation.partition(" | ")
    if optional and value is None:
        return
    good = isinstance(value, _TYPES[kind]) and (kind == "bool" or not isinstance(value, bool))
    _require(good, f"{name} must be of type {kind}")
    _require(not isinstance(value, float) or isfinite(value), f"{name} must be finite")


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise FaultError(otherwise)
