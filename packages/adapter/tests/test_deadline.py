"""What is left of the time for stopping, and for what."""

from __future__ import annotations

import asyncio
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.adapter.connecting import connected
from scaler_batch.adapter.deadline import Deadline, closing, reserve
from scaler_batch.adapter.errors import SchedulerLostError
from scaler_batch.adapter.settings import WorkerSettings
from scaler_batch.tasks import TaskManagerSettings
from scaler_batch.wire import LinkSettings, WorkerConnection, WorkerHeartbeat


@given(st.floats(min_value=1, max_value=1e6))
def test_the_goodbye_and_every_closing_fit_into_what_is_reserved(seconds: float) -> None:
    assert 2 * closing(seconds) <= reserve(seconds) / 2
    assert reserve(seconds) < seconds / 2


async def test_nothing_is_used_up_before_stopping_begins() -> None:
    deadline = Deadline(10.0)
    await asyncio.sleep(0.05)
    assert deadline.until_goodbye() == pytest.approx(7.0, abs=0.01)


@pytest.mark.parametrize("seconds", [1.0, 8.0, 25.0, 600.0])
async def test_draining_leaves_time_for_ending_jobs(seconds: float) -> None:
    deadline = Deadline(seconds)
    assert deadline.until_goodbye() - deadline.until_terminating() >= min(0.4 * seconds, 25.0) - 0.01


async def test_all_parts_come_one_after_the_other() -> None:
    deadline = Deadline(100.0)
    deadline.begin()
    assert deadline.until_terminating() < deadline.until_goodbye() < deadline.until_over() < 100.0


async def test_a_deadline_that_has_passed_leaves_nothing_and_is_begun_once() -> None:
    deadline = Deadline(0.05)
    deadline.begin()
    await asyncio.sleep(0.06)
    deadline.begin()
    assert deadline.until_over() == 0.0


async def test_a_word_to_stop_ends_the_wait_for_a_scheduler_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        settings = WorkerSettings(
            f"tcp://127.0.0.1:{port}",
            "bucket",
            TaskManagerSettings("queue", "definition"),
            link=LinkSettings(connect_timeout=60.0),
        )
        link = WorkerConnection(settings.scheduler_address, WorkerHeartbeat, settings=settings.link)
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, stop.set)
        async with asyncio.timeout(10):
            with pytest.raises(SchedulerLostError, match="told to stop"):
                async with connected(link, settings, stop, 60.0):
                    pass
