from __future__ import annotations

import asyncio
from typing import Any

from scaler_batch.adapter.storage import StorageLink
from scaler_batch.wire import ObjectStorageAddress, ObjectStorageClient
from scaler_batch.wire.testing import MemoryObjectStorage

FIRST, SECOND = ObjectStorageAddress("127.0.0.1", 1), ObjectStorageAddress("127.0.0.1", 2)


class Client:
    """Knows where it is connected to, and whether it still is."""

    def __init__(self, address: Any) -> None:
        self.address, self.open = address, False

    async def __aenter__(self) -> Client:
        await asyncio.sleep(0)
        self.open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self.open = False


def link(instead: str | None = None) -> tuple[StorageLink, list[Client]]:
    made: list[Client] = []

    def connect(address: Any) -> Any:
        made.append(Client(address))
        return made[-1]

    return StorageLink(instead, connect), made


async def test_links_that_hear_of_one_storage_share_a_client() -> None:
    storage, made = link()
    clients = await asyncio.gather(*(storage.open(FIRST) for _ in range(3)))
    assert len({id(client) for client in clients}) == len(made) == 1


async def test_a_storage_that_moved_is_followed() -> None:
    storage, made = link()
    await storage.open(FIRST)
    await storage.open(SECOND)
    assert [(client.address, client.open) for client in made] == [(FIRST, False), (SECOND, True)]
    await storage.aclose()
    assert not made[1].open


async def test_the_address_that_was_set_goes_over_what_the_scheduler_says() -> None:
    storage, made = link("tcp://elsewhere:3")
    await storage.open(FIRST)
    assert made[0].address == "tcp://elsewhere:3"


async def test_who_needs_the_storage_before_it_is_known_waits() -> None:
    async with MemoryObjectStorage() as there, asyncio.TaskGroup() as group:
        storage = StorageLink(connect=ObjectStorageClient)
        waiting = group.create_task(storage.client())
        opened = await storage.open(there.address)
        assert await waiting is opened
        await storage.aclose()
