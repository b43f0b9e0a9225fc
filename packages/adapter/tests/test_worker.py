"""The worker between a scheduler and an object storage that speak the real bytes, and a fake AWS Batch."""

from __future__ import annotations

import asyncio
import math
import pickle
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from scaler_batch.adapter.errors import SchedulerLostError
from scaler_batch.adapter.heartbeat import HeartbeatManager
from scaler_batch.adapter.inputs import CachedInputs
from scaler_batch.adapter.replies import SchedulerReplies
from scaler_batch.adapter.routes import Routes
from scaler_batch.adapter.settings import WorkerSettings
from scaler_batch.adapter.storage import StorageLink
from scaler_batch.adapter.worker import AWSBatchWorker, End
from scaler_batch.aws import JobShape
from scaler_batch.payload import RunLocation
from scaler_batch.payload.calls import make_call, open_call
from scaler_batch.payload.testing import MemoryStore
from scaler_batch.tasks import AWSHPCTaskManager, TaskManagerSettings
from scaler_batch.tasks.testing import FakeJobService, Reject, Stall
from scaler_batch.wire import (
    Argument,
    ArgumentKind,
    CancelOutcome,
    Capability,
    ResultKind,
    SchedulerSilent,
    Task,
    WorkerConnection,
    serializer_id,
)
from scaler_batch.wire.messages import (
    ClientDisconnect,
    DisconnectKind,
    InstructionKind,
    ObjectInstruction,
    ObjectKind,
    ObjectMetadata,
    TaskCancel,
    TaskCancelConfirm,
    TaskCancelFlags,
    TaskResult,
)
from scaler_batch.wire.testing import MemoryObjectStorage, ScriptedScheduler

CLIENT = b"Client|" + b"c" * 32
GPU = JobShape("gpu queue", "definition", 3600, gpus=1)


class Office:
    """A running worker and the means to talk to it as scheduler and client do."""

    incarnation = b"one"

    async def identify(self) -> bytes:
        return self.incarnation

    async def open(self, stack: AsyncExitStack) -> None:
        self.objects = await stack.enter_async_context(MemoryObjectStorage())
        self.scheduler = await stack.enter_async_context(ScriptedScheduler(self.objects.address))
        self.store = MemoryStore()
        self.jobs = FakeJobService(self.store, run=lambda call: open_call(call).run())
        self.storage = StorageLink()
        self.inputs = CachedInputs(self.storage)
        settings = WorkerSettings(
            self.scheduler.address,
            "bucket",
            TaskManagerSettings("queue", "definition"),
            queue_size=7,
            capabilities=(Capability("linux"), Capability("cpu", 4)),
            routes=Routes({"gpu": GPU}),
            manager_id=b"manager",
        )
        heartbeat = HeartbeatManager(settings, lambda: self.manager.snapshot())
        link = WorkerConnection(self.scheduler.address, heartbeat)
        replies = SchedulerReplies(self.storage)
        self.manager = AWSHPCTaskManager(
            TaskManagerSettings("queue", "definition"),
            RunLocation("bucket", "prefix", "run", "us-east-1"),
            jobs=self.jobs,
            store=self.store,
            inputs=self.inputs,
            sink=replies,
        )
        await stack.enter_async_context(link)
        stack.push_async_callback(self.storage.aclose)
        await stack.enter_async_context(replies)
        await stack.enter_async_context(self.manager)
        worker = AWSBatchWorker(
            link, self.storage, self.inputs, self.manager, settings.routes, identify=lambda: self.identify()
        )
        self.working = (await stack.enter_async_context(asyncio.TaskGroup())).create_task(worker.run())
        stack.callback(self.working.cancel)
        await self.scheduler.worker()

    def task(self, number: int, function: Any, *arguments: Any) -> Task:
        """Put a call's objects into the storage, and write the scheduler's message about it."""
        call = make_call(function, *arguments)
        names = [bytes([number, position]) * 16 for position in range(1 + len(arguments))]
        for name, content in zip(names, (call.function, *call.arguments), strict=True):
            self.objects.set(name, bytes(content))
        self.objects.set(serializer_id(CLIENT), bytes(call.serializer))
        named = tuple(Argument(ArgumentKind.OBJECT_ID, name) for name in names[1:])
        return Task(bytes([number]) * 16, CLIENT, b"", names[0], named, ())

    def result(self, object_id: bytes) -> Any:
        """Read a result as the client does."""
        return pickle.loads(self.objects.objects[object_id])


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    opened = Office()
    async with AsyncExitStack() as stack:
        await opened.open(stack)
        yield opened


async def test_a_task_is_answered_with_its_result(office: Office) -> None:
    office.scheduler.send(office.task(1, math.sqrt, 16))
    created = await office.scheduler.receive(ObjectInstruction)
    result = await office.scheduler.receive(TaskResult)
    assert result.kind is ResultKind.SUCCESS
    assert office.result(result.results[0]) == 4.0
    assert (created.user, created.metadata.ids) == (CLIENT, result.results)


async def test_an_exception_is_answered_as_a_failure(office: Office) -> None:
    office.scheduler.send(office.task(1, math.sqrt, -1))
    result = await office.scheduler.receive(TaskResult)
    assert result.kind is ResultKind.FAILED
    assert isinstance(office.result(result.results[0]), ValueError)


async def test_a_failure_of_the_job_is_answered_with_its_text(office: Office) -> None:
    office.jobs.faults.append(Reject())
    office.scheduler.send(office.task(1, math.sqrt, 16))
    result = await office.scheduler.receive(TaskResult)
    assert result.kind is ResultKind.FAILED
    assert "AWS Batch does not take the job" in str(office.result(result.results[0]))


