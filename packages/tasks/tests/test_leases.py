"""Jobs of a dead run are ended by its worker's next life, and nobody else's are."""

from __future__ import annotations

import json
import math
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
from scaler_batch.payload.buffers import Buffer
from scaler_batch.payload.testing import MemoryStore
from scaler_batch.tasks.errors import SettingsError
from scaler_batch.tasks.leases import (
    AWAY,
    RENEWED,
    STALE,
    Lease,
    LeaseHolder,
    Leases,
    Place,
    _mark,
    is_run_of,
    new_run_id,
)
from scaler_batch.tasks.models import job_names
from scaler_batch.tasks.testing import FakeJobService, FaultyStore, Throttle

pytestmark = pytest.mark.looptime(end=10_000)

ELSEWHERE = Place("another machine", 1, 1)


def run_of(worker: str, number: int) -> str:
    own = f"20261128T000000-{number:08x}"
    return own + _mark(worker, own)


OLD, NEW, OTHER = (run_of("worker", number) for number in range(3))


class World:
    """A bucket with a clock, and an AWS Batch, with workers that come and go."""

    def __init__(self) -> None:
        self.leases = MemoryStore()
        self.leases.time = 1_000_000.0
        self.objects: dict[str, MemoryStore] = {}
        self.jobs = FakeJobService(MemoryStore())

    def of(self, run_id: str) -> Store:
        return self.objects.setdefault(run_id, MemoryStore())

    def worker(self, run_id: str = NEW, name: str = "worker") -> Leases:
        return Leases(self.leases, holder=LeaseHolder(name, run_id, ["queue"]), jobs=self.jobs, runs=self)

    def lease(
        self, run_id: str = OLD, where: Place = ELSEWHERE, name: str = "worker", queues: tuple[str, ...] = ("queue",)
    ) -> None:
        self.write(f"{name}/{run_id}", Lease(where, queues).encode())

    def write(self, key: str, data: bytes) -> None:
        self.leases.objects[key] = data
        self.leases.stored_at[key] = self.leases.time

    async def submit(self, run_id: str = OLD, queue: str = "queue") -> str:
        pack = place(encode_pack([[Call(b"s", b"f")]])).parameter
        # A job is told its run by its name here; some of these runs have names that no run can have.
        parameters = {"run": "s3://bucket/run?region=x", "sequence": "1", "pack": pack, "key": Seal.new().reveal()}
        return await self.jobs.submit(JobSpec(f"{job_names(run_id)}1", JobShape(queue, "d", 60), parameters, 1))

    async def watch(self, worker: Leases, seconds: float, every: float = RENEWED) -> None:
        """Let a worker look as often as it does, for so long."""
        until = self.leases.time + seconds
        while self.leases.time < until:
            self.leases.time = min(until, self.leases.time + every)
            await look(worker)


async def look(worker: Leases) -> None:
    await worker.renew()
    await worker.sweep()


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
    job = await world.submit()
    world.lease(OLD, gone)
    (await world.of(OLD).put("packs/1", [b"x"]))
    worker = world.worker()
    await look(worker)
    assert world.jobs.terminated == [job]
    assert world.objects[OLD].objects == {}
    assert list(world.leases.objects) == [f"worker/{NEW}"]


async def test_a_run_on_another_machine_is_dead_when_its_lease_has_stood_unchanged_for_long(world: World):
    job = await world.submit()
    world.lease()
    worker = world.worker()
    await look(worker)
    await world.watch(worker, STALE - 1)
    assert world.jobs.terminated == []
    await world.watch(worker, 1)
    assert world.jobs.terminated == [job]


async def test_a_run_that_renews_its_lease_lives(world: World):
    await world.submit()
    worker = world.worker()
    for number in range(20):
        world.lease()
        await world.watch(worker, STALE - 1)
        assert world.jobs.terminated == [], number


async def test_a_lease_that_is_old_when_it_is_first_seen_is_watched_all_the_same(world: World):
    await world.submit()
    world.lease()
    world.leases.time += 1e6
    worker = world.worker()
    await look(worker)
    await world.watch(worker, STALE - 1)
    assert world.jobs.terminated == []


