"""The worker's link against a scripted scheduler, over both transports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from scaler_batch.wire import events as ev
from scaler_batch.wire import messages as m
from scaler_batch.wire.backoff import Backoff
from scaler_batch.wire.connection import WorkerConnection
from scaler_batch.wire.envelope import Dialect
from scaler_batch.wire.errors import AddressError, ConnectionLostError, LocalProtocolError, RemoteProtocolError
from scaler_batch.wire.flags import Profile, TaskFlags
from scaler_batch.wire.settings import LinkSettings, TransportKind
from scaler_batch.wire.testing import ScriptedScheduler

SOON = 20.0
STORAGE = m.ObjectStorageAddress("127.0.0.1", 5, "tcp")
QUICK = LinkSettings(backoff=Backoff(first=0.001, longest=0.05), heartbeat_interval=0.01, goodbye_grace=SOON)
TASK = m.Task(b"t" * 16, b"client", TaskFlags(stream_output=True).encode(), b"f" * 32)
BOTH = pytest.mark.parametrize("transport", [TransportKind.ZMQ, TransportKind.YMQ])


def vitals() -> m.WorkerHeartbeat:
    return m.WorkerHeartbeat(queue_size=10, capabilities=(m.Capability("batch"),), manager_id=b"wm")


@pytest.fixture
async def link(scheduler: ScriptedScheduler) -> AsyncIterator[WorkerConnection]:
    async with WorkerConnection(scheduler.address, vitals, settings=QUICK) as connected:
        assert await following(connected) == ev.Registered(STORAGE)
        yield connected


async def following(link: WorkerConnection) -> ev.Event:
    async with asyncio.timeout(SOON):
        return await anext(link)


async def test_a_worker_registers_with_what_it_says_of_itself(
    scheduler: ScriptedScheduler, link: WorkerConnection
) -> None:
    assert await scheduler.worker() == link.identity
    assert await scheduler.heartbeat() == vitals()


async def test_heartbeats_follow_each_other_and_tell_the_latency(
    scheduler: ScriptedScheduler, link: WorkerConnection
) -> None:
    async with asyncio.timeout(SOON):
        third = await scheduler.heartbeat(3)
    assert third.latency > 0
    assert replace(third, latency=0) == vitals()


async def test_a_task_is_received_and_answered_in_order(scheduler: ScriptedScheduler, link: WorkerConnection) -> None:
    scheduler.send(TASK)
    assert await following(link) == ev.TaskReceived(TASK)
    assert link.open_tasks == {TASK.task_id}
    link.send_log(TASK.task_id, m.LogStream.STDOUT, "hi\n")
    link.send_result(TASK.task_id, m.ResultKind.SUCCESS, b"r" * 32, 3, profile=Profile(1.0, 2, 3.0))
    assert link.open_tasks == frozenset()
    await scheduler.receive(m.TaskResult)
    kinds = [type(message) for _, message in scheduler.received]
    assert kinds == [m.TaskLog, m.ObjectInstruction, m.TaskResult]


async def test_a_cancel_is_confirmed(scheduler: ScriptedScheduler, link: WorkerConnection) -> None:
    scheduler.send(TASK)
    scheduler.send(m.TaskCancel(TASK.task_id, m.TaskCancelFlags(force=True)))
    assert await following(link) == ev.TaskReceived(TASK)
    assert await following(link) == ev.CancelRequested(TASK.task_id, force=True)
    link.confirm_cancel(TASK.task_id, m.CancelOutcome.CANCELED)
    confirm = await scheduler.receive(m.TaskCancelConfirm)
    assert confirm == m.TaskCancelConfirm(TASK.task_id, m.CancelOutcome.CANCELED)


async def test_a_burst_of_tasks_comes_complete_and_in_order(
    scheduler: ScriptedScheduler, link: WorkerConnection
) -> None:
    tasks = [replace(TASK, task_id=n.to_bytes(16, "big")) for n in range(2000)]
    for task in tasks:
        scheduler.send(task)
    assert [await following(link) for _ in tasks] == [ev.TaskReceived(task) for task in tasks]


async def test_a_shutdown_is_reported(scheduler: ScriptedScheduler, link: WorkerConnection) -> None:
    scheduler.send(m.ClientDisconnect(m.DisconnectKind.SHUTDOWN))
    assert await following(link) == ev.ShutdownRequested()


async def test_malformed_frames_are_reported_and_survived(scheduler: ScriptedScheduler, link: WorkerConnection) -> None:
    scheduler.send_frame(b"not a message")
    scheduler.send(TASK)
    assert isinstance(await following(link), ev.MessageRefused)
    assert await following(link) == ev.TaskReceived(TASK)


async def test_leaving_says_goodbye_after_everything_else(scheduler: ScriptedScheduler) -> None:
    async with WorkerConnection(scheduler.address, vitals, settings=QUICK) as link:
        await following(link)
        scheduler.send(TASK)
        await following(link)
        link.send_result(TASK.task_id, m.ResultKind.SUCCESS, b"r" * 32)
    await scheduler.receive(m.WorkerDisconnectNotification)
    assert type(scheduler.received[-1][1]) is m.WorkerDisconnectNotification
    assert type(scheduler.received[-2][1]) is m.TaskResult


async def test_goodbye_is_said_when_the_body_fails(scheduler: ScriptedScheduler) -> None:
    with pytest.raises(ValueError, match=r"^mine$"):  # noqa: PT012 - the body is what it is about
        async with WorkerConnection(scheduler.address, vitals, settings=QUICK) as link:
            await following(link)
            raise ValueError("mine")
    await scheduler.receive(m.WorkerDisconnectNotification)


async def test_goodbye_is_said_when_the_worker_is_cancelled(scheduler: ScriptedScheduler) -> None:
    async def work() -> None:
        async with WorkerConnection(scheduler.address, vitals, settings=QUICK) as link:
            async for _ in link:
                working.set()

    working = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        worker = group.create_task(work())
        await working.wait()
        worker.cancel()
    assert worker.cancelled()
    await scheduler.receive(m.WorkerDisconnectNotification)


async def test_the_iteration_ends_when_the_connection_is_closed(
    scheduler: ScriptedScheduler, link: WorkerConnection
) -> None:
    scheduler.send(TASK)
    async for event in link:
        assert event == ev.TaskReceived(TASK)
        await link.close()
    await link.close()
    with pytest.raises(LocalProtocolError, match="goodbye"):
        link.send_result(TASK.task_id, m.ResultKind.SUCCESS, b"r" * 32)


async def test_silence_is_reported(scheduler: ScriptedScheduler) -> None:
    settings = replace(QUICK, silence_limit=0.05)
    scheduler.echo = False
    async with WorkerConnection(scheduler.address, vitals, settings=settings) as link:
        event = await following(link)
    assert isinstance(event, ev.SchedulerSilent)
    assert event.seconds >= 0.05


@pytest.mark.parametrize("dialect", Dialect)
@BOTH
async def test_each_release_hears_its_own_goodbye(transport: TransportKind, dialect: Dialect) -> None:
    async with ScriptedScheduler(STORAGE, transport=transport, dialect=dialect) as scheduler:
        async with WorkerConnection(scheduler.address, vitals, settings=QUICK) as link:
            await following(link)
            if transport is TransportKind.ZMQ:
                link.adopt(dialect)
            assert link.dialect is dialect
        if dialect is Dialect.NEW:
            await scheduler.receive(m.WorkerDisconnectNotification)
        else:
            assert await scheduler.receive(m.DisconnectRequest) == m.DisconnectRequest(link.identity)


@BOTH
async def test_a_transport_that_is_set_is_used(transport: TransportKind) -> None:
    settings = replace(QUICK, transport=transport)
    async with (
        ScriptedScheduler(STORAGE, transport=transport) as scheduler,
        WorkerConnection(scheduler.address, vitals, settings=settings) as link,
    ):
        assert await following(link) == ev.Registered(STORAGE)
        assert link.transport is transport


async def test_zmq_serves_a_link_in_as_many_threads_as_are_set() -> None:
    settings = replace(QUICK, io_threads=3)
    async with (
        ScriptedScheduler(STORAGE) as scheduler,
        WorkerConnection(scheduler.address, vitals, settings=settings) as link,
    ):
        assert await following(link) == ev.Registered(STORAGE)
        for _ in range(1000):
            if zmq_threads() >= 3 + 1:  # one is the scheduler's; threads name themselves once they run
                break
            await asyncio.sleep(0.01)
        assert zmq_threads() == 3 + 1


def zmq_threads() -> int:
    names = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]
    return sum(name.startswith("ZMQbg/IO") for name in names)


@BOTH
async def test_a_transport_that_the_scheduler_does_not_speak_is_refused(transport: TransportKind) -> None:
    other = TransportKind.YMQ if transport is TransportKind.ZMQ else TransportKind.ZMQ
    async with ScriptedScheduler(STORAGE, transport=transport) as scheduler:
        with pytest.raises(RemoteProtocolError, match=f"speaks {transport.name}, not {other.name}"):
            async with WorkerConnection(scheduler.address, vitals, settings=replace(QUICK, transport=other)):
                raise AssertionError("entered")


async def test_host_names_are_resolved(scheduler: ScriptedScheduler) -> None:
    address = scheduler.address.replace("127.0.0.1", "localhost")
    async with WorkerConnection(address, vitals, settings=QUICK) as link:
        assert await following(link) == ev.Registered(STORAGE)


async def test_entering_fails_when_nobody_is_there(scheduler: ScriptedScheduler) -> None:
    await scheduler.stop()
    with pytest.raises(ConnectionLostError, match=r"did not answer within 0\.05 s"):
        async with WorkerConnection(scheduler.address, vitals, settings=replace(QUICK, connect_timeout=0.05)):
            raise AssertionError("entered")


def test_an_address_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(AddressError):
        WorkerConnection("localhost", vitals)


async def test_an_error_in_the_heartbeat_ends_the_link(scheduler: ScriptedScheduler) -> None:
    def broken() -> m.WorkerHeartbeat:
        raise ValueError("mine")

    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012 - the body is what it is about
        async with WorkerConnection(scheduler.address, broken, settings=QUICK) as link:
            async for _ in link:
                raise AssertionError("an event")
    assert caught.group_contains(ValueError, match="mine")


async def test_two_workers_do_not_disturb_each_other(scheduler: ScriptedScheduler) -> None:
    connect: Callable[[], WorkerConnection] = lambda: WorkerConnection(scheduler.address, vitals, settings=QUICK)  # noqa: E731
    async with connect() as one, connect() as two:
        await following(one)
        await following(two)
        scheduler.send(TASK, two.identity)
        assert await following(two) == ev.TaskReceived(TASK)
        assert set(scheduler.workers) == {one.identity, two.identity}
