"""Jobs of a dead run are ended by its worker's next life, and nobody else's are."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.aws import JobShape, JobSpec
from scaler_batch.payload import Call, Seal, Store, encode_pack, place
from scaler_batch.payload.testing import MemoryStore
from scaler_batch.tasks.errors import SettingsError
from scaler_batch.tasks.leases import STALE, Lease, LeaseHolder, Leases, Place
from scaler_batch.tasks.models import job_names
from scaler_batch.tasks.testing import FakeJobService, Throttle

pytestmark = pytest.mark.looptime(end=10_000)

ELSEWHERE = Place("another machine", 1, 1)


class World:
    """A bucket and an AWS Batch, with workers that come and go."""

    def __init__(self) -> None:
        self.time = 1_000_000.0
        self.monotonic = 0.0
        self.leases = MemoryStore()
        self.objects: dict[str, MemoryStore] = {}
        self.jobs = FakeJobService(MemoryStore())

    def of(self, run_id: str) -> Store:
        return self.objects.setdefault(run_id, MemoryStore())

    def worker(self, run_id: str, name: str = "worker") -> Leases:
        return Leases(
            self.leases,
            holder=LeaseHolder(name, run_id, ["queue"]),
            jobs=self.jobs,
            runs=self,
            clock=lambda: self.monotonic,
        )

    def lease(self, run_id: str, where: Place = ELSEWHERE, name: str = "worker", queues: tuple[str, ...] = ("queue",)):
        self.leases.objects[f"{name}/{run_id}"] = Lease(where, queues, self.time).encode()

    async def submit(self, run_id: str, queue: str = "queue") -> str:
        pack = place(encode_pack([[Call(b"s", b"f")]])).parameter
        # A job is told its run by its name here; some of these runs have names that no run can have.
        parameters = {"run": "s3://bucket/run?region=x", "sequence": "1", "pack": pack, "key": Seal.new().reveal()}
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
    (await world.of("old").put("packs/1", [b"x"]))
    await world.worker("new").sweep()
    assert world.jobs.terminated == [job]
    assert world.objects["old"].objects == {}
    assert world.leases.objects == {}


async def test_a_run_on_another_machine_is_dead_when_its_lease_has_stood_unchanged_for_long(world: World):
    job = await world.submit("old")
    world.lease("old")
    worker = world.worker("new")
    for seconds in (0, STALE - 1):
        world.monotonic = seconds
        await worker.sweep()
        assert world.jobs.terminated == []
    world.monotonic = STALE
    await worker.sweep()
    assert world.jobs.terminated == [job]


async def test_a_run_that_renews_its_lease_lives_however_old_that_looks(world: World):
    await world.submit("old")
    worker = world.worker("new")
    for number in range(20):
        world.monotonic += STALE - 1
        world.time += 1
        world.lease("old")
        await worker.sweep()
        assert world.jobs.terminated == [], number


@pytest.mark.parametrize("jump", [1e9, -900_000.0])
async def test_a_clock_that_jumps_buries_nobody(world: World, jump: float):
    await world.submit("old")
    world.lease("old")
    worker = world.worker("new")
    await worker.sweep()
    world.time += jump
    await worker.sweep()
    assert world.jobs.terminated == []


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
    worker = world.worker("run", name="a+worker@ours")
    before = time.time()
    await worker.renew()
    [key] = world.leases.objects
    assert key == "a%2Bworker%40ours/run"
    lease = Lease.decode(world.leases.objects[key])
    assert lease == Lease(Place.here(), ("queue",), lease.renewed)
    assert before <= lease.renewed <= time.time()
    await worker.sweep()
    assert list(world.leases.objects) == [key]
    await worker.give_back()
    assert world.leases.objects == {}


async def test_an_unreadable_lease_is_left_alone(world: World):
    world.leases.objects["worker/old"] = b"garbage"
    await world.worker("new").sweep()
    assert list(world.leases.objects) == ["worker/old"]


async def test_bad_leases_are_passed_over_said_once_and_end_nothing(
    world: World, gone: Place, caplog: pytest.LogCaptureFixture
):
    job = await world.submit("old")
    world.lease("old", gone)
    lease = json.loads(world.leases.objects["worker/old"])
    for number, change in enumerate(({"pid": math.inf}, {"pid": 2**70}, {"pid": True}, {"machine": "m" * 10_000})):
        bad = lease | {"place": lease["place"] | change}
        world.leases.objects[f"worker/bad-{number}"] = json.dumps(bad).encode()
    for number, change in enumerate(
        ({"renewed": math.nan}, {"queues": "queue"}, {"queues": ["a queue*"]}, {"place": 1})
    ):
        world.leases.objects[f"worker/bad-{number + 10}"] = json.dumps(lease | change).encode()
    world.leases.objects |= {"worker/utf": b"\xff\xfe", "worker/deep": b"[" * 60_000, "worker/empty": b""}
    world.leases.objects |= {
        "worker/..": b"{}",
        "worker/a b": b"{}",
        "worker/x/y": b"{}",
        "worker/large": b" " * 70_000,
    }
    worker = world.worker("new")
    for _ in range(3):
        await worker.sweep()
    assert world.jobs.terminated == [job]
    assert caplog.text.count("cannot be read") == 1


async def test_what_lies_under_a_name_that_is_no_runs_is_never_ended(world: World, gone: Place):
    await world.submit("victim")
    world.lease("victim", gone)
    worker = Leases(
        world.leases,
        holder=LeaseHolder("worker", "20261128T000000-0badcafe", ["queue"]),
        jobs=world.jobs,
        runs=world,
        run_ids=re.compile(r"\d{8}T\d{6}-[0-9a-f]{8}"),
    )
    await worker.sweep()
    assert world.jobs.terminated == []


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a|b", "a b", "a\n", "\x00", "n" * 65])
def test_a_name_that_cannot_be_a_folder_is_refused_with_what_can(world: World, name: str):
    with pytest.raises(SettingsError, match="printable characters"):
        world.worker("run", name=name)


@given(st.binary(max_size=200) | st.sampled_from([b"{}", b"[]", b"null", b'{"place": []}', b"[" * 100_000]))
def test_bytes_that_are_no_lease_are_refused(data: bytes):
    with pytest.raises(ValueError, match=r".*"):
        Lease.decode(data)


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(machine=HOSTILE, pid=HOSTILE, since=HOSTILE, queues=HOSTILE, renewed=HOSTILE)
def test_a_lease_with_any_values_is_read_or_refused(**values: object):
    place = {name: values.pop(name) for name in ("machine", "pid", "since")}
    try:
        lease = Lease.decode(json.dumps({"place": place, **values}).encode())
    except ValueError:
        return
    assert Lease.decode(lease.encode()) == lease
    assert lease.place.is_gone() in (True, False, None)


@given(
    machine=st.text(max_size=50),
    pid=st.integers(1, 2**32),
    since=st.integers(0, 2**63),
    queues=st.lists(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True), max_size=5),
    renewed=st.floats(0, 1e12),
)
def test_what_is_written_is_read_back(machine: str, pid: int, since: int, queues: list[str], renewed: float):
    lease = Lease(Place(machine, pid, since), tuple(queues), renewed)
    assert Lease.decode(lease.encode()) == lease
