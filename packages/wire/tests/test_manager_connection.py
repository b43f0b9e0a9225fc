"""A worker manager's link against a scripted scheduler, over both transports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from scaler_batch.wire import events as ev
from scaler_batch.wire import messages as m
from scaler_batch.wire.backoff import Backoff
from scaler_batch.wire.envelope import Dialect
from scaler_batch.wire.errors import AddressError, LocalProtocolError
from scaler_batch.wire.manager_connection import ManagerConnection
from scaler_batch.wire.settings import LinkSettings, TransportKind
from scaler_batch.wire.testing import ScriptedScheduler

SOON = 20.0
STORAGE = m.ObjectStorageAddress("127.0.0.1", 5, "tcp")
QUICK = LinkSettings(backoff=Backoff(first=0.001, longest=0.05), heartbeat_interval=0.01, goodbye_grace=SOON)
OWN = (m.Capability("gpu", 2),)
THREE = m.WorkerManagerCommand((m.DesiredTaskConcurrency(1), m.DesiredTaskConcurrency(2, OWN)))
TRANSPORTS = {"zmq": TransportKind.ZMQ, "ymq": TransportKind.YMQ}


@pytest.fixture(params=TRANSPORTS.values(), ids=TRANSPORTS)
async def scheduler(request: pytest.FixtureRequest) -> AsyncIterator[ScriptedScheduler]:
    async with ScriptedScheduler(STORAGE, transport=request.param) as running:
        yield running


def connect(scheduler: ScriptedScheduler, settings: LinkSettings = QUICK) -> ManagerConnection:
    return ManagerConnection(scheduler.address, b"wm", max_workers=5, capabilities=OWN, settings=settings)


async def following(link: ManagerConnection) -> ev.ManagerEvent:
    async with asyncio.timeout(SOON):
        return await anext(link)


async def test_heartbeats_follow_each_other_and_say_what_could_be_run(scheduler: ScriptedScheduler) -> None:
    async with connect(scheduler) as link, asyncio.timeout(SOON):
        assert await scheduler.worker() == link.identity
        for _ in range(3):
            heartbeat = await scheduler.receive(m.WorkerManagerHeartbeat)
            assert heartbeat == m.WorkerManagerHeartbeat(5, OWN, b"wm")


async def test_a_command_comes_as_the_number_of_workers(scheduler: ScriptedScheduler) -> None:
    async with connect(scheduler) as link:
        scheduler.command = THREE
        assert await following(link) == ev.ConcurrencyDesired(3)
        scheduler.command = m.WorkerManagerCommand()
        while (event := await following(link)) != ev.ConcurrencyDesired(0):
            assert event == ev.ConcurrencyDesired(3)


async def test_malformed_frames_are_reported_and_survived(scheduler: ScriptedScheduler) -> None:
    async with connect(scheduler) as link:
        await scheduler.worker()
        scheduler.send_frame(b"not a message")
        assert isinstance(await following(link), ev.MessageRefused)
        scheduler.send(THREE)
        assert await following(link) == ev.ConcurrencyDesired(3)


async def test_silence_is_reported(scheduler: ScriptedScheduler) -> None:
    scheduler.echo = False
    async with connect(scheduler, replace(QUICK, silence_limit=0.05)) as link:
        assert isinstance(await following(link), ev.SchedulerSilent)


async def test_a_scheduler_that_restarts_is_found_again(scheduler: ScriptedScheduler) -> None:
    settings = replace(QUICK, heartbeat_interval=SOON)  # so that only the new link brings a heartbeat
    async with connect(scheduler, settings) as link:
        await scheduler.receive(m.WorkerManagerHeartbeat)
        await scheduler.stop()
        assert isinstance(await following(link), ev.LinkLost)
        await scheduler.start()
        while not isinstance(event := await following(link), ev.LinkRestored):
            assert isinstance(event, ev.LinkLost)
        async with asyncio.timeout(SOON):
            await scheduler.receive(m.WorkerManagerHeartbeat)


async def test_a_heartbeat_can_be_sent_out_of_turn(scheduler: ScriptedScheduler) -> None:
    async with connect(scheduler, replace(QUICK, heartbeat_interval=SOON)) as link, asyncio.timeout(SOON):
        await scheduler.receive(m.WorkerManagerHeartbeat)
        link.beat()
        await scheduler.receive(m.WorkerManagerHeartbeat)


async def test_leaving_says_nothing_and_ends_the_iteration(scheduler: ScriptedScheduler) -> None:
    async with connect(scheduler) as link:
        scheduler.command = THREE
        await following(link)
        await link.close()
        assert {event async for event in link} <= {ev.ConcurrencyDesired(3)}
        with pytest.raises(LocalProtocolError, match="goodbye"):
            link.beat()
    assert {type(message) for _, message in scheduler.received} == {m.WorkerManagerHeartbeat}


@pytest.mark.parametrize("transport", TRANSPORTS.values(), ids=TRANSPORTS)
async def test_each_release_is_spoken_to_in_its_own_numbers(transport: TransportKind) -> None:
    shown = transport is TransportKind.YMQ
    async with (
        ScriptedScheduler(STORAGE, transport=transport, dialect=Dialect.OLD) as scheduler,
        ManagerConnection(
            scheduler.address, b"wm", settings=QUICK, dialect=Dialect.NEW if shown else Dialect.OLD
        ) as link,
    ):
        scheduler.command = THREE
        assert await following(link) == ev.ConcurrencyDesired(1)
        assert link.dialect is Dialect.OLD


async def test_a_number_that_cannot_be_sent_is_refused_on_entering(scheduler: ScriptedScheduler) -> None:
    with pytest.raises(LocalProtocolError, match="does not fit"):
        async with ManagerConnection(scheduler.address, b"wm", max_workers=-1, settings=QUICK):
            raise AssertionError("entered")


def test_an_address_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(AddressError):
        ManagerConnection("localhost", b"wm")
