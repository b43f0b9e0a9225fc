"""Jobs of a dead run are ended by its worker's next life, and nobody else's are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.aws import JobShape, JobSpec
from scaler_batch.payload import Call, Store, encode_pack, place
from scaler_batch.payload.testing import MemoryStore
from scaler_batch.tasks.leases import STALE, Lease, Leases, Place
from scaler_batch.tasks.testing import FakeJobService, Throttle
from scaler_batch.tasks.vocabulary import job_names

pytestmark = pytest.mark.looptime(end=10_000)

ELSEWHERE = Place("another machine", 1, 1)


class World:
    """A bucket and an AWS Batch, with workers that come and go."""

    def __init__(self) -> None:
        self.time = 1_000_000.0
        self.leases = MemoryStore()
        self.objects: dict[str, MemoryStore] = {}
        self.jobs = FakeJobService(MemoryStore())

    def objects_of(self, run_id: str) -> Store:
        return self.objects.setdefault(run_id, MemoryStore())

    def worker(self, run_id: str, name: str = "worker") -> Leases:
        return Leases(
            self.leases,
            worker=name,
            run_id=run_id,
            queues=["queue"],
            jobs=self.jobs,
            objects_of=self.objects_of,
            now=lambda: self.time,
        )

    def lease(self, run_id: str, where: Place = ELSEWHERE, name: str = "worker", queues: tuple[str, ...] = ("queue",)):
        self.leases.objects[f"{name}/{run_id}"] = Lease(where, queues, self.time).encode()

    async def submit(self, run_id: str, queue: str = "queue") -> str:
        pack = place(encode_pack([[Call(b"s", b"f")]])).parameter
        parameters = {"run": f"s3://b/{run_id}?region=x", "sequence": "1", "pack": pack}
        return await self.jobs.submit(JobSpec(f"{job_names(run_id)}1", JobShape(queue, "d", 60), parameters, 1))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def gone() -> Place:
    """Where a process ran that has ended."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        place = Place.here(process.pid)
        process.communicate(b"\n")
    return place


@pytest.fixture
def alive() -> Iterator[Place]:
    """Where another process runs."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield Place.here(process.pid)
        process.communicate(b"\n")


def test_this_process_is_here():
    assert Place.here().is_gone() is False


def test_a_process_that_has_ended_is_gone(gone: Place):
    assert gone.is_gone() is True


def test_a_number_that_is_used_again_is_another_process():
    assert replace(Place.here(), since=1).is_gone() is True


def test_a_process_of_another_machine_cannot_be_seen():
    assert ELSEWHERE.is_gone() is None


async def test_the_jobs_of_a_run_whose_process_is_gone_are_ended_at_once(world: World, gone: Place):
    job = await world.submit("old")
    world.lease("old", gone)
    (await world.objects_of("old").put("packs/1", [b"x"]))
    await world.worker("new").sweep()
    assert world.jobs.terminated == [job]
    assert world.objects["old"].objects == {}
    assert world.leases.objects == {}


async def test_a_run_on_another_machine_is_dead_when_its_lease_is_old(world: World):
    job = await world.submit("old")
    world.lease("old")
    world.time += STALE
    await world.worker("new").sweep()
    assert world.jobs.terminated == []
    world.time += 1
    await world.worker("new").sweep()
    assert world.jobs.terminated == [job]


async def test_a_run_of_the_same_worker_that_lives_is_left_alone_however_old_its_lease(world: World, alive: Place):
    await world.submit("other")
    world.lease("other", alive)
    world.time += 10 * STALE
    await world.worker("new").sweep()
    assert world.jobs.terminated == []
    assert list(world.leases.objects) == ["worker/other"]


async def test_another_workers_dead_run_is_left_alone(world: World, gone: Place):
    await world.submit("other")
    world.lease("other", gone, name="somebody")
    await world.worker("new").sweep()
    assert world.jobs.terminated == []


async def test_jobs_of_a_run_whose_id_begins_the_same_are_left_alone(world: World, gone: Place):
    ours, theirs = await world.submit("old"), await world.submit("old-er")
    world.lease("old", gone)
    await world.worker("new").sweep()
    assert world.jobs.terminated == [ours]
    assert theirs != ours


async def test_a_lease_stays_until_its_runs_jobs_are_ended(world: World, gone: Place):
    job = await world.submit("old")
    world.lease("old", gone)
    world.jobs.faults.append(Throttle("named", times=1))
    worker = world.worker("new")
    await worker.sweep()
    assert list(world.leases.objects) == ["worker/old"]
    await worker.sweep()
    assert world.jobs.terminated == [job]
    assert world.leases.objects == {}


async def test_jobs_in_every_queue_of_the_run_are_ended(world: World, gone: Place):
    jobs = [await world.submit("old", queue) for queue in ("queue", "gpu")]
    world.lease("old", gone, queues=("queue", "gpu"))
    await world.worker("new").sweep()
    assert world.jobs.terminated == jobs


async def test_a_lease_is_taken_and_given_back(world: World):
    worker = world.worker("run", name="a worker/of ours")
    await worker.renew()
    [key] = world.leases.objects
    assert key == "a%20worker%2Fof%20ours/run"
    assert Lease.decode(world.leases.objects[key]) == Lease(Place.here(), ("queue",), world.time)
    await worker.sweep()
    assert list(world.leases.objects) == [key]
    await worker.give_back()
    assert world.leases.objects == {}


async def test_an_unreadable_lease_is_left_alone(world: World):
    world.leases.objects["worker/old"] = b"garbage"
    await world.worker("new").sweep()
    assert list(world.leases.objects) == ["worker/old"]


@given(st.binary(max_size=200) | st.sampled_from([b"{}", b"[]", b"null", b'{"place": []}', b"[" * 100_000]))
def test_bytes_that_are_no_lease_are_refused(data: bytes):
    with pytest.raises(ValueError, match=r".*"):
        Lease.decode(data)
