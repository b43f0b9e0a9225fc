"""Somebody writes into the bucket of a worker's run, as any of its tasks could: it costs one task at most."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import Any

import psutil
import pytest

import hostile
from scaler_batch.tasks import new_run_id
from stack import Part
from systems import SECONDS, Gate, System, hold, lives, until_says
from watching import wait_for


def memory(worker: Part) -> int:
    """The most memory that a worker has had, in bytes."""
    with open(f"/proc/{worker.process.pid}/status") as status:
        (line,) = (line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


NUMBERS = {
    "wall=NaN": {"wall": float("nan")},
    "wall=1e300": {"wall": 1e300},
    "memory=2**70": {"memory": 2**70},
    "cpu=-1": {"cpu": -1.0},
}


@pytest.mark.parametrize("changed", NUMBERS.values(), ids=NUMBERS.keys())
def test_an_outcome_with_impossible_numbers_fails_its_task_and_no_other(
    system: System, gate: Gate, changed: dict[str, Any]
) -> None:
    worker = system.start_worker("reads-numbers")
    client = system.client()
    future = client.submit(hold, str(gate.folder))
    wait_for(lambda: gate.started == 1)
    system.answer(hostile.sealed(hostile.described({**hostile.ENTRY, **changed})))
    with pytest.raises(Exception, match="cannot be read"):
        future.result(SECONDS)
    gate.open()
    assert client.submit(abs, -3).result(SECONDS) == 3
    assert lives(worker)


def test_a_small_outcome_that_expands_takes_neither_memory_nor_time(system: System, gate: Gate) -> None:
    worker = system.start_worker("opens-bombs")
    client = system.client()
    future = client.submit(hold, str(gate.folder))
    wait_for(lambda: gate.started == 1)
    before, used = memory(worker), psutil.Process(worker.process.pid).cpu_times().user
    index = b'{"outcomes":[' + b"{}," * 4_000_000 + b'0],"sizes":[]}'
    system.answer(hostile.sealed(hostile.indexed(index)))
    with pytest.raises(Exception, match="cannot be read"):
        future.result(SECONDS)
    assert memory(worker) - before < hostile.MEMORY
    assert psutil.Process(worker.process.pid).cpu_times().user - used < 2
    gate.open()
    assert client.submit(abs, -3).result(SECONDS) == 3
    assert lives(worker)


KEYS = ["outcomes/../x", "outcomes//x", "outcomes/a\x01b"]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_that_cannot_be_read_hides_no_outcome(system: System, gate: Gate, key: str) -> None:
    worker = system.start_worker("lists-on")
    client = system.client()
    future = client.submit(hold, str(gate.folder), 7)
    wait_for(lambda: gate.started == 1)
    system.put(key, b"")
    gate.open()
    assert future.result(SECONDS) == 7
    assert client.submit(abs, -3).result(SECONDS) == 3
    assert lives(worker)


@pytest.mark.parametrize("key", ["../x", "/x", "a\x01b"])
def test_a_key_that_cannot_be_read_hides_no_lease(system: System, gate: Gate, key: str) -> None:
    prefix = "scaler-tasks/leases/reads-leases"
    s3 = system.stack.aws("s3")
    s3.put_object(Bucket=system.bucket, Key=f"{prefix}/{key}", Body=b"")
    worker = system.start_worker("reads-leases")
    assert system.client().submit(abs, -3).result(SECONDS) == 3
    assert not worker.says("the lease could not be renewed")
    assert lives(worker)
    s3.delete_object(Bucket=system.bucket, Key=f"{prefix}/{key}")


LEASE = {"place": {"machine": "m", "pid": 1, "since": 1}, "queues": ["q"]}
LEASES: dict[str, Any] = {
    "pid": {**LEASE, "place": {"machine": "m", "pid": float("inf"), "since": 1}},
    "time": {**LEASE, "renewed": 0.0},
    "queues": {**LEASE, "queues": {"q": 1}},
    "nothing": [],
}


@pytest.mark.parametrize("lease", LEASES.values(), ids=LEASES.keys())
def test_a_lease_that_cannot_be_read_ends_no_worker(system: System, lease: Any) -> None:
    s3, key = system.stack.aws("s3"), f"scaler-tasks/leases/starts-anyway/{new_run_id('starts-anyway')}"
    s3.put_object(Bucket=system.bucket, Key=key, Body=json.dumps(lease).encode())
    worker = system.start_worker("starts-anyway")
    assert system.client().submit(abs, -3).result(SECONDS) == 3
    until_says(worker, "passed over")
    assert lives(worker)
    s3.delete_object(Bucket=system.bucket, Key=key)


@pytest.mark.long
def test_a_thousand_hostile_objects_and_keys_disturb_no_map(system: System, gate: Gate) -> None:
    random = Random(15)
    worker = system.start_worker("among-enemies", "--tasks-per-job", "10")
    client = system.client()
    first = client.submit(hold, str(gate.folder), 7)
    wait_for(lambda: gate.started == 1)
    before = memory(worker)
    client_map = [client.submit(hold, str(gate.folder), number) for number in range(100)]
    keys = [key for key in hostile.hostile_keys(1000) if "\x01" not in key and len(key) < 500]
    for number, key in enumerate(keys):
        system.put(key, hostile.KINDS[number % len(hostile.KINDS)](random))
    gate.open()
    assert [future.result(SECONDS) for future in client_map] == list(range(100))
    assert first.result(SECONDS) == 7
    assert memory(worker) - before < hostile.MEMORY
    assert lives(worker)


def test_hostile_outcomes_and_keys_by_the_thousand_are_each_answered_for() -> None:
    figures = asyncio.run(hostile.attack(2000))
    assert not figures.wrong
    assert figures.memory < hostile.MEMORY
    assert figures.blocked < hostile.BLOCKED, figures.blocked_by
