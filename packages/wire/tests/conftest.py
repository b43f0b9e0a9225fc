from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from scaler_batch.wire import Backoff, ObjectStorageAddress, ObjectStorageClient, StorageSettings, TransportKind
from scaler_batch.wire.testing import MemoryObjectStorage, ScriptedScheduler

# How many examples the hostile tests try; WIRE_HOSTILE_EXAMPLES=100000 for the long run.
HOSTILE_EXAMPLES = int(os.environ.get("WIRE_HOSTILE_EXAMPLES", "1000"))
settings.register_profile(
    "hostile", max_examples=HOSTILE_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.register_profile("wire", deadline=None)
settings.load_profile("wire")

# Or else pytest-asyncio asks for the current loop before there is one; Python 3.11 then makes one that nobody closes.
asyncio.set_event_loop(None)


STORAGE = ObjectStorageAddress("127.0.0.1", 5, "tcp")
QUICK = StorageSettings(backoff=Backoff(first=0.001, longest=0.01), give_up_after=20.0)


@pytest.fixture(scope="session")
def vectors() -> dict[str, bytes]:
    """Messages made by the published library, by name."""
    text = (Path(__file__).parent / "data" / "vectors.json").read_text()
    return {name: bytes.fromhex(value) for name, value in json.loads(text).items()}


@pytest.fixture(params=[TransportKind.ZMQ, TransportKind.YMQ], ids=["zmq", "ymq"])
async def scheduler(request: pytest.FixtureRequest) -> AsyncIterator[ScriptedScheduler]:
    """One that speaks either transport and names a storage that nobody asks."""
    async with ScriptedScheduler(STORAGE, transport=request.param) as running:
        yield running


@pytest.fixture
async def storage() -> AsyncIterator[MemoryObjectStorage]:
    async with MemoryObjectStorage() as running:
        yield running


@pytest.fixture
async def client(storage: MemoryObjectStorage) -> AsyncIterator[ObjectStorageClient]:
    async with ObjectStorageClient(storage.address, settings=QUICK) as connected:
        yield connected
