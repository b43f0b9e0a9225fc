"""What every store does, the one in memory and the one in S3 alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from scaler_batch.payload import BlockingStore, Store
from scaler_batch.payload.errors import AlreadyStoredError, NotStoredError
from scaler_batch.payload.s3 import BlockingS3RunStore, S3RunStore
from scaler_batch.payload.testing import BlockingMemoryStore, MemoryStore

if TYPE_CHECKING:
    from conftest import S3


@dataclass(frozen=True)
class Stores:
    """The two doors to the objects of one run, and one of another run in the same place."""

    store: Store
    blocking: BlockingStore
    other: Store


def in_memory(request: pytest.FixtureRequest) -> Stores:
    store = MemoryStore()
    return Stores(store, BlockingMemoryStore(store), MemoryStore())


def in_s3(request: pytest.FixtureRequest) -> Stores:
    s3: S3 = request.getfixturevalue("s3")
    run = s3.run()
    return Stores(
        S3RunStore(run, environment=s3.environment),
        BlockingS3RunStore(run, environment=s3.environment),
        S3RunStore(s3.run(), environment=s3.environment),
    )


@pytest.fixture(params=[in_memory, in_s3], ids=["memory", "s3"])
def stores(request: pytest.FixtureRequest) -> Stores:
    make: Callable[[pytest.FixtureRequest], Stores] = request.param
    return make(request)


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 8192], ids=["empty", "small", "2 MiB"])
async def test_what_was_put_is_got(stores: Stores, data: bytes) -> None:
    await stores.store.put("packs/1", data)
    assert await stores.store.get("packs/1") == data
    assert stores.blocking.get("packs/1") == data


async def test_a_view_can_be_put(stores: Stores) -> None:
    await stores.store.put("packs/1", memoryview(b"012345")[2:4])
    assert await stores.store.get("packs/1") == b"23"


async def test_what_is_put_replaces_what_lay_there(stores: Stores) -> None:
    await stores.store.put("packs/1", b"old")
    await stores.store.put("packs/1", b"new")
    assert await stores.store.get("packs/1") == b"new"


async def test_an_object_that_is_not_there_is_named(stores: Stores) -> None:
    with pytest.raises(NotStoredError) as caught:
        await stores.store.get("packs/1")
    assert caught.value.key == "packs/1"
    with pytest.raises(NotStoredError) as caught:
        stores.blocking.get("packs/2")
    assert caught.value.key == "packs/2"


async def test_only_the_first_of_two_that_are_put_once_is_kept(stores: Stores) -> None:
    stores.blocking.put_once("outcomes/1", b"first")
    with pytest.raises(AlreadyStoredError) as caught:
        stores.blocking.put_once("outcomes/1", b"second")
    assert caught.value.key == "outcomes/1"
    assert not caught.value.retryable
    assert await stores.store.get("outcomes/1") == b"first"


async def test_a_listing_holds_every_key_below_the_prefix_and_no_other(stores: Stores) -> None:
    for key in ("outcomes/1", "outcomes/2.0", "outcomes/2.1", "outcomes-not/1", "packs/1"):
        await stores.store.put(key, b"x")
    assert sorted(await stores.store.list("outcomes")) == ["outcomes/1", "outcomes/2.0", "outcomes/2.1"]


async def test_a_listing_of_nothing_is_empty(stores: Stores) -> None:
    assert await stores.store.list("outcomes") == []


async def test_a_run_does_not_see_another_runs_objects(stores: Stores) -> None:
    await stores.other.put("outcomes/1", b"x")
    assert await stores.store.list("outcomes") == []
    with pytest.raises(NotStoredError):
        await stores.store.get("outcomes/1")


async def test_what_is_deleted_is_gone_and_the_rest_stays(stores: Stores) -> None:
    for number in range(3):
        await stores.store.put(f"outcomes/{number}", b"x")
    await stores.store.delete(["outcomes/0", "outcomes/2"])
    assert await stores.store.list("outcomes") == ["outcomes/1"]


async def test_deleting_what_is_not_there_is_no_error(stores: Stores) -> None:
    await stores.store.delete(["outcomes/1", "outcomes/2"])
    await stores.store.delete([])


async def test_more_keys_than_one_request_takes_are_listed_and_deleted(stores: Stores) -> None:
    keys = [f"outcomes/1.{number}" for number in range(1001)]
    for key in keys:
        await stores.store.put(key, b"x")
    assert sorted(await stores.store.list("outcomes")) == sorted(keys)
    await stores.store.delete(keys)
    assert await stores.store.list("outcomes") == []
