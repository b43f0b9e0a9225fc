"""One service of AWS for callers with an event loop: calls in threads, at one rate, counted, with our errors."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from botocore import xform_name

from scaler_batch.aws.bridge import Bridge
from scaler_batch.aws.classification import is_throttled, service_error
from scaler_batch.aws.clients import UNREPEATED, open_client
from scaler_batch.aws.credentials import credentials_of, renewal_of
from scaler_batch.aws.errors import Classification, ServiceError
from scaler_batch.aws.rate import AdaptiveRateLimiter, RateSettings

if TYPE_CHECKING:
    import boto3


class ServiceClient:
    """A client that makes each call once.

    Args:
        session: Where credentials come from.
        service: AWS's short name of the service.
        region: Where its resources are.
        rate: How fast it may be called.
        bridge: Where calls block.
        calls: Counts requests by AWS's name of the operation.

    Raises:
        ServiceError: The configuration or the credentials do not allow a client.
    """

    def __init__(
        self,
        session: boto3.Session,
        service: str,
        region: str,
        *,
        rate: RateSettings,
        bridge: Bridge,
        calls: Counter[str],
    ) -> None:
        self.sdk = open_client(session, service, region, UNREPEATED)
        self.limiter = AdaptiveRateLimiter(rate)
        self._bridge = bridge
        self._closed = False
        self._calls = calls
        self._credentials = credentials_of(session)
        self._renewal = renewal_of(session)

    def close(self) -> None:
        """Make no more calls."""
        self._closed = True

    async def call(self, operation: str, /, **request: Any) -> Any:
        """Make a call when the rate allows it.

        Raises:
            ServiceError: It failed; nothing else is raised, whatever went wrong.
        """
        sent = await self.limiter.enter(operation)
        if self._closed:
            raise ServiceError(f"no {operation} any more: the client is closed", Classification.FINAL)
        self._calls[operation] += 1
        try:
            answer = await self._bridge.call(getattr(self.sdk, xform_name(operation)), **request)
        except Exception as error:
            if is_throttled(error):
                self.limiter.throttled(sent)
            failure = service_error(error, self._renewal)
            if failure.awaits_credentials and self._credentials is not None:
                self._credentials.forget()
            raise failure from error
        self.limiter.served()
        return answer

    def slow_down(self) -> None:
        """AWS has throttled a part of a call that it served."""
        self.limiter.throttled(asyncio.get_running_loop().time())
