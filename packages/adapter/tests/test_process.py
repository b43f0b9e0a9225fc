from __future__ import annotations

import asyncio
import os
import signal
import socket

import pytest

from scaler_batch.adapter.connecting import connected
from scaler_batch.adapter.errors import SchedulerLostError
from scaler_batch.adapter.member import new_run
from scaler_batch.adapter.process import signalled
from scaler_batch.adapter.settings import WorkerSettings
from scaler_batch.payload import RunLocation
from scaler_batch.tasks import TaskManagerSettings
from scaler_batch.wire import LinkSettings, ObjectStorageAddress, WorkerConnection, WorkerHeartbeat
from scaler_batch.wire.testing import ScriptedScheduler


def settings(address: str) -> WorkerSettings:
    return WorkerSettings(
        address, "bucket", TaskManagerSettings("queue", "definition"), link=LinkSettings(connect_timeout=0.2)
    )


async def test_a_scheduler_that_is_not_there_is_said_with_what_to_check() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        chosen = settings(f"tcp://127.0.0.1:{taken.getsockname()[1]}")
        link = WorkerConnection(chosen.scheduler_address, WorkerHeartbeat, settings=chosen.link)
        with pytest.raises(
            SchedulerLostError, match=r"Failed to connect to scheduler at tcp://127\..*the address is right"
        ):
            async with connected(link, chosen, asyncio.Event(), 0):
                pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_first_signal_stops_in_order_and_the_second_is_the_systems(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with signalled() as stop:
        os.kill(os.getpid(), number)
        async with asyncio.timeout(10):
            await stop.wait()
        assert signal.getsignal(number) is signal.SIG_DFL
    assert signal.getsignal(number) is before


def test_every_run_lies_apart_from_all_others() -> None:
    first, second = (new_run(settings("tcp://h:1")) for _ in range(2))
    assert first.run_id != second.run_id
    assert RunLocation.parse(str(first)) == first
    assert (first.bucket, first.prefix, first.region) == ("bucket", "scaler-tasks", "us-east-1")


async def test_a_scheduler_that_was_there_is_waited_for() -> None:
    async with ScriptedScheduler(ObjectStorageAddress("127.0.0.1", 1)) as scheduler:
        chosen = settings(scheduler.address)
        link = WorkerConnection(chosen.scheduler_address, WorkerHeartbeat, settings=chosen.link)
        await scheduler.stop()

        async def come_back() -> None:
            await asyncio.sleep(3 * chosen.link.connect_timeout)
            await scheduler.start()

        async with asyncio.TaskGroup() as group:
            group.create_task(come_back())
            async with connected(link, chosen, asyncio.Event(), 60):
                await scheduler.worker()
