"""What the link costs: reading and writing a message, beside the published library; and a worker with nothing to do.

Reading is from bytes to a record with all its fields, writing from such a record to bytes, for both. Costs are
processor time of one core, the least of several rounds, for anything else on the machine only adds to them.
"""

from __future__ import annotations

import asyncio
import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass

from scaler.protocol import capnp as published

from plain_worker import worker_of
from real_scaler import start
from scaler_batch.wire import (
    Argument,
    ArgumentKind,
    Capability,
    LinkSettings,
    Message,
    ProcessorStatus,
    Profile,
    Resource,
    ResultKind,
    Task,
    TaskFlags,
    WorkerHeartbeat,
    decode,
    encode,
)
from scaler_batch.wire.messages import InstructionKind, ObjectInstruction, ObjectKind, ObjectMetadata, TaskResult

ROUNDS = 7
REPEATS = 2000

CLIENT = b"Client|" + b"0" * 32
ID = bytes(range(16))
OBJECT = bytes(range(32))

MESSAGES: dict[str, Message] = {
    "Task": Task(
        ID, CLIENT, TaskFlags().encode(), OBJECT, (Argument(ArgumentKind.OBJECT_ID, OBJECT),) * 2, (Capability("gpu"),)
    ),
    "TaskResult": TaskResult(ID, ResultKind.SUCCESS, Profile(1.5, 4096, 0.25).encode(), (OBJECT,)),
    "ObjectInstruction": ObjectInstruction(
        InstructionKind.CREATE, CLIENT, ObjectMetadata((OBJECT,), (ObjectKind.OBJECT,), (b"result",), (114,))
    ),
    "heartbeat": WorkerHeartbeat(
        agent=Resource(10, 1 << 20),
        queue_size=1000,
        processors=(ProcessorStatus(pid=1, initialized=True, resource=Resource(992, 1 << 30)),),
        capabilities=(Capability("batch"),),
        manager_id=b"manager",
        hostname="host",
    ),
}


def _task(frame: bytes) -> object:
    task = published.Message.from_bytes(frame).task
    arguments = [(argument.type, argument.data) for argument in task.functionArgs]
    capabilities = [(capability.name, capability.value) for capability in task.capabilities]
    return task.taskId, task.source, task.metadata, task.funcObjectId, arguments, capabilities


def _result(frame: bytes) -> object:
    result = published.Message.from_bytes(frame).taskResult
    return result.taskId, result.resultType, result.metadata, list(result.results)


def _instruction(frame: bytes) -> object:
    instruction = published.Message.from_bytes(frame).objectInstruction
    objects = instruction.objectMetadata
    lists = [list(objects.objectIds), list(objects.objectTypes), list(objects.objectNames), list(objects.objectSizes)]
    return instruction.instructionType, instruction.objectUser, lists


def _heartbeat(frame: bytes) -> object:
    beat = published.Message.from_bytes(frame).workerHeartbeat
    processors = [
        (
            *(each.pid, each.initialized, each.hasTask, each.suspended, each.resource.cpu, each.resource.rss),
            *(each.currentTaskId, each.taskAgeSeconds),
        )
        for each in beat.processors
    ]
    capabilities = [(capability.name, capability.value) for capability in beat.capabilities]
    return (
        *(beat.agent.cpu, beat.agent.rss, beat.rssFree, beat.queueSize, beat.queuedTasks, beat.latencyMicroseconds),
        *(beat.taskLock, processors, capabilities, beat.workerManagerID, beat.memLimit, beat.hostname),
        *(beat.netSentBytes, beat.netRecvBytes),
    )


THEIR_READING: dict[str, Callable[[bytes], object]] = {
    "Task": _task,
    "TaskResult": _result,
    "ObjectInstruction": _instruction,
    "heartbeat": _heartbeat,
}
"""The published library finds a field when it is asked for it; so each is asked for."""


@dataclass(frozen=True)
class CodecCost:
    """One line of the table.

    Attributes:
        message: Which.
        work: Reading or writing.
        ours: Microseconds.
        theirs: Microseconds that the compiled module of the published library takes.
    """

    message: str
    work: str
    ours: float
    theirs: float


@dataclass(frozen=True)
class IdleCost:
    """What a connected worker without tasks takes, heartbeats included.

    Attributes:
        transport: What it is connected over.
        percent: Of one core.
    """

    transport: str
    percent: float


def codec_costs(repeats: int = REPEATS) -> list[CodecCost]:
    """Measure reading and writing of the messages that every task brings, and of heartbeats."""
    return [cost for name, message in MESSAGES.items() for cost in _both_ways(name, message, repeats)]


def _both_ways(name: str, message: Message, repeats: int) -> list[CodecCost]:
    frame, read = encode(message), THEIR_READING[name]
    theirs = published.Message.from_bytes(frame)
    if decode(theirs.to_bytes()) != message:
        raise ValueError(f"the published library and this one do not agree on {name}")
    works: list[tuple[str, Callable[[], object], Callable[[], object]]] = [
        ("read", lambda: decode(frame), lambda: read(frame)),
        ("write", lambda: encode(message), theirs.to_bytes),
    ]
    return [
        CodecCost(name, work, microseconds(our_way, repeats), microseconds(their_way, repeats))
        for work, our_way, their_way in works
    ]


def microseconds(work: Callable[[], object], repeats: int) -> float:
    """Processor time of one call."""
    rounds = timeit.repeat(work, timer=time.process_time, number=repeats, repeat=ROUNDS)
    return min(rounds) / repeats * 1e6


def idle_costs(seconds: float = 20.0) -> list[IdleCost]:
    """Watch a worker that is connected to the real scheduler and object storage, over each transport."""
    return [IdleCost(transport, asyncio.run(_idle(transport, seconds))) for transport in ("zmq", "ymq")]


async def _idle(transport: str, seconds: float) -> float:
    cluster = await start(transport, scheduler=True)
    try:
        async with worker_of(cluster, settings=LinkSettings()):
            began, spent = time.perf_counter(), time.process_time()
            await asyncio.sleep(seconds)
            return (time.process_time() - spent) / (time.perf_counter() - began) * 100
    finally:
        await cluster.stop()


def main() -> None:
    """Print both tables."""
    for cost in codec_costs():
        print(f"{cost.work:5} {cost.message:18} {cost.ours:7.1f} us, published library {cost.theirs:7.1f} us")
    for idle in idle_costs():
        print(f"idle over {idle.transport}: {idle.percent:.3f} % of a core")


if __name__ == "__main__":
    main()