async def test_who_shares_a_machine_that_slept_has_time_to_renew(world: World):
    await world.submit()
    world.lease()
    worker = world.worker()
    await look(worker)
    await world.watch(worker, STALE - 1)
    world.leases.time += 8 * 3600
    await look(worker)
    await world.watch(worker, STALE - 1)
    assert world.jobs.terminated == []


@pytest.mark.parametrize("pause", [AWAY, AWAY + 1])
async def test_a_worker_that_looks_seldom_has_not_watched(world: World, pause: float):
    await world.submit()
    world.lease()
    worker = world.worker()
    await look(worker)
    await world.watch(worker, 10 * pause, every=pause)
    assert bool(world.jobs.terminated) is (pause == AWAY)


async def test_a_worker_that_cannot_tell_the_time_ends_only_what_it_sees_gone(world: World, gone: Place):
    await world.submit()
    ended = await world.submit(OTHER)
    world.lease()
    world.lease(OTHER, gone)
    worker = world.worker()
    for _ in range(20):
        world.leases.time += RENEWED
        await worker.sweep()
    assert world.jobs.terminated == [ended]


@pytest.mark.parametrize("jump", [1e9, -1e9])
async def test_clocks_of_this_machine_do_not_matter(world: World, jump: float, monkeypatch: pytest.MonkeyPatch):
    await world.submit()
    world.lease()
    worker = world.worker()
    await look(worker)
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + jump)
    monkeypatch.setattr("time.monotonic", lambda: now + jump)
    await world.watch(worker, STALE - 1)
    assert world.jobs.terminated == []


@pytest.mark.parametrize("said", [{"renewed": 0}, {"renewed": 1e12}, {"renewed": -1}, {"renewed": math.inf}])
async def test_what_a_lease_says_of_time_ends_nobody(world: World, gone: Place, said: dict[str, float]):
    await world.submit()
    entry = json.loads(Lease(ELSEWHERE, ("queue",)).encode())
    world.write(f"worker/{OLD}", json.dumps(entry | said).encode())
    worker = world.worker()
    await world.watch(worker, 10 * STALE)
    assert world.jobs.terminated == []


async def test_a_run_of_the_same_worker_that_lives_is_left_alone_however_old_its_lease(world: World, alive: Place):
    await world.submit(OTHER)
    world.lease(OTHER, alive)
    await world.watch(world.worker(), 10 * STALE)
    assert world.jobs.terminated == []
    assert f"worker/{OTHER}" in world.leases.objects


async def test_another_workers_dead_run_is_left_alone(world: World, gone: Place):
    await world.submit()
    world.lease(OLD, gone, name="somebody")
    await look(world.worker())
    assert world.jobs.terminated == []


async def test_the_run_of_another_worker_is_left_alone_wherever_its_lease_lies(world: World, gone: Place):
    victim = run_of("victim", 1)
    await world.submit(victim)
    world.lease(victim, gone)
    await look(world.worker())
    assert world.jobs.terminated == []


async def test_jobs_of_a_run_whose_id_begins_the_same_are_left_alone(world: World, gone: Place):
    ours, theirs = await world.submit(OLD), await world.submit(f"{OLD}-er")
    world.lease(OLD, gone)
    await look(world.worker())
    assert world.jobs.terminated == [ours]
    assert theirs != ours


async def test_a_lease_stays_until_its_runs_jobs_are_ended(world: World, gone: Place):
    job = await world.submit()
    world.lease(OLD, gone)
    world.jobs.faults.append(Throttle("named", times=1))
    worker = world.worker()
    await look(worker)
    assert f"worker/{OLD}" in world.leases.objects
    await look(worker)
    assert world.jobs.terminated == [job]
    assert f"worker/{OLD}" not in world.leases.objects


