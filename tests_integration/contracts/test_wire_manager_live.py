"""A worker manager's link against the real scheduler, with a policy that commands managers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from plain_worker import QUICK, worker_of
from real_scaler import BACKENDS, SOON, Cluster, start
from scaler_batch.wire import ConcurrencyDesired, ManagerConnection, ObjectStorageClient

# Or else pytest-asyncio asks for the current loop before there is one; Python 3.11 then makes one that nobody closes.
asyncio.set_event_loop(None)

MANAGER = b"manager"


@pytest.fixture(params=BACKENDS)
async def cluster(request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    running = await start(request.param, scheduler=True, scaling="vanilla")
    yield running
    await running.stop()


async def until_desired(link: ManagerConnection, workers: int) -> None:
    async with asyncio.timeout(SOON):
        while await anext(link) != ConcurrencyDesired(workers):
            pass


async def test_a_worker_is_wanted_while_there_are_tasks_and_none_when_all_is_idle(cluster: Cluster) -> None:
    async with ObjectStorageClient(cluster.storage_address) as storage:
        dialect = storage.dialect
    async with (
        ManagerConnection(cluster.scheduler_address, MANAGER, max_workers=5, settings=QUICK, dialect=dialect) as link,
        asyncio.TaskGroup() as group,
    ):
        told = group.create_task(cluster.client("with client: print(client.map(math.sqrt, [4.0, 9.0, 16.0]))"))
        await until_desired(link, 1)
        async with worker_of(cluster, MANAGER):
            assert (await told).strip() == "[2.0, 3.0, 4.0]"
            await until_desired(link, 0)
