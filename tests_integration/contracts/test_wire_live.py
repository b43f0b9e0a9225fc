"""The link and the storage client against the real scheduler and object storage, over both transports.

The worker here is as small as it can be: it runs what it is sent in a thread, in this process, which is good enough for
functions of the standard library. The client is the real one, in a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import random
import signal
import socket
import sys
import threading
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from scaler_batch.wire import (
    Backoff,
    CancelOutcome,
    CancelRequested,
    Dialect,
    LinkLost,
    LinkRestored,
    LinkSettings,
    LogStream,
    ObjectsDeleted,
    ObjectStorageClient,
    ObjectTimeoutError,
    Profile,
    Registered,
    ResultKind,
    ShutdownRequested,
    StorageSettings,
    Task,
    TaskFlags,
    TaskReceived,
    WorkerConnection,
    WorkerHeartbeat,
    new_object_id,
    new_result_id,
)

SOON = 60.0
HOST = "127.0.0.1"
BACKENDS = ("zmq", "ymq")
ATTEMPTS = 3
"""Somebody else may take a port between our finding it free and a program's binding it."""

# Or else pytest-asyncio asks for the current loop before there is one; Python 3.11 then makes one that nobody closes.
asyncio.set_event_loop(None)


class EndedError(Exception):
    """A program ended before it listened."""


def free_ports() -> int:
    """Find four ports in a row that nobody uses, below the range from which the system takes them by itself."""
    while True:
        first = random.randrange(20000, 30000)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + 4):
                stack.enter_context(socket.socket()).bind((HOST, port))
            return first


async def listening(process: Process, port: int) -> None:
    while True:
        if process.returncode is not None:
            raise EndedError
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return


class Cluster:
    """The real scheduler and the real object storage, in processes of their own."""

    def __init__(self, backend: str, ports: int) -> None:
        self.environment = {**os.environ, "SCALER_NETWORK_BACKEND": backend}
        self.ports = ports
        self.scheduler_address = f"tcp://{HOST}:{ports}"
        self.storage_address = f"tcp://{HOST}:{ports + 3}"
        self.storage: Process
        self.scheduler: Process
        self._started: list[Process] = []

    async def start_storage(self) -> None:
        self.storage = await self._start("scaler_object_storage_server", self.storage_address, port=self.ports + 3)

    async def start_scheduler(self) -> None:
        options = ("-osa", self.storage_address, "-pc", "allocate=even_load; scaling=no", "-wt", "5", "-ls", "-1")
        self.scheduler = await self._start("scaler_scheduler", self.scheduler_address, *options, port=self.ports)

    async def _start(self, program: str, *arguments: str, port: int) -> Process:
        path = Path(sys.executable).parent / program
        process = await asyncio.create_subprocess_exec(
            path, *arguments, env=self.environment, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL
        )
        self._started.append(process)
        async with asyncio.timeout(SOON):
            await listening(process, port)
        return process

    async def stop(self) -> None:
        for process in reversed(self._started):
            await stop(process)

    async def client(self, program: str) -> str:
        """Run a client to its end and return what it printed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CLIENT + program, self.scheduler_address, env=self.environment, stdout=PIPE
        )
        async with asyncio.timeout(SOON):
            output, _ = await process.communicate()
        assert process.returncode == 0
        return output.decode()


async def stop(process: Process, number: signal.Signals = signal.SIGTERM) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
    await process.wait()


async def start(backend: str, *, scheduler: bool) -> Cluster:
    for attempt in range(1, ATTEMPTS + 1):
        cluster = Cluster(backend, free_ports())
        try:
            await cluster.start_storage()
            if scheduler:
                await cluster.start_scheduler()
        except EndedError:
            await cluster.stop()
            if attempt == ATTEMPTS:
                raise
        else:
            break
    return cluster


@pytest.fixture(params=BACKENDS)
async def cluster(request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    running = await start(request.param, scheduler=True)
    yield running
    await running.stop()


@pytest.fixture
async def storage() -> AsyncIterator[Cluster]:
    running = await start("zmq", scheduler=False)
    yield running
    await running.stop()


CLIENT = """
import math, sys, time
from scaler import Client
client = Client(sys.argv[1])
"""


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


def vitals() -> WorkerHeartbeat:
    return WorkerHeartbeat(queue_size=1000)


QUICK = LinkSettings(heartbeat_interval=0.2, echo_patience=1.0, backoff=Backoff(first=0.02, longest=0.2))


@asynccontextmanager
async def worker_of(cluster: Cluster) -> AsyncIterator[Worker]:
    async with (
        asyncio.TaskGroup() as group,
        WorkerConnection(cluster.scheduler_address, vitals, settings=QUICK) as link,
    ):
        worker = Worker(link)
        group.create_task(worker.work())
        async with asyncio.timeout(SOON):
            await worker.registered.wait()
        yield worker
        await link.close()


async def test_calls_exceptions_and_large_values_go_through(cluster: Cluster) -> None:
    async with worker_of(cluster) as worker:
        printed = await cluster.client("""
