"""How a worker's work is ended: by itself, by a word from outside, by an error."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from scaler_batch.adapter.errors import SchedulerLostError
from scaler_batch.adapter.member import _beside, _first, _until
from scaler_batch.adapter.worker import End


class Worker:
    """Works until somebody says how it ends."""

    def __init__(self) -> None:
        self.end: asyncio.Future[End] = asyncio.get_running_loop().create_future()
        self.started = asyncio.Event()

    async def run(self) -> End:
        self.started.set()
        return await self.end


async def nothing() -> None:
    pytest.fail("there was nothing to wind down")


async def test_work_that_ends_by_itself_says_why() -> None:
    worker = Worker()
    worker.end.set_result(End.DISMISSED)
    assert await _until(asyncio.Event(), worker.run, nothing) is End.DISMISSED


async def test_when_told_to_stop_it_winds_down_while_the_work_goes_on() -> None:
    worker, stop, wound_down = Worker(), asyncio.Event(), []

    async def wind_down() -> None:
        wound_down.append(worker.end.cancelled())

    stop.set()
    assert await _until(stop, worker.run, wind_down) is End.STOPPED
    assert wound_down == [False]
    assert worker.end.cancelled()


async def test_an_error_of_the_work_comes_out() -> None:
    worker = Worker()
    worker.end.set_exception(SchedulerLostError("gone"))
    with pytest.raises(ExceptionGroup) as failed:
        await _until(asyncio.Event(), worker.run, nothing)
    assert failed.group_contains(SchedulerLostError)


async def test_of_several_the_first_that_ends_ends_all() -> None:
    workers: Any = [Worker(), Worker(), Worker()]
    workers[1].end.set_result(End.REPLACED)
    assert await _first(workers) is End.REPLACED
    assert workers[0].end.cancelled()


async def test_a_chore_ends_with_the_work_beside_it() -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def chore() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with _beside(chore()):
        await started.wait()
    assert ended.is_set()