async def test_jobs_in_every_queue_of_the_run_are_ended(world: World, gone: Place):
    jobs = [await world.submit(OLD, queue) for queue in ("queue", "gpu")]
    world.lease(OLD, gone, queues=("queue", "gpu"))
    await look(world.worker())
    assert world.jobs.terminated == jobs


async def test_a_lease_is_taken_and_given_back(world: World):
    worker = world.worker("run", name="a+worker@ours")
    await worker.renew()
    [key] = world.leases.objects
    assert key == "a%2Bworker%40ours/run"
    assert Lease.decode(world.leases.objects[key]) == Lease(Place.here(), ("queue",))
    await worker.sweep()
    assert list(world.leases.objects) == [key]
    await worker.give_back()
    assert world.leases.objects == {}


async def test_bad_leases_are_passed_over_said_once_and_end_nothing(
    world: World, gone: Place, caplog: pytest.LogCaptureFixture
):
    job = await world.submit()
    world.lease(OLD, gone)
    lease = json.loads(world.leases.objects[f"worker/{OLD}"])
    place = lease["place"]
    bad = [
        *[lease | {"place": place | {"pid": pid}} for pid in (math.inf, 2**70, True, "1", 1.0, None, -1)],
        lease | {"place": place | {"machine": "m" * 10_000}},
        lease | {"place": place | {"more": 1}},
        lease | {"place": 1},
        lease | {"queues": "queue"},
        lease | {"queues": ["a queue*"]},
        lease | {"more": 1},
        {"place": place},
        [lease],
    ]
    written = [*(json.dumps(each).encode() for each in bad), b"\xff\xfe", b"[" * 60_000, b"", b" " * 70_000, b"garbage"]
    for number, data in enumerate(written):
        world.write(f"worker/{run_of('worker', 100 + number)}", data)
        await world.submit(run_of("worker", 100 + number))
    for name in ("..", "a b", "x/y", "x", OLD.upper(), f"{OLD}0", f"{OLD}\n"):
        world.write(f"worker/{name}", world.leases.objects[f"worker/{OLD}"])
    worker = world.worker()
    await world.watch(worker, 2 * STALE)
    assert world.jobs.terminated == [job]
    assert caplog.text.count("cannot be read") == 1


class Untouched(MemoryStore):
    """A store that nobody is to fetch more from than a lease can have."""

    async def get(self, key: str) -> Buffer:
        data = await super().get(key)
        assert len(data) < 100_000
        return data


async def test_a_lease_that_is_too_large_is_not_even_fetched(world: World):
    leases = Untouched()
    leases.objects = {f"worker/{OLD}": bytes(1_000_000)}
    world.leases = leases
    await look(world.worker())


async def test_leases_by_the_thousand_are_not_all_read_at_once(world: World, gone: Place):
    world.leases = leases = FaultyStore()
    for number in range(3000):
        world.write(f"worker/{run_of('worker', number + 10)}", b"")
    await look(world.worker())
    assert leases.calls["get"] == 1000


def test_an_id_says_whose_run_it_is():
    ids = {new_run_id("worker") for _ in range(100)}
    assert len(ids) == 100
    assert all(is_run_of("worker", each) for each in ids)
    assert not any(is_run_of("another", each) or is_run_of("worker", each[:-1]) for each in ids)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a|b", "a b", "a\n", "\x00", "n" * 65])
def test_a_name_that_cannot_be_a_folder_is_refused_with_what_can(world: World, name: str):
    with pytest.raises(SettingsError, match="printable characters"):
        world.worker(name=name)


@given(st.binary(max_size=200) | st.sampled_from([b"{}", b"[]", b"null", b'{"place": []}', b"[" * 100_000]))
def test_bytes_that_are_no_lease_are_refused(data: bytes):
    with pytest.raises(ValueError, match=r".*"):
        Lease.decode(data)


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(machine=HOSTILE, pid=HOSTILE, since=HOSTILE, queues=HOSTILE)
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
)
def test_what_is_written_is_read_back(machine: str, pid: int, since: int, queues: list[str]):
    lease = Lease(Place(machine, pid, since), tuple(queues))
    assert Lease.decode(lease.encode()) == lease
