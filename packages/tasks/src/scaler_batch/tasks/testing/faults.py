"""What can go wrong between the task manager and AWS Batch, each an object with a name.

A fault stands in for a call: it is given the call's effect, and decides whether that happens and what the caller hears.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from scaler_batch.aws import Classification, CredentialsError, ServiceError

ANY: Final = "any"
"""The operation of a fault that hits every call."""


@dataclass
class Fault:
    """Something that goes wrong with a call. Of several faults in a list, the first that is not used up takes a call.

    Attributes:
        operation: Which method of the job service it hits, or :data:`ANY`.
        times: How many calls it hits before it is used up; ``math.inf`` for all.
    """

    operation: str = "submit"
    times: float = 1

    def takes(self, operation: str) -> bool:
        """Whether this call is hit; if so, that is one time less."""
        hit = self.times > 0 and self.operation in (operation, ANY)
        self.times -= hit
        return hit

    async def strike(self, effect: Callable[[], Any]) -> Any:
        """Stand in for a call."""
        raise NotImplementedError


class Throttle(Fault):
    """HTTP 429: nothing has happened, and later it may. With :data:`ANY` and ``math.inf`` this is an outage."""

    async def strike(self, effect: Callable[[], Any]) -> Any:
        """Refuse for now."""
        raise ServiceError("TooManyRequestsException: rate exceeded", Classification.REPEAT)


class Expired(Fault):
    """AWS does not take the credentials until somebody renews them: remove the fault."""

    async def strike(self, effect: Callable[[], Any]) -> Any:
        """Refuse the credentials."""
        raise CredentialsError("ExpiredTokenException: run aws sso login")


class LoseRequest(Fault):
    """The connection broke before the request arrived. The caller cannot tell this from a lost response."""

    async def strike(self, effect: Callable[[], Any]) -> Any:
        """Do nothing and say nothing."""
        raise ServiceError("the connection was closed before an answer came", Classification.AMBIGUOUS)


class LoseResponse(Fault):
    """The call had its effect, and its answer never came."""

    async def strike(self, effect: Callable[[], Any]) -> Any:
        """Do it and say nothing."""
        effect()
        raise ServiceError("the connection was closed before an answer came", Classification.AMBIGUOUS)


@dataclass
class Reject(Fault):
    """AWS says no, and would say so again.

    Attributes:
        message: What it says.
    """

    message: str = "ClientException: job queue does not exist"

    async def strike(self, effect: Callable[[], Any]) -> Any:
        """Refuse for good."""
        raise ServiceError(self.message, Classification.FINAL)


@dataclass
class Stall(Fault):
    """The call takes until an event is set.

    Attributes:
        until: The event.
        after: Whether the call has its effect first, and only its answer is late.
    """

    until: asyncio.Event = field(default_factory=asyncio.Event)
    after: bool = False

    async def strike(self, effect: Callable[[], Any]) -> Any:
        """Keep the caller waiting."""
        if not self.after:
            await self.until.wait()
        answer = effect()
        if self.after:
            await self.until.wait()
        return answer


@dataclass
class Vanish(Fault):
    """DescribeJobs does not show a job, because it is too old, or too new.

    Attributes:
        job_id: Which.
    """

    operation: str = "describe"
    times: float = math.inf
    job_id: str = ""

    async def strike(self, effect: Callable[[], Any]) -> Any:
        """Leave the job out."""
        return {job_id: report for job_id, report in effect().items() if job_id != self.job_id}


@dataclass
class Spare(Fault):
    """TerminateJobs does its work, and says of one job that it could not end it.

    Attributes:
        job_id: Which.
    """

    operation: str = "terminate_many"
    job_id: str = ""

    async def strike(self, effect: Callable[[], Any]) -> Any:
        """Name the job among those that are left."""
        return [*effect(), self.job_id]


@dataclass
class HideChildren(Fault):
    """ListJobs shows no failed children although the parent counts them: the two are not updated together."""

    operation: str = "failed_children"

    async def strike(self, effect: Callable[[], Any]) -> Any:
        """Show none."""
        return []


@dataclass
class Lag(Fault):
    """ListJobs does not show a job yet that SubmitJob has made."""

    operation: str = "find"

    async def strike(self, effect: Callable[[], Any]) -> Any:
        """Show nothing."""
        return [] if isinstance(effect(), list) else None
