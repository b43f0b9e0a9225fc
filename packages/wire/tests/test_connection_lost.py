"""The worker's link when it is lost, over both transports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from scaler_batch.wire import events as ev
from scaler_batch.wire import messages as m
from scaler_batch.wire.backoff import Backoff
from scaler_batch.wire.connection import WorkerConnection
from scaler_batch.wire.settings import LinkSettings
from scaler_batch.wire.testing import ScriptedScheduler

SOON = 20.0
STORAGE = m.ObjectStorageAddress("127.0.0.1", 5, "tcp")
QUICK = LinkSettings(backoff=Backoff(first=0.001, longest=0.05), heartbeat_interval=0.01, goodbye_grace=SOON)
TASK = m.Task(b"t" * 16, b"client", b"", b"f" * 32)


def vitals() -> m.WorkerHeartbeat:
    return m.WorkerHeartbeat(queue_size=10)


@pytest.fixture
async def link(scheduler: ScriptedScheduler) -> AsyncIterator[WorkerConnection]:
    async with WorkerConnection(scheduler.address, vitals, settings=QUICK) as connected:
        assert await following(connected) == ev.Registered(STORAGE)
        yield connected


async def following(link: WorkerConnection) -> ev.Event:
    async with asyncio.timeout(SOON):
        return await anext(link)


async def test_a_scheduler_that_restarts_is_found_again_and_open_tasks_can_be_answered(
    scheduler: ScriptedScheduler, link: WorkerConnection
) -> None:
    scheduler.send(TASK)
    await following(link)
    await scheduler.stop()
    assert isinstance(await following(link), ev.LinkLost)
    await scheduler.start()
    while not isinstance(event := await following(link), ev.LinkRestored):
        assert isinstance(event, ev.LinkLost)
    assert await scheduler.worker() == link.identity
    link.send_result(TASK.task_id, m.ResultKind.SUCCESS, b"r" * 32)
    async with asyncio.timeout(SOON):
        await scheduler.receive(m.TaskResult)


async def test_a_result_that_was_lost_with_the_link_is_sent_again(scheduler: ScriptedScheduler) -> None:
    scheduler.echo = True
    settings = replace(QUICK, heartbeat_interval=SOON)  # so that no heartbeat tells that the result has arrived
    async with WorkerConnection(scheduler.address, vitals, settings=settings) as link:
        await following(link)
        scheduler.send(TASK)
        await following(link)
        link.send_result(TASK.task_id, m.ResultKind.SUCCESS, b"r" * 32)
        first = await scheduler.receive(m.TaskResult)
        await scheduler.stop()
        assert isinstance(await following(link), ev.LinkLost)
        await scheduler.start()
        async with asyncio.timeout(SOON):
            assert await scheduler.receive(m.TaskResult) == first


async def test_what_was_lost_with_the_link_is_asked_for(scheduler: ScriptedScheduler, link: WorkerConnection) -> None:
    await scheduler.stop()
    await scheduler.start()
    while await following(link) != ev.RegisteredAnew():
        pass
    await scheduler.receive(m.WorkerDisconnectNotification)
    known = len(scheduler.heartbeats)
    async with asyncio.timeout(SOON):
        await scheduler.heartbeat(known + 1)
    scheduler.send(TASK, link.identity)
    assert await following(link) == ev.TaskReceived(TASK)


async def test_a_heartbeat_lost_with_the_scheduler_is_repeated(scheduler: ScriptedScheduler) -> None:
    settings = replace(QUICK, echo_patience=0.05)
    scheduler.echo = False
    async with WorkerConnection(scheduler.address, vitals, settings=settings) as link:
        await scheduler.heartbeat(3)
        scheduler.echo = True
        assert await following(link) == ev.Registered(STORAGE)