with client:
    print(client.submit(math.sqrt, 4.0).result())
    print(sum(client.map(math.trunc, [float(n) for n in range(300)])))
    print(len(client.submit(lambda content: content + b"!", b"x" * 10_000_000).result()))
    try:
        client.submit(math.sqrt, -1.0).result()
    except ValueError as error:
        print(repr(error))
    future = client.submit(math.sqrt, 9.0)
    future.result()
    print(future.profiling_info().duration_s)
""")
        assert printed.split("\n")[:4] == ["2.0", "44850", "10000001", "ValueError('math domain error')"]
        assert printed.split("\n")[4] == "0.25"
        assert worker.finished == 304
        await worker.until(lambda: len(worker.deleted) >= 3)  # the client has left, and its objects with it
        assert worker.other_events == []


async def test_printed_output_is_streamed(cluster: Cluster) -> None:
    async with worker_of(cluster):
        printed = await cluster.client("""
client.disconnect()
client = Client(sys.argv[1], stream_output=True)
with client:
    client.submit(math.sqrt, 4.0).result()
    time.sleep(0.5)
""")
        assert f"pid {os.getpid()}" in printed


@pytest.mark.parametrize("outcome", [CancelOutcome.CANCELED, CancelOutcome.NOT_FOUND])
async def test_a_task_can_be_cancelled(cluster: Cluster, outcome: CancelOutcome) -> None:
    async with worker_of(cluster) as worker:
        worker.run = False
        worker.cancel_outcome = outcome
        told = await cluster.client("""
with client:
    future = client.submit(math.sqrt, 4.0)
    time.sleep(0.5)
    print(future.cancel(), future.cancelled())
""")
        assert told.strip() == "True True"
        assert [event.force for event in worker.cancels] == [True]


async def test_a_task_whose_cancel_failed_ends_with_its_result(cluster: Cluster) -> None:
    async with worker_of(cluster) as worker, asyncio.TaskGroup() as group:
        worker.run = False
        worker.cancel_outcome = CancelOutcome.FAILED
        told = group.create_task(
            cluster.client("""
with client:
    future = client.submit(math.sqrt, 4.0)
    time.sleep(0.5)
    print(future.cancel(), future.result())
""")
        )
        await worker.until(lambda: bool(worker.cancels))
        await worker.answer(worker.received[0])
    assert told.result().strip() == "False 2.0"


async def test_goodbye_gives_the_tasks_to_others_at_once(cluster: Cluster) -> None:
    async with worker_of(cluster) as first, asyncio.TaskGroup() as group:
        first.run = False
        told = group.create_task(
            cluster.client("""
with client:
    print(client.submit(math.sqrt, 4.0).result())
