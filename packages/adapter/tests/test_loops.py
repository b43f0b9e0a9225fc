"""The links of a worker on the loop that was chosen."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from scaler_batch.adapter.loops import factory_of
from scaler_batch.adapter.process import signalled
from scaler_batch.wire import ObjectStorageClient, TransportKind, WorkerConnection, WorkerHeartbeat
from scaler_batch.wire.events import Registered
from scaler_batch.wire.testing import MemoryObjectStorage, ScriptedScheduler

uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")


@pytest.mark.parametrize("transport", [TransportKind.ZMQ, TransportKind.YMQ])
def test_a_worker_registers_and_moves_objects_on_uvloop(transport: TransportKind) -> None:
    async def work() -> bytes:
        assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
        async with (
            asyncio.timeout(30),
            MemoryObjectStorage() as objects,
            ScriptedScheduler(objects.address, transport=transport) as scheduler,
            WorkerConnection(scheduler.address, WorkerHeartbeat) as link,
            ObjectStorageClient(objects.address) as storage,
        ):
            assert await anext(link) == Registered(objects.address)
            await storage.set(b"o" * 32, bytes(1_000_000), b"end")
            return await storage.get(b"o" * 32, within=30)

    with asyncio.Runner(loop_factory=factory_of("uvloop")) as runner:
        assert runner.run(work()) == bytes(1_000_000) + b"end"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_is_the_systems_on_uvloop(number: signal.Signals) -> None:
    async def work() -> None:
        with signalled() as stop:
            os.kill(os.getpid(), number)
            async with asyncio.timeout(10):
                await stop.wait()
            assert signal.getsignal(number) is signal.SIG_DFL

    with asyncio.Runner(loop_factory=factory_of("uvloop")) as runner:
        runner.run(work())


def test_asyncios_own_loop_is_left_to_asyncio() -> None:
    assert factory_of("builtin") is None
