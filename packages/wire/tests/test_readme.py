"""The examples of the README do what they say."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from scaler_batch.wire import messages as m
from scaler_batch.wire.testing import ScriptedScheduler

README = Path(__file__).parents[1] / "README.md"


def example(number: int) -> dict[str, Any]:
    """Run an example and return what it defines."""
    source = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)[number]
    namespace: dict[str, Any] = {"__name__": "example"}
    exec(compile(source, str(README), "exec"), namespace)
    return namespace


async def test_the_worker_of_the_first_example_passes_the_test_of_the_last() -> None:
    work = example(0)["work"]

    @asynccontextmanager
    async def my_worker(address: str) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            working = group.create_task(work(address))
            yield
            working.cancel()

    test = example(2)
    test["my_worker"] = my_worker
    async with asyncio.timeout(20):
        await test["test_my_worker_answers"]()


async def test_the_manager_of_the_second_example_tells_what_is_wanted() -> None:
    own = (m.Capability("linux"),)
    printed: asyncio.Queue[tuple[object, ...]] = asyncio.Queue()
    manager = example(1)
    manager["print"] = lambda *words: printed.put_nowait(words)
    async with (
        ScriptedScheduler(m.ObjectStorageAddress("h", 1)) as scheduler,
        asyncio.timeout(20),
        asyncio.TaskGroup() as group,
    ):
        scheduler.command = m.WorkerManagerCommand((m.DesiredTaskConcurrency(3, own),))
        managing = group.create_task(manager["manage"](scheduler.address, b"manager"))
        assert await printed.get() == ("wanted:", 3)
        heartbeat = await scheduler.receive(m.WorkerManagerHeartbeat)
        assert heartbeat == m.WorkerManagerHeartbeat(8, own, b"manager")
        managing.cancel()