async def test_an_input_used_by_many_tasks_is_fetched_once(office: Office) -> None:
    first, second = office.task(1, math.sqrt, 16), office.task(2, math.sqrt, 25)
    second = Task(second.task_id, CLIENT, b"", first.function_id, second.arguments, ())
    office.scheduler.send(first)
    await office.scheduler.receive(TaskResult)
    office.scheduler.send(second)
    await office.scheduler.receive(TaskResult)
    fetched = [object_id for kind, object_id in office.objects.requests if kind.name == "GET"]
    assert fetched.count(first.function_id) == 1


async def test_a_deleted_object_is_fetched_again(office: Office) -> None:
    task = office.task(1, math.sqrt, 16)
    office.scheduler.send(task)
    await office.scheduler.receive(TaskResult)
    gone = ObjectMetadata((task.function_id,), (ObjectKind.OBJECT,), (b"",), ())
    office.scheduler.send(ObjectInstruction(InstructionKind.DELETE, b"", gone))
    office.scheduler.send(Task(b"again" + bytes(11), CLIENT, b"", task.function_id, task.arguments, ()))
    await office.scheduler.receive(TaskResult)
    fetched = [object_id for kind, object_id in office.objects.requests if kind.name == "GET"]
    assert fetched.count(task.function_id) == 2


@dataclass
class ReportedStall(Stall):
    """A stalled call that tells when it has been made."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def strike(self, effect: Any) -> Any:
        self.reached.set()
        return await super().strike(effect)


async def test_cancels_are_confirmed_as_the_stage_demands(office: Office) -> None:
    stalled = ReportedStall("submit")
    office.jobs.faults.append(stalled)
    office.scheduler.send(office.task(1, math.sqrt, 16))
    await stalled.reached.wait()
    office.scheduler.send(office.task(2, math.sqrt, 25))

    async def cancel(number: int, *, force: bool) -> CancelOutcome:
        office.scheduler.send(TaskCancel(bytes([number]) * 16, TaskCancelFlags(force)))
        confirm = await office.scheduler.receive(TaskCancelConfirm)
        assert confirm.task_id == bytes([number]) * 16
        return confirm.outcome

    assert await cancel(1, force=False) is CancelOutcome.FAILED
    assert await cancel(2, force=False) is CancelOutcome.CANCELED
    assert await cancel(2, force=True) is CancelOutcome.NOT_FOUND
    assert await cancel(1, force=True) is CancelOutcome.CANCELED
    assert await cancel(9, force=True) is CancelOutcome.NOT_FOUND
    stalled.until.set()


async def test_a_task_that_names_another_task_is_refused_and_the_worker_lives(office: Office) -> None:
    office.scheduler.send(Task(b"x" * 16, CLIENT, b"", b"f" * 32, (Argument(ArgumentKind.TASK, b"y" * 16),), ()))
    assert (await office.scheduler.receive(TaskResult)).kind is ResultKind.FAILED_WORKER_DIED
    office.scheduler.send(office.task(1, math.sqrt, 16))
    assert (await office.scheduler.receive(TaskResult)).kind is ResultKind.SUCCESS


async def test_the_heartbeat_tells_queue_size_and_memory(office: Office) -> None:
    heartbeat = await office.scheduler.heartbeat()
    assert heartbeat.queue_size == 7
    assert set(heartbeat.capabilities) == {Capability("linux"), Capability("cpu", 4)}
    assert heartbeat.manager_id == b"manager"
    assert heartbeat.agent.rss > 0
    assert 0 < heartbeat.rss_free <= heartbeat.memory_limit


async def test_a_shutdown_of_the_scheduler_ends_the_work(office: Office) -> None:
    office.scheduler.send(ClientDisconnect(DisconnectKind.SHUTDOWN))
    async with asyncio.timeout(30):
        assert await office.working is End.DISMISSED


async def test_a_task_goes_where_its_capability_says(office: Office) -> None:
    plain, routed = office.task(1, math.sqrt, 16), office.task(2, math.sqrt, 25)
    for task in (plain, replace(routed, capabilities=(Capability("gpu", 1),))):
        office.scheduler.send(task)
        await office.scheduler.receive(TaskResult)
    assert [each.spec.shape.queue for each in office.jobs.submissions.values()] == ["queue", "gpu queue"]


@pytest.mark.parametrize(("now", "expected"), [(b"one", None), (b"two", End.REPLACED)])
async def test_a_scheduler_is_known_again_after_the_link_was_lost(
    office: Office, now: bytes, expected: End | None
) -> None:
    office.incarnation = now
    await office.scheduler.stop()
    await office.scheduler.start()
    if expected is None:
        office.scheduler.send(office.task(1, math.sqrt, 16), await office.scheduler.worker())
        assert (await office.scheduler.receive(TaskResult)).kind is ResultKind.SUCCESS
    else:
        async with asyncio.timeout(30):
            assert await office.working is expected


async def test_a_task_that_comes_while_stopping_is_left_unanswered(office: Office) -> None:
    await office.manager.drain()
    office.scheduler.send(office.task(1, math.sqrt, 16))
    office.scheduler.send(TaskCancel(bytes([1]) * 16, TaskCancelFlags(True)))
    assert (await office.scheduler.receive(TaskCancelConfirm)).outcome is CancelOutcome.NOT_FOUND


async def test_a_silent_scheduler_is_an_error_that_says_so() -> None:
    class Silent:
        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> SchedulerSilent:
            return SchedulerSilent(300.0)

    unused: Any = None
    with pytest.raises(SchedulerLostError, match="300 s"):
        await AWSBatchWorker(Silent(), unused, unused, unused).run()  # type: ignore[arg-type]
