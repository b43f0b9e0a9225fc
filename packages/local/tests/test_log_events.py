"""Log lines on disk."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto.logs.exceptions import InvalidParameterException
from moto.logs.models import LogEvent

from scaler_batch.local import LocalAWS
from scaler_batch.local.services.log_events import StoredEvents, page
from scaler_batch.local.services.segments import SegmentedLog

MIB = 1 << 20
NOW = int(time.time() * 1000)


def events(*messages: str) -> list[LogEvent]:
    return [LogEvent(2, {"timestamp": 1, "message": message}) for message in messages]


@given(st.integers(0), st.integers(1, 60))
def test_events_of_interleaved_streams_are_read_as_they_were_written(seed: int, writes: int) -> None:
    chance, log = random.Random(seed), SegmentedLog(segment_bytes=200)
    streams = [(StoredEvents(log), list[str]()) for _ in range(3)]
    for number in range(writes):
        stored, kept = chance.choice(streams)
        messages = [f"{number} " + "ü\n" * chance.randint(0, 9) for _ in range(chance.randint(0, 4))]
        stored += events(*messages)
        kept += messages
    for stored, kept in streams:
        begin, end = sorted(chance.randint(0, len(kept)) for _ in range(2))
        assert len(stored) == len(kept)
        assert [event.message for event in stored] == kept
        assert [event.message for event in stored.between(begin, end)] == kept[begin:end]


@given(st.integers(0, 30), st.integers(1, 12))
def test_pages_forward_and_backward_have_every_event_once(total: int, limit: int) -> None:
    there, back, token = list[int](), list[int](), None
    while (found := page(total, limit, token, from_head=True)) != (total, total):
        there += range(*found)
        token = f"f/{found[1] - 1:056d}"
    token = None
    while (found := page(total, limit, token, from_head=False)) != (0, 0):
        back[:0] = range(*found)
        token = f"b/{found[0]:056d}"
    assert there == back == list(range(total))


@pytest.mark.parametrize("token", ["", "f", "x/1", "f/x", "f/1/2", "\0"])
def test_a_token_of_somebody_else_is_refused(token: str) -> None:
    with pytest.raises(InvalidParameterException):
        page(3, 1, token, from_head=True)


def test_a_segment_goes_when_its_last_stream_goes() -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    log, before = SegmentedLog(segment_bytes=100), open_files()
    for _ in range(50):
        stream = StoredEvents(log)
        stream += events("x" * 100)
    assert open_files() <= before + 2


def test_events_out_of_order_are_sorted_by_time(new_stream: Callable[[], tuple[Any, Any]]) -> None:
    logs, stream = new_stream()
    for at, message in ((2000, "second"), (1000, "first")):
        put(logs, stream, at, message)
    assert messages(logs.get_log_events(**stream, startFromHead=True)) == ["first", "second"]
    assert messages(logs.get_log_events(**stream, startFromHead=True, startTime=NOW + 1500)) == ["second"]


def test_pages_go_both_ways_and_end_where_their_token_repeats(
    new_stream: Callable[[], tuple[Any, Any]],
) -> None:
    logs, stream = new_stream()
    put(logs, stream, 1, *"abcde")
    last = logs.get_log_events(**stream, limit=2)
    before = logs.get_log_events(**stream, limit=2, nextToken=last["nextBackwardToken"])
    after = logs.get_log_events(**stream, limit=2, nextToken=before["nextForwardToken"])
    end = logs.get_log_events(**stream, nextToken=last["nextForwardToken"])
    assert [messages(each) for each in (last, before, after, end)] == [["d", "e"], ["b", "c"], ["d", "e"], []]
    assert end["nextForwardToken"] == last["nextForwardToken"]
    put(logs, stream, 2, "f")
    assert messages(logs.get_log_events(**stream, nextToken=end["nextForwardToken"])) == ["f"]
    shown = logs.describe_log_streams(logGroupName=stream["logGroupName"])["logStreams"][0]
    assert (shown["firstEventTimestamp"], shown["lastEventTimestamp"]) == (NOW + 1, NOW + 2)
    found = logs.filter_log_events(logGroupName=stream["logGroupName"], filterPattern="c")["events"]
    assert [each["message"] for each in found] == ["c"]


@pytest.mark.long
def test_many_lines_do_not_stay_in_memory(aws: LocalAWS, new_stream: Callable[[], tuple[Any, Any]]) -> None:
    logs, stream = new_stream()
    put(logs, stream, 1, *["x" * 100] * 1000)
    before = psutil.Process(aws.pid).memory_info().rss
    for _ in range(100):
        put(logs, stream, 1, *["x" * 100] * 1000)
    assert psutil.Process(aws.pid).memory_info().rss - before < 20 * MIB
    assert len(messages(logs.get_log_events(**stream))) == 10_000


@pytest.fixture
def new_stream(aws: LocalAWS, request: pytest.FixtureRequest) -> Callable[[], tuple[Any, dict[str, str]]]:
    def make() -> tuple[Any, dict[str, str]]:
        logs = aws.client("logs")
        request.addfinalizer(logs.close)
        stream = {"logGroupName": request.node.name, "logStreamName": "stream"}
        logs.create_log_group(logGroupName=stream["logGroupName"])
        logs.create_log_stream(**stream)
        return logs, stream

    return make


def put(logs: Any, stream: Any, at: int, *messages: str) -> None:
    logs.put_log_events(**stream, logEvents=[{"timestamp": NOW + at, "message": each} for each in messages])


def messages(answer: Any) -> list[str]:
    return [event["message"] for event in answer["events"]]
