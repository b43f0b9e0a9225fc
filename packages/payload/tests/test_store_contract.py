"""What every store does, the one in memory and the one in S3 alike."""

from __future__ import annotations

import functools
import mmap
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from scaler_batch.payload import BlockingStore, Call, Store, encode_pack, fetch_bundle
from scaler_batch.payload.buffers import Pieces
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
    await stores.store.put("packs/1", [data])
    assert await stores.store.get("packs/1") == data
    assert stores.blocking.get("packs/1") == data


def in_memory_file(data: bytes) -> memoryview:
    pages = mmap.mmap(-1, len(data))
    pages[:] = data
    return memoryview(pages)


PIECES: dict[str, Pieces] = {
    "none": [],
    "an empty one": [b""],
    "bytes and a view": [b"01", memoryview(b"xx23xx")[2:4]],
    "a tuple with empty ones": (b"", b"01", b"", b"23", b""),
    "a writable view": [memoryview(bytearray(b"0123"))],
    "a view of a mapping": [b"01", in_memory_file(b"23")],
    "a view of a writable that is read only": [memoryview(bytearray(b"0123")).toreadonly()],
    "many": [b"%d" % number for number in range(1000)],
    "large ones": [b"0" * 3_000_000, memoryview(b"1" * 3_000_000)],
}


@pytest.mark.parametrize("pieces", PIECES.values(), ids=PIECES)
async def test_pieces_are_put_as_one(stores: Stores, pieces: Pieces) -> None:
    whole = b"".join(pieces)
    await stores.store.put("packs/1", pieces)
    stores.blocking.put_once("packs/2", pieces)
    assert await stores.store.get("packs/1") == whole
    assert stores.blocking.get("packs/2") == whole


async def test_ranges_are_got_in_the_order_in_which_they_were_asked_for(stores: Stores) -> None:
    data = random.Random(0).randbytes(5_000_000)
    await stores.store.put("packs/1", [data])
    far = len(data)
    for ranges in (
        [(0, 1)],
        [(0, far)],
        [(10, 20), (20, 30)],
        [(4_000_000, 4_000_010), (5, 9)],
        [(0, 100), (50, 60), (far - 1, far)],
        [(number * 1000, number * 1000 + 10) for number in range(200)],
    ):
        assert stores.blocking.get_ranges("packs/1", ranges) == [data[start:end] for start, end in ranges]


async def test_a_range_beyond_the_end_is_cut(stores: Stores) -> None:
    await stores.store.put("packs/1", [b"0123"])
    assert stores.blocking.get_ranges("packs/1", [(2, 10)]) == [b"23"]


def test_ranges_of_an_object_that_is_not_there_name_it(stores: Stores) -> None:
    with pytest.raises(NotStoredError) as caught:
        stores.blocking.get_ranges("packs/1", [(0, 5)])
    assert caught.value.key == "packs/1"


async def test_a_pack_in_parts_is_read_from_the_store(stores: Stores) -> None:
    items = [random.Random(number).randbytes(200_000) for number in range(8)]
    calls = [Call(b"s", b"f" * 1000, (item, items[0])) for item in items]
    pack = encode_pack([[call] for call in calls])
    assert pack.table
    await stores.store.put("packs/1", pack.pieces)
    read = functools.partial(stores.blocking.get_ranges, "packs/1")
    assert [fetch_bundle(read, pack.table, pack.digest, index).calls for index in range(8)] == [
        [call] for call in calls
    ]


async def test_what_is_put_replaces_what_lay_there(stores: Stores) -> None:
    await stores.store.put("packs/1", [b"old"])
    await stores.store.put("packs/1", [b"new"])
    assert await stores.store.get("packs/1") == b"new"


async def test_an_object_that_is_not_there_is_named(stores: Stores) -> None:
    with pytest.raises(NotStoredError) as caught:
        await stores.store.get("packs/1")
    assert caught.value.key == "packs/1"
    with pytest.raises(NotStoredError) as caught:
        stores.blocking.get("packs/2")
    assert caught.value.key == "packs/2"


