"""Log lines on disk, with an index in memory.

moto keeps every line as an object, about 600 bytes each, which after an afternoon of jobs is most of the server's
memory. Here the lines of one write are a chunk in a file, and a stream remembers where its chunks lie: 24 bytes each,
and none for a chunk that follows the one before it in the file.
"""

from __future__ import annotations

import bisect
import struct
from array import array
from collections.abc import Iterator
from typing import Any, Final, SupportsInt

from moto.logs import models
from moto.logs.exceptions import InvalidParameterException
from moto.logs.models import LogEvent, LogStream

from .segments import Segment, SegmentedLog

PAGE: Final = 10_000
"""Events that GetLogEvents returns at most."""

_CHUNK: Final = 64 << 10
"""Bytes; longer chunks are not extended, because a chunk is read as a whole."""

_HEAD: Final = struct.Struct("<qqqI")
"""Timestamp and ingestion time in milliseconds, number of the event, and length of the message in bytes."""


class StoredEvents:
    """The events of one stream, with as much of a list's interface as moto uses.

    Args:
        log: Where they are written.
    """

    def __init__(self, log: SegmentedLog) -> None:
        self._log = log
        self._segments: list[Segment] = []
        self._first: array[int] = array("Q")  # of each chunk: number of its first event,
        self._places: array[int] = array("Q")  # index of its segment in the upper and offset in the lower 32 bits,
        self._lengths: array[int] = array("Q")  # length in bytes
        self._count = 0
        self.earliest: int | None = None
        self.latest: int | None = None
        self.ordered = True

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[LogEvent]:
        return self.between(0, self._count)

    def __iadd__(self, events: list[LogEvent]) -> StoredEvents:
        """Add events."""
        if events:
            self._append(b"".join(map(_encoded, events)), len(events))
            for event in events:
                self._note_time(event.timestamp)
        return self

    def between(self, begin: int, end: int) -> Iterator[LogEvent]:
        """The events from one number up to, not including, another, in the order of their arrival."""
        if begin >= end:
            return
        chunk = bisect.bisect_right(self._first, begin) - 1
        number = self._first[chunk]
        for index in range(chunk, len(self._first)):
            for event in _decoded(self._read(index)):
                if number >= end:
                    return
                if number >= begin:
                    yield event
                number += 1

    def _append(self, content: bytes, count: int) -> None:
        segment, offset = self._log.append(content)
        if not self._segments or self._segments[-1] is not segment:
            self._segments.append(segment)
        place = (len(self._segments) - 1) << 32 | offset
        if self._lengths and self._places[-1] + self._lengths[-1] == place and self._lengths[-1] < _CHUNK:
            self._lengths[-1] += len(content)
        else:
            self._first.append(self._count)
            self._places.append(place)
            self._lengths.append(len(content))
        self._count += count

    def _read(self, chunk: int) -> bytes:
        place = self._places[chunk]
        return self._segments[place >> 32].read(place & 0xFFFFFFFF, self._lengths[chunk])

    def _note_time(self, timestamp: int) -> None:
        self.ordered = self.ordered and (self.latest is None or timestamp >= self.latest)
        self.latest = timestamp if self.latest is None else max(self.latest, timestamp)
        self.earliest = timestamp if self.earliest is None else min(self.earliest, timestamp)


class StoredStream(LogStream):
    """moto's log stream, with its events on disk and a page read without the rest."""

    log: SegmentedLog

    def __init__(self, log_group: models.LogGroup, name: str) -> None:
        super().__init__(log_group, name)
        self.stored = StoredEvents(self.log)
        self.events = self.stored  # type: ignore[assignment]

    def _update(self) -> None:
        self.first_event_timestamp = self.stored.earliest  # type: ignore[assignment]
        self.last_event_timestamp = self.stored.latest  # type: ignore[assignment]

    def get_log_events(
        self, start_time: Any, end_time: Any, limit: SupportsInt | None, next_token: str | None, start_from_head: Any
    ) -> tuple[list[dict[str, Any]], str | None, str | None]:
        """A page of events; only that page is read, unless events came out of order or times are asked for."""
        if start_time or end_time or not self.stored.ordered:
            return super().get_log_events(start_time, end_time, limit, next_token, start_from_head)  # type: ignore[arg-type]
        total = len(self.stored)
        begin, end = page(total, int(limit or PAGE), next_token, from_head=bool(start_from_head))
        events = [event.to_response_dict() for event in self.stored.between(begin, end)]
        return events, f"b/{begin:056d}", f"f/{end - 1:056d}"


def page(total: int, limit: int, token: str | None, *, from_head: bool) -> tuple[int, int]:
    """Which events a page has: the number of the first, and one more than that of the last.

    Args:
        total: How many events there are.
        limit: How many the page may have.
        token: What an earlier page returned: ``f/`` and the number of its last event, or ``b/`` and that of its first.
        from_head: Without a token, whether the page begins with the oldest event or ends with the newest.

    Raises:
        InvalidParameterException: The token is not one of ours.
    """
    direction, number = _parsed(token) if token is not None else ("f" if from_head else "b", -1 if from_head else total)
    if direction == "f":
        begin = min(number + 1, total)
        return begin, min(begin + limit, total)
    end = max(0, min(number, total))
    return max(0, end - limit), end


def _parsed(token: str) -> tuple[str, int]:
    direction, _, number = token.partition("/")
    try:
        if direction in {"f", "b"}:
            return direction, int(number)
    except ValueError:
        pass
    raise InvalidParameterException("The specified nextToken is invalid.")


def _encoded(event: LogEvent) -> bytes:
    message: bytes = event.message.encode("utf-8", "surrogatepass")
    number = int(event.event_id)
    return _HEAD.pack(event.timestamp, event.ingestion_time, number, len(message)) + message


def _decoded(content: bytes) -> Iterator[LogEvent]:
    at = 0
    while at < len(content):
        timestamp, ingested, number, length = _HEAD.unpack_from(content, at)
        at += _HEAD.size
        message = content[at : at + length].decode("utf-8", "surrogatepass")
        at += length
        event: LogEvent = object.__new__(LogEvent)
        event.timestamp, event.ingestion_time, event.message, event.event_id = timestamp, ingested, message, number
        yield event


def install() -> None:
    """Have moto's CloudWatch Logs keep events this way."""
    StoredStream.log = SegmentedLog()
    models.LogStream = StoredStream  # type: ignore[misc]
