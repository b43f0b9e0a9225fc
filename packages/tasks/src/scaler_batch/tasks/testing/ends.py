"""The two ends of a task manager: where inputs come from, and who hears the results."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from typing import Any

from scaler_batch.aws import JobShape
from scaler_batch.payload import Call
from scaler_batch.payload.buffers import Buffer
from scaler_batch.payload.bundles import Reference, Value
from scaler_batch.tasks.errors import InputError
from scaler_batch.tasks.models import Result, TaskRequest


class MemoryInputs:
    """Inputs in memory.

    Attributes:
        objects: What there is. What is not here is missing.
        slow: Objects that are there only once an event is set.
        loads: How often each object was asked for.
    """

    def __init__(self) -> None:
        self.objects: dict[bytes, Buffer] = {}
        self.slow: dict[bytes, asyncio.Event] = {}
        self.loads: Counter[bytes] = Counter()

    def request(
        self, task_id: bytes, call: Call, *, priority: int = 0, shape: JobShape | None = None, context: object = None
    ) -> TaskRequest:
        """Hold the objects of a call, equal ones once, and return the request for it."""
        serializer, function, *arguments = map(self._hold, call.values)
        return TaskRequest(task_id, serializer, function, tuple(arguments), priority, shape, context)

    async def load(self, object_id: bytes) -> Buffer:
        """Return an object's bytes."""
        self.loads[object_id] += 1
        if object_id in self.slow:
            await self.slow[object_id].wait()
        try:
            return self.objects[object_id]
        except KeyError:
            raise InputError(f"object {object_id.hex()} is not in the object storage") from None

    def _hold(self, value: Value) -> bytes:
        if isinstance(value, Reference):
            raise TypeError("inputs are bytes; where they are to lie is the manager's decision")
        name = hashlib.sha256(value).digest()[:16]
        self.objects[name] = value
        return name


class RecordingSink:
    """Keeps what it hears, and fails the manager at once where a request is answered or discarded twice.

    Requests are told apart by identity: give each life of a task a request object of its own.

    Attributes:
        announced: Requests with their results, in order of announcement.
        discarded: Requests whose prepared reply was thrown away.
        preparing: How many replies are being prepared.
        gate: Replies are prepared while this is set; clear it to hold them up.
    """

    def __init__(self) -> None:
        self.announced: list[tuple[TaskRequest, Result]] = []
        self.discarded: list[TaskRequest] = []
        self.preparing = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._ended: set[int] = set()
        self._changed = asyncio.Event()

    @property
    def results(self) -> dict[bytes, Result]:
        """The latest result of each task."""
        return {request.task_id: result for request, result in self.announced}

    async def prepare(self, request: TaskRequest, result: Result) -> Result:
        """Take as long as the gate is closed."""
        self.preparing += 1
        self._changed.set()
        try:
            await self.gate.wait()
        finally:
            self.preparing -= 1
        return result

    def announce(self, request: TaskRequest, prepared: Any) -> None:
        """Keep the result."""
        self._end(request)
        self.announced.append((request, prepared))

    def discard(self, request: TaskRequest, prepared: Any) -> None:
        """Keep that it was not to be."""
        self._end(request)
        self.discarded.append(request)

    async def answers(self, count: int) -> None:
        """Wait until so many tasks have been answered."""
        while len(self.announced) < count:
            self._changed.clear()
            await self._changed.wait()

    async def is_preparing(self, count: int = 1) -> None:
        """Wait until so many replies are being prepared."""
        while self.preparing < count:
            self._changed.clear()
            await self._changed.wait()

    def _end(self, request: TaskRequest) -> None:
        if id(request) in self._ended:
            raise AssertionError(f"task {request.task_id.hex()} was answered or discarded twice")
        self._ended.add(id(request))
        self._changed.set()