async def test_what_is_renewed_stays_as_it_is(stores: Stores) -> None:
    data = random.Random(0).randbytes(100_000)
    await stores.store.put("packs/a b~1", [data])
    await stores.store.renew("packs/a b~1")
    assert await stores.store.get("packs/a b~1") == data
    assert await stores.store.list("packs") == ["packs/a b~1"]


async def test_what_is_not_there_cannot_be_renewed(stores: Stores) -> None:
    with pytest.raises(NotStoredError) as caught:
        await stores.store.renew("packs/1")
    assert caught.value.key == "packs/1"
    assert await stores.store.list("packs") == []


async def test_only_the_first_of_two_that_are_put_once_is_kept(stores: Stores) -> None:
    stores.blocking.put_once("outcomes/1", [b"first"])
    with pytest.raises(AlreadyStoredError) as caught:
        stores.blocking.put_once("outcomes/1", [b"second"])
    assert caught.value.key == "outcomes/1"
    assert not caught.value.retryable
    assert await stores.store.get("outcomes/1") == b"first"


async def test_a_listing_holds_every_key_below_the_prefix_and_no_other(stores: Stores) -> None:
    below = ["outcomes/1/0", "outcomes/1/interrupted.1", "outcomes/1.0/0", "outcomes/10/0"]
    for key in (*below, "outcomes-not/1", "packs/1"):
        await stores.store.put(key, [b"x"])
    assert sorted(await stores.store.list("outcomes")) == sorted(below)
    assert sorted(stores.blocking.list("outcomes")) == sorted(below)
    assert sorted(await stores.store.list("outcomes/1")) == sorted(below[:2])
    assert sorted(stores.blocking.list("outcomes/1")) == sorted(below[:2])


async def test_what_is_known_of_objects_is_their_size_and_when_they_were_stored(stores: Stores) -> None:
    await stores.store.put("outcomes/1/0", [b"12", b"345"])
    await stores.store.put("outcomes/1/1", [b""])
    await stores.store.put("packs/1", [b"x"])
    first = await stores.store.infos("outcomes")
    assert {key: info.size for key, info in first.items()} == {"outcomes/1/0": 5, "outcomes/1/1": 0}
    assert await stores.store.infos("objects") == {}
    await stores.store.put("outcomes/1/0", [b"1"])
    again = await stores.store.infos("outcomes")
    assert again["outcomes/1/0"].size == 1
    assert again["outcomes/1/0"].stored_at >= first["outcomes/1/0"].stored_at
    assert again["outcomes/1/1"] == first["outcomes/1/1"]


async def test_a_listing_of_nothing_is_empty(stores: Stores) -> None:
    assert await stores.store.list("outcomes") == []
    assert stores.blocking.list("outcomes") == []


async def test_a_run_does_not_see_another_runs_objects(stores: Stores) -> None:
    await stores.other.put("outcomes/1", [b"x"])
    assert await stores.store.list("outcomes") == []
    with pytest.raises(NotStoredError):
        await stores.store.get("outcomes/1")


async def test_what_is_deleted_is_gone_and_the_rest_stays(stores: Stores) -> None:
    for number in range(3):
        await stores.store.put(f"outcomes/{number}", [b"x"])
    await stores.store.delete(["outcomes/0", "outcomes/2"])
    assert await stores.store.list("outcomes") == ["outcomes/1"]


async def test_deleting_what_is_not_there_is_no_error(stores: Stores) -> None:
    await stores.store.delete(["outcomes/1", "outcomes/2"])
    await stores.store.delete([])


@pytest.mark.long
async def test_more_keys_than_one_request_takes_are_listed_and_deleted(stores: Stores) -> None:
    keys = [f"outcomes/1.{number}" for number in range(1001)]
    for key in keys:
        await stores.store.put(key, [b"x"])
    assert sorted(await stores.store.list("outcomes")) == sorted(keys)
    assert sorted(stores.blocking.list("outcomes")) == sorted(keys)
    await stores.store.delete(keys)
    assert await stores.store.list("outcomes") == []
