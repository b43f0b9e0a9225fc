"""Reading the logs of jobs in CloudWatch Logs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Final

from scaler_batch.aws.errors import ServiceError
from scaler_batch.aws.rate import RateSettings

if TYPE_CHECKING:
    from scaler_batch.aws.service_client import ServiceClient

logger = logging.getLogger(__name__)

LOG_RATE: Final = RateSettings(highest=10.0)
"""How fast logs are read: well below CloudWatch's own limit, which an account's other programs share."""

_PAGES: Final = 3
"""How far to go back: a page may be empty although there are lines before it."""

Pages = Generator[dict[str, Any], Any, tuple[str, ...]]
"""Yields requests of GetLogEvents, is sent the answers, returns lines."""


def last_lines(group: str, stream: str, lines: int) -> Pages:
    """Read the last lines of a log; the caller makes the calls."""
    request: dict[str, Any] = {"logGroupName": group, "logStreamName": stream, "limit": lines, "startFromHead": False}
    for _ in range(_PAGES):
        answer = yield request
        token = answer.get("nextBackwardToken")
        if answer.get("events") or token in (None, request.get("nextToken")):
            return lines_of(answer)
        request = {**request, "nextToken": token}
    return ()


def lines_of(answer: Any) -> tuple[str, ...]:
    """The lines of an answer."""
    return tuple(event.get("message", "").rstrip("\n") for event in answer.get("events") or ())


def read_tail(get_log_events: Callable[..., Any], group: str, stream: str, lines: int) -> tuple[str, ...]:
    """Read the last lines of a log with blocking calls."""
    pages, answer = last_lines(group, stream, lines), None
    while True:
        try:
            request = pages.send(answer)
        except StopIteration as end:
            found: tuple[str, ...] = end.value
            return found
        answer = get_log_events(**request)


class JobLogs:
    """The logs of jobs.

    Args:
        client: CloudWatch Logs.
    """

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    async def tail(self, group: str, stream: str, lines: int) -> tuple[str, ...]:
        """Return the last lines of a log; none where there is no log, or none that we may read."""
        pages, answer = last_lines(group, stream, lines), None
        try:
            while True:
                answer = await self._client.call("GetLogEvents", **pages.send(answer))
        except StopIteration as end:
            found: tuple[str, ...] = end.value
            return found
        except ServiceError as error:
            logger.info("log %s cannot be read: %s", stream, error)
            return ()

    async def read(self, group: str, stream: str, token: str | None) -> tuple[list[str], str]:
        """Return the lines after a place in a log, and the place after them; none where the log cannot be read."""
        request: dict[str, Any] = {"logGroupName": group, "logStreamName": stream, "startFromHead": True}
        if token:
            request["nextToken"] = token
        try:
            answer = await self._client.call("GetLogEvents", **request)
        except ServiceError as error:
            logger.info("log %s cannot be read: %s", stream, error)
            return [], token or ""
        return list(lines_of(answer)), answer.get("nextForwardToken") or token or ""