""")
        )
        await first.until(lambda: bool(first.received))
        async with worker_of(cluster) as second:
            await first.link.close()
            await second.until(lambda: second.finished == 1)
            assert second.received[0].task_id == first.received[0].task_id
            await asyncio.wait([told])
    assert told.result().strip() == "2.0"


async def test_a_shutdown_reaches_the_worker(cluster: Cluster) -> None:
    async with worker_of(cluster) as worker:
        await cluster.client("client.shutdown()")
        async with asyncio.timeout(SOON):
            await worker.shutdown.wait()


async def test_a_scheduler_that_is_killed_and_restarted_is_found_again(cluster: Cluster) -> None:
    async with worker_of(cluster) as worker:
        await stop(cluster.scheduler, signal.SIGKILL)
        await worker.until(lambda: any(isinstance(event, LinkLost) for event in worker.other_events))
        await cluster.start_scheduler()
        await worker.until(lambda: any(isinstance(event, LinkRestored) for event in worker.other_events))
        assert (await cluster.client("with client: print(client.submit(math.sqrt, 4.0).result())")).strip() == "2.0"


async def test_the_scheduler_passes_over_what_it_is_sent_twice(cluster: Cluster) -> None:
    """What a worker sends again after a lost link may have arrived the first time."""
    async with worker_of(cluster) as worker, asyncio.TaskGroup() as group:
        worker.run = False
        worker.twice = True
        told = group.create_task(
            cluster.client("""
with client:
    future = client.submit(math.sqrt, 4.0)
    time.sleep(0.5)
    print(future.cancel())
    print(client.submit(math.sqrt, 9.0).result())
    print(client.submit(math.sqrt, 16.0).result())
""")
        )
        await worker.until(lambda: len(worker.received) == 2)
        await worker.answer(worker.received[1])
        await worker.until(lambda: len(worker.received) == 3)
        await worker.answer(worker.received[2])
    assert told.result().split() == ["True", "3.0", "4.0"]


async def test_the_storage_does_all_that_is_asked_of_it(storage: Cluster) -> None:
    one, two = new_object_id(b"client"), new_object_id(b"client")
    async with ObjectStorageClient(storage.storage_address) as client:
        assert client.dialect is Dialect.NEW
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(client.get(one, SOON))
            await client.set(two, b"t", b"wo")
            assert not waiting.done()
            await client.set(one)
        assert waiting.result() == b""
        await client.duplicate(two, one, SOON)
        assert await client.get(one, SOON, limit=2) == b"tw"
        figures = await client.info()
        assert figures[:3] == (2, 1, 3)
        assert await client.delete(one) is True
        assert await client.delete(one) is False
        with pytest.raises(ObjectTimeoutError):
            await client.get(one, 0.05)
        assert await client.get(two, SOON) == b"two"


async def test_a_large_object_comes_back_as_it_was(storage: Cluster) -> None:
    object_id = new_object_id(b"client")
    content = random.Random(1).randbytes(50_000_000)
    async with ObjectStorageClient(storage.storage_address) as client:
        await client.set(object_id, content)
        assert await client.get(object_id, SOON) == content


async def test_no_answer_goes_astray_when_the_storage_is_killed_and_restarted_in_mid_traffic(storage: Cluster) -> None:
    contents = {new_object_id(b"client"): b"%d" % n * 1000 for n in range(300)}
    settings = StorageSettings(backoff=Backoff(first=0.01, longest=0.1))
    running = threading.Event()

    async def ask(client: ObjectStorageClient, object_id: bytes) -> bool:
        running.set()
        await client.set(object_id, contents[object_id])
        return await client.get(object_id, SOON) == contents[object_id]

    async def traffic(client: ObjectStorageClient) -> list[bool]:
        """Set and get the same objects again and again, so that what a restart forgets is there again."""
        return [all(await asyncio.gather(*(ask(client, i) for i in contents))) for _ in range(10)]

    async with ObjectStorageClient(storage.storage_address, settings=settings) as client, asyncio.TaskGroup() as group:
        asked = group.create_task(traffic(client))
        for _ in range(3):
            await asyncio.sleep(0.05)
            await stop(storage.storage, signal.SIGKILL)
            await storage.start_storage()
            await client.wait_connected()
        # Gets whose object went with a restart wait for it: set everything once more until all are answered.
        while not asked.done():
            await asyncio.gather(*(client.set(object_id, content) for object_id, content in contents.items()))
            await asyncio.wait([asked], timeout=0.1)
    assert all(asked.result())
    assert client.connections > 1
