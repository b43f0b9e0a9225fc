"""The stage before submission: the bytes of a batch's inputs.

Most inputs come at once. A task whose inputs do not is set aside, so that its neighbours need not wait for it, and
queues again when they have come. And a batch takes no more inputs than fit into memory: the rest of it queues again at
once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from scaler_batch.payload import Call
from scaler_batch.payload.buffers import Buffer
from scaler_batch.payload.bundles import Value
from scaler_batch.payload.errors import StoreError
from scaler_batch.tasks.errors import InputError, InputUnavailableError, StorageUnavailableError, TaskFailedError
from scaler_batch.tasks.lifecycle import Ledger, Stage, Task
from scaler_batch.tasks.objects import Objects
from scaler_batch.tasks.ports import InputLoader
from scaler_batch.tasks.reply import Replies

GRACE: Final = 0.25
"""Seconds that a batch waits for the inputs of its tasks."""

ROOM: Final = 256 * 1024 * 1024
"""Bytes of inputs after which a batch takes no more tasks."""

_PORTION: Final = 500
"""Tasks whose inputs are fetched together."""

Loaded = Value | TaskFailedError
"""What came of fetching an input."""


class Ready(NamedTuple):
    """A task with what its job will be given."""

    task: Task
    call: Call


class Loader:
    """Fetches inputs, each once for a batch however many tasks use it."""

    def __init__(
        self,
        inputs: InputLoader,
        objects: Objects,
        ledger: Ledger,
        replies: Replies,
        again: Callable[[Task], None],
        transfers: int,
    ) -> None:
        self._inputs = inputs
        self._objects = objects
        self._ledger = ledger
        self._replies = replies
        self._again = again
        self._fetching = asyncio.Semaphore(transfers)
        self._late: asyncio.Queue[tuple[Task, list[asyncio.Task[Loaded]]]] = asyncio.Queue()
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Hold what is being fetched for as long as the manager lives."""
        async with asyncio.TaskGroup() as self._group:
            while True:
                self._group.create_task(self._await(*await self._late.get()))

    async def load(self, bundles: Sequence[Sequence[Task]], sequence: int) -> list[list[Ready]]:
        """Return the tasks of a batch that can go now, still in their bundles."""
        ready: dict[Task, Call] = {}
        room = ROOM
        tasks = [task for bundle in bundles for task in bundle]
        for start in range(0, len(tasks), _PORTION):
            portion = tasks[start : start + _PORTION]
            if room <= 0:
                self._put_back(portion)
                continue
            calls = await self._load(portion, sequence)
            room -= sum(_size(call) for call in calls.values())
            ready |= calls
        chosen = [[Ready(task, ready[task]) for task in bundle if task in ready] for bundle in bundles]
        return [bundle for bundle in chosen if bundle]

    async def _load(self, tasks: Sequence[Task], sequence: int) -> dict[Task, Call]:
        names = dict.fromkeys(name for task in tasks for name in task.request.inputs)
        loaded: dict[bytes, Loaded] = {}
        for name in names:
            if (reference := self._objects.find(name, sequence)) is not None:
                loaded[name] = reference
        fetches = self._start([name for name in names if name not in loaded], sequence)
        if fetches:
            await asyncio.wait(fetches.values(), timeout=GRACE)
        loaded |= {name: fetch.result() for name, fetch in fetches.items() if fetch.done()}
        return {task: call for task in tasks if (call := await self._call(task, loaded, fetches)) is not None}

    def _start(self, names: Iterable[bytes], sequence: int) -> dict[bytes, asyncio.Task[Loaded]]:
        if self._group is None:
            raise RuntimeError("inputs are loaded while the loader runs")
        return {name: self._group.create_task(self._fetch(name, sequence)) for name in names}

    async def _fetch(self, name: bytes, sequence: int) -> Loaded:
        async with self._fetching:
            try:
                return await self._objects.place(name, await self._inputs.load(name), sequence)
            except InputError as error:
                return InputUnavailableError(str(error))
            except StoreError as error:
                return StorageUnavailableError(f"the task's data could not be put into S3: {error}")

    async def _call(
        self, task: Task, loaded: Mapping[bytes, Loaded], fetches: Mapping[bytes, asyncio.Task[Loaded]]
    ) -> Call | None:
        """Put a call together; ``None`` where the task is late, cannot be had, or was cancelled."""
        values: list[Value] = []
        for name in task.request.inputs:
            value = loaded.get(name)
            if isinstance(value, TaskFailedError):
                await self._replies.put(task, value)
                return None
            if value is None:
                self._late.put_nowait((task, [fetches[each] for each in task.request.inputs if each in fetches]))
                return None
            values.append(value)
        serializer, function, *arguments = values
        return Call(serializer, function, tuple(arguments)) if self._ledger.holds(task) else None

    async def _await(self, task: Task, fetches: Sequence[asyncio.Task[Loaded]]) -> None:
        """Let a task queue again when its inputs have come, or fail it with the first that cannot be had."""
        for fetch in fetches:
            if isinstance(failure := await fetch, TaskFailedError):
                await self._replies.put(task, failure)
                return
        self._put_back([task])

    def _put_back(self, tasks: Iterable[Task]) -> None:
        for task in tasks:
            if self._ledger.move(task, Stage.QUEUED):
                self._again(task)


def _size(call: Call) -> int:
    return sum(len(value) for value in call.values if isinstance(value, Buffer))
