"""A worker as small as it can be: it runs what it is sent in a thread, in this process.

That is good enough for functions of the standard library.
"""

from __future__ import annotations

import asyncio
import os
import pickle
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import cloudpickle

from real_scaler import SOON, Cluster
from scaler_batch.wire import (
    Backoff,
    CancelOutcome,
    CancelRequested,
    LinkSettings,
    LogStream,
    ObjectsDeleted,
    ObjectStorageClient,
    Profile,
    Registered,
    ResultKind,
    ShutdownRequested,
    Task,
    TaskFlags,
    TaskReceived,
    WorkerConnection,
    WorkerHeartbeat,
    new_result_id,
)

QUICK = LinkSettings(heartbeat_interval=0.2, echo_patience=1.0, backoff=Backoff(first=0.02, longest=0.2))


class Worker:
    """Runs each task in a thread, or keeps it where `run` is off, and confirms each cancel with `cancel_outcome`."""

    def __init__(self, link: WorkerConnection) -> None:
        self.link = link
        self.received: list[Task] = []
        self.finished = 0
        self.registered = asyncio.Event()
        self.deleted: list[bytes] = []
        self.other_events: list[Any] = []
        self.shutdown = asyncio.Event()
        self.cancels: list[CancelRequested] = []
        self.news = asyncio.Event()
        self.run = True
        self.twice = False
        self.cancel_outcome: CancelOutcome = CancelOutcome.CANCELED
        self.storage: ObjectStorageClient

    async def work(self) -> None:
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
            async for event in self.link:
                match event:
                    case Registered(storage=address):
                        self.storage = await stack.enter_async_context(ObjectStorageClient(address))
                        self.link.adopt(self.storage.dialect)
                        self.registered.set()
                    case TaskReceived(task=task):
                        self.received.append(task)
                        if self.run:
                            group.create_task(self.answer(task))
                    case CancelRequested(task_id=task_id):
                        self.cancels.append(event)
                        self.link.confirm_cancel(task_id, self.cancel_outcome)
                        self.resume()
                    case ObjectsDeleted(object_ids=ids):
                        self.deleted += ids
                    case ShutdownRequested():
                        self.shutdown.set()
                    case _:
                        self.other_events.append(event)
                self.news.set()

    def resume(self) -> None:
        """Do as if the link had been lost at this moment, where `twice` is on: what was just sent goes again."""
        if self.twice:
            self.link.link_up(None)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(SOON):
            while not condition():
                self.news.clear()
                await self.news.wait()

    async def answer(self, task: Task) -> None:
        get = self.storage.get
        ids = (task.function_id, *(argument.data for argument in task.arguments))
        function, *arguments = map(cloudpickle.loads, await asyncio.gather(*(get(i, SOON) for i in ids)))
        try:
            outcome, kind = await asyncio.to_thread(function, *arguments), ResultKind.SUCCESS
            content = cloudpickle.dumps(outcome)
        except Exception as error:
            content, kind = pickle.dumps(error), ResultKind.FAILED
        if TaskFlags.decode(task.metadata).stream_output:
            self.link.send_log(task.task_id, LogStream.STDOUT, f"pid {os.getpid()}\n")
        result_id = new_result_id(task.source)
        await self.storage.set(result_id, content)
        self.link.send_result(task.task_id, kind, result_id, len(content), profile=Profile(0.25, 4096, 0.125))
        self.resume()
        self.finished += 1
        self.news.set()


@asynccontextmanager
async def worker_of(
    cluster: Cluster, manager_id: bytes = b"", settings: LinkSettings = QUICK, by: str | None = None
) -> AsyncIterator[Worker]:
    """Connect a worker, by another address than the scheduler's where one is given, and wait until it is registered."""
    vitals = WorkerHeartbeat(queue_size=1000, manager_id=manager_id)
    async with (
        asyncio.TaskGroup() as group,
        WorkerConnection(by or cluster.scheduler_address, lambda: vitals, settings=settings) as link,
    ):
        worker = Worker(link)
        group.create_task(worker.work())
        async with asyncio.timeout(SOON):
            await worker.registered.wait()
        yield worker
        await link.close()


async def serve(scheduler_address: str) -> None:
    """Work for a scheduler until it is told to stop."""
    vitals = WorkerHeartbeat(queue_size=1000)
    async with WorkerConnection(scheduler_address, lambda: vitals, settings=QUICK) as link:
        await Worker(link).work()


def main(scheduler_address: str) -> None:
    """Be such a worker."""
    asyncio.run(serve(scheduler_address))
