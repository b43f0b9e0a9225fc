from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from scaler_batch.adapter.errors import SchedulerLostError
from scaler_batch.adapter.fleet import Fleet, Scaling, manager_link
from scaler_batch.adapter.settings import FleetSettings, WorkerSettings
from scaler_batch.tasks import Snapshot, Stage, TaskManagerSettings
from scaler_batch.wire import ConcurrencyDesired, ConnectionLostError, SchedulerSilent


class Worker:
    """Works until it is told to stop, or dismissed."""

    def __init__(self) -> None:
        self.run_id, self.worker_id = "run", "worker"
        self.busy = 0
        self.started, self.dismissed, self.ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def snapshot(self) -> Snapshot:
        return Snapshot({Stage.RUNNING: self.busy}, 0.0)

    async def work(self, stop: asyncio.Event) -> None:
        self.started.set()
        waiting = [asyncio.ensure_future(event.wait()) for event in (stop, self.dismissed)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
            self.ended.set()


class Manager:
    """A manager's link that says what it is told to, step by step."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self.entered = asyncio.Event()

    async def __aenter__(self) -> Manager:
        self.entered.set()
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def __aiter__(self) -> Manager:
        return self

    async def __anext__(self) -> Any:
        event = await self.events.get()
        if isinstance(event, Exception):
            raise event
        return event


class Company:
    """A running fleet."""

    def __init__(self, settings: FleetSettings, manager: Any = None) -> None:
        self.hired: list[Worker] = []
        self.stop = asyncio.Event()
        self._news = asyncio.Event()
        self.manager = manager
        self.fleet = Fleet(settings, self._hire, "tcp://h:1")

    def _hire(self) -> Worker:
        self.hired.append(Worker())
        self._news.set()
        return self.hired[-1]

    async def started(self, number: int) -> None:
        while len(self.hired) < number:
            self._news.clear()
            await self._news.wait()
        for worker in self.hired:
            await worker.started.wait()


@asynccontextmanager
async def running(company: Company) -> AsyncIterator[asyncio.Task[None]]:
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        task = group.create_task(company.fleet.run(company.stop, company.manager))
        yield task
        company.stop.set()


async def test_a_fixed_number_of_workers_works_until_the_end() -> None:
    company = Company(FleetSettings("fixed", 3))
    async with running(company) as task:
        await company.started(3)
        assert len(list(company.fleet)) == 3
        company.stop.set()
        await task
    assert all(worker.ended.is_set() for worker in company.hired)
    assert list(company.fleet) == []


async def test_when_the_scheduler_dismisses_one_all_go() -> None:
    company = Company(FleetSettings("fixed", 2))
    async with running(company) as task:
        await company.started(2)
        company.hired[0].dismissed.set()
        await task
    assert company.hired[1].ended.is_set()


async def test_workers_come_and_go_as_the_scheduler_asks() -> None:
    manager = Manager()
    company = Company(FleetSettings("dynamic", 2, cooldown=0), manager)
    async with running(company):
        assert company.hired == []
        manager.events.put_nowait(ConcurrencyDesired(1))
        await company.started(1)
        manager.events.put_nowait(ConcurrencyDesired(5))
        await company.started(2)
        manager.events.put_nowait(ConcurrencyDesired(1))
        await company.hired[0].ended.wait()
        assert not company.hired[1].ended.is_set()
        manager.events.put_nowait(ConcurrencyDesired(2))
        await company.started(3)
    assert len(company.hired) == 3


async def test_a_worker_with_tasks_is_not_stopped_for_being_one_too_many() -> None:
    manager = Manager()
    company = Company(FleetSettings("dynamic", 2, cooldown=0), manager)
    async with running(company):
        manager.events.put_nowait(ConcurrencyDesired(2))
        await company.started(2)
        company.hired[0].busy = 1
        manager.events.put_nowait(ConcurrencyDesired(0))
        await company.hired[1].ended.wait()
        assert not company.hired[0].ended.is_set()
        company.hired[0].busy = 0
        manager.events.put_nowait(ConcurrencyDesired(0))
        await company.hired[0].ended.wait()


@pytest.mark.parametrize("event", [SchedulerSilent(300), ConnectionLostError("gone")])
async def test_a_manager_without_a_scheduler_gives_up(event: Any) -> None:
    manager = Manager()
    company = Company(FleetSettings("dynamic", 2), manager)
    manager.events.put_nowait(event)
    with pytest.raises(ExceptionGroup) as failed:
        await company.fleet.run(company.stop, company.manager)
    assert failed.group_contains(SchedulerLostError)


@pytest.mark.parametrize(
    ("commands", "decisions"),
    [
        ([(0, 1), (1, 1)], [1, 1]),
        ([(0, 9)], [4]),
        ([(0, 3), (1, 1), (30, 1), (31, 1)], [3, 3, 3, 1]),
        ([(0, 3), (1, 1), (20, 3), (31, 1), (60, 1), (61, 1)], [3, 3, 3, 3, 3, 1]),
    ],
)
def test_there_are_fewer_workers_only_after_a_rest(commands: Iterable[tuple[int, int]], decisions: list[int]) -> None:
    scaling, present = Scaling(FleetSettings("dynamic", 4, cooldown=30)), 0
    decided = []
    for now, wanted in commands:
        present = scaling.decide(wanted, present, now)
        decided.append(present)
    assert decided == decisions


def test_only_a_dynamic_fleet_has_a_manager() -> None:
    settings = WorkerSettings("tcp://h:1", "bucket", TaskManagerSettings("q", "d"), manager_id=b"wm")
    assert manager_link(settings, FleetSettings("fixed")) is None
    assert manager_link(settings, FleetSettings("dynamic")) is not None
