"""Results that cannot be stored, and results that nobody wants any more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from scaler_batch.adapter.replies import SchedulerReplies, Stored
from scaler_batch.adapter.storage import StorageLink
from scaler_batch.adapter.translate import Answer, Errand
from scaler_batch.payload import Outcome, Status, Usage
from scaler_batch.tasks import TaskRequest
from scaler_batch.wire import ConnectionLostError, ResultKind, Task
from scaler_batch.wire.testing import MemoryObjectStorage

TASK = Task(b"t" * 16, b"Client|c", b"", b"f" * 32, (), ())
RESULT = Outcome(0, Status.SUCCESS, b"result")


class Link:
    """Hears what the scheduler would be told."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.profiles: list[object] = []

    def send_result(self, *what: Any, profile: object) -> None:
        self.sent.append(what)
        self.profiles.append(profile)


def request(link: Any) -> TaskRequest:
    return TaskRequest(b"t" * 16, b"s" * 32, b"f" * 32, context=Errand(TASK, link))


class BrokenClient:
    """An object storage that has gone."""

    async def set(self, *_: Any) -> None:
        raise ConnectionLostError("gone")

    async def delete(self, *_: Any) -> None:
        raise ConnectionLostError("gone")


class BrokenStorage(StorageLink):
    """Gives out the client of a storage that has gone."""

    async def client(self) -> Any:
        return BrokenClient()


async def test_a_result_that_cannot_be_stored_is_announced_without_an_object() -> None:
    link: Any = Link()
    async with SchedulerReplies(BrokenStorage()) as replies:
        prepared = await replies.prepare(request(link), RESULT)
        replies.announce(request(link), prepared)
    assert link.sent == [(b"t" * 16, ResultKind.FAILED_WORKER_DIED, None, 0)]


async def test_an_abandoned_result_is_removed_from_the_storage() -> None:
    link: Any = Link()
    async with MemoryObjectStorage() as objects:
        storage = StorageLink()
        await storage.open(objects.address)
        async with SchedulerReplies(storage) as replies:
            prepared = await replies.prepare(request(link), RESULT)
            assert list(objects.objects.values()) == [b"result"]
            replies.discard(request(link), prepared)
        assert objects.objects == {}
        await storage.aclose()
    assert link.sent == []


async def test_an_abandoned_result_that_cannot_be_removed_is_only_logged(caplog: pytest.LogCaptureFixture) -> None:
    link: Any = Link()
    async with SchedulerReplies(BrokenStorage()) as replies:
        replies.discard(request(link), Stored(Answer(ResultKind.SUCCESS, b""), b"o" * 32))
        replies.discard(request(link), Stored(Answer(ResultKind.FAILED_WORKER_DIED, b""), None))
    assert caplog.text.count("stays in the object storage") == 1


@pytest.mark.parametrize("usage", [Usage(wall=1e300), Usage(memory=2**70), Usage(cpu=float("nan"))])
async def test_an_answer_whose_profile_cannot_be_expressed_arrives_without_it(usage: Usage) -> None:
    link: Any = Link()
    async with MemoryObjectStorage() as objects:
        storage = StorageLink()
        await storage.open(objects.address)
        async with SchedulerReplies(storage) as replies:
            prepared = await replies.prepare(request(link), RESULT._replace(usage=usage))
            replies.announce(request(link), prepared)
        await storage.aclose()
    assert [sent[:2] for sent in link.sent] == [(b"t" * 16, ResultKind.SUCCESS)]
    assert link.profiles == [None]


async def test_leaving_does_not_wait_for_a_storage_that_does_not_answer() -> None:
    class Silent(BrokenClient):
        async def delete(self, *_: Any) -> None:
            await asyncio.Event().wait()

    class SilentStorage(StorageLink):
        async def client(self) -> Any:
            return Silent()

    link: Any = Link()
    async with asyncio.timeout(10):
        async with SchedulerReplies(SilentStorage(), parting=0.05) as replies:
            replies.discard(request(link), Stored(Answer(ResultKind.SUCCESS, b""), b"o" * 32))
            await asyncio.sleep(0)
