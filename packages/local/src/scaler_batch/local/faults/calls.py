"""Faults of single calls to AWS."""

from __future__ import annotations

from dataclasses import dataclass

from .base import Fault, require


@dataclass(frozen=True)
class CallFault(Fault):
    """A fault of single calls.

    Attributes:
        calls: Which ones, by service and operation: ``batch.SubmitJob``, ``s3.*``.
        caller: By whom, as the counters name callers: ``user/*``, ``job/boto3``.
        path: What they are about: ``bucket/key`` in S3, ``bucket/prefix`` for listings there.
        skip: Leave the first so many of these alone.
    """

    calls: str = "*"
    caller: str = "*"
    path: str = "*"
    skip: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        require(self.skip >= 0, "skip must not be negative")


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
        require(self.per_second > 0, "per_second must be above 0")
        require(self.burst is None or self.burst >= 1, "burst must be at least 1")


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
        require(500 <= self.status <= 599, "status must be between 500 and 599")


@dataclass(frozen=True)
class ExpiredToken(CallFault):
    """Credentials have expired.

    Attributes:
        key: Which ones, by the access key; a client with new ones is served.
    """

    key: str = "*"


@dataclass(frozen=True)
class InvalidCredentials(CallFault):
    """The access key is unknown: ``UnrecognizedClientException`` from Batch, ``InvalidAccessKeyId`` from S3.

    Attributes:
        key: Which access key; a client that uses another one is served.
    """

    key: str = "*"


@dataclass(frozen=True)
class Deny(CallFault):
    """The caller has no permission: 403 ``AccessDenied`` from S3, ``AccessDeniedException`` from Batch."""


@dataclass(frozen=True)
class Conflict(CallFault):
    """409 ``ConditionalRequestConflict`` from S3. Only PUT and POST with ``If-Match`` or ``If-None-Match`` are struck.

    Attributes:
        done: Whether the object is stored nevertheless, as when an earlier try of the same client wins the race.
        winner: What another writer stores under this key just before; None when nobody does.
    """

    done: bool = False
    winner: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        super().__post_init__()
        require(not (self.done and self.winner is not None), "either the request is done or another writer wins")


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
        require(self.seconds >= 0, "seconds must not be negative")


@dataclass(frozen=True)
class Drop(CallFault):
    """The connection is closed without an answer, and nothing was done.

    Attributes:
        reset: Whether it is closed by a TCP reset.
    """

    reset: bool = False


@dataclass(frozen=True)
class LoseResponse(CallFault):
    """The request is carried out, and then the connection is closed without an answer.

    Attributes:
        reset: Whether it is closed by a TCP reset.
    """

    reset: bool = False


@dataclass(frozen=True)
class Hang(CallFault):
    """The request is read, and never answered: the client waits until it gives up.

    Attributes:
        done: Whether the request is carried out nevertheless.
    """

    done: bool = False
