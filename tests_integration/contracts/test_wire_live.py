"""The link and the storage client against the real scheduler and object storage, over both transports.

The client is the real one, too, in a process of its own. All of it holds for every release that is spoken to.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
from collections.abc import AsyncIterator

import pytest

from plain_worker import worker_of
from real_scaler import BACKENDS, DIALECT, SOON, Cluster, start, stop
from scaler_batch.wire import (
    Backoff,
    CancelOutcome,
    LinkLost,
    LinkRestored,
    ObjectStorageClient,
    ObjectTimeoutError,
    RegisteredAnew,
    StorageSettings,
    TaskFlags,
    new_object_id,
)
from severing import Cut, Proxy, Way

# Or else pytest-asyncio asks for the current loop before there is one; Python 3.11 then makes one that nobody closes.
asyncio.set_event_loop(None)


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
""")
        assert printed.split("\n")[:-1] == ["2.0", "44850", "10000001", "ValueError('math domain error')"]
        assert worker.finished == 303
        await worker.until(lambda: len(worker.deleted) >= 3)  # the client has left, and its objects with it
        assert worker.other_events == []


async def test_a_graph_is_worked_off(cluster: Cluster) -> None:
    async with worker_of(cluster) as worker:
        printed = await cluster.client("""
graph = {"a": 4.0, "b": (math.sqrt, "a"), "c": (math.pow, "a", "b"), "d": (math.trunc, "c")}
with client:
    print(client.get(graph, ["b", "d"]))
""")
        assert printed.strip() == "{'b': 2.0, 'd': 16}"
        assert worker.finished == 3


async def test_a_client_inside_a_task_submits_with_the_next_higher_priority(cluster: Cluster) -> None:
    """The client asks the library's own worker process for the task it is inside of; there is a stand-in for that."""
    async with worker_of(cluster) as worker:
        await cluster.client(f"""
from types import SimpleNamespace
from scaler.worker.agent.processor.processor import Processor
with client:
    client.submit(math.sqrt, 4.0).result()
    task = SimpleNamespace(metadata=bytes.fromhex("{TaskFlags(priority=6).encode().hex()}"))
    Processor.get_current_processor = lambda: SimpleNamespace(current_task=lambda: task)
    client.submit(math.sqrt, 4.0).result()
""")
        assert [TaskFlags.decode(task.metadata).priority for task in worker.received] == [0, 7]


@pytest.mark.parametrize("wanted", [False, True])
async def test_the_wish_for_a_profile_arrives_and_the_profile_goes_back(cluster: Cluster, wanted: bool) -> None:
    async with worker_of(cluster) as worker:
        printed = await cluster.client(f"""
client.disconnect()
with Client(sys.argv[1], profiling={wanted}) as client:
    future = client.submit(math.sqrt, 4.0)
    future.result()
    profile = future.profiling_info()
    print(profile.duration_s, profile.memory_peak, profile.cpu_time_s)
""")
        assert printed.split() == ["0.25", "4096", "0.125"]
        assert [TaskFlags.decode(task.metadata).profiling for task in worker.received] == [wanted]


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


A_TASK = 250
"""Bytes of a task at least; of what else the scheduler says, only several together are as many."""


@pytest.mark.parametrize("how", Cut)
async def test_a_task_that_is_lost_with_the_link_comes_again(cluster: Cluster, how: Cut) -> None:
    with Proxy(cluster.ports) as proxy:
        async with worker_of(cluster, by=proxy.address) as worker, asyncio.TaskGroup() as group:
            worker.run = False
            told = group.create_task(
                cluster.client("""
with client:
    print(client.submit(math.sqrt, 4.0).result(), client.submit(math.sqrt, 9.0).result())
""")
            )
            await worker.until(lambda: len(worker.received) == 1)
            proxy.swallow(Way.TO_CLIENT)
            await worker.answer(worker.received[0])
            await asyncio.to_thread(proxy.wait_for_loss, A_TASK)
            proxy.cut(how)
            await worker.until(lambda: len(worker.received) == 2)
            await worker.answer(worker.received[1])
        assert RegisteredAnew() in worker.other_events
        assert told.result().split() == ["2.0", "3.0"]


async def test_the_storage_does_all_that_is_asked_of_it(storage: Cluster) -> None:
    one, two = new_object_id(b"client"), new_object_id(b"client")
    async with ObjectStorageClient(storage.storage_address) as client:
        assert client.dialect is DIALECT
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
