"""What tasks try on each other, on their runner, and on the jobs and leases of other workers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from scaler import Client

from stack import Stack
from systems import SECONDS, Gate, System, hold
from watching import wait_for

cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def shared(cloud: Stack) -> Iterator[Stack]:
    """A scheduler and an object storage, without a worker."""
    with Stack() as running:
        yield running.join(cloud)


@pytest.fixture
def system(cloud: Stack, shared: Stack, connect: Callable[[Stack], Client]) -> Iterator[System]:
    started = System(cloud, shared, connect)
    yield started
    started.stop()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path / "gate")
    made.folder.mkdir()
    yield made
    made.open()


def answer_for_all() -> str:
    """Have the process answer every call that it runs from now on with what that call was given."""
    import os

    from scaler_batch.runner import execution

    def forged(call: Any, name: Any) -> bytes:
        serializer = execution.open_call(call).serializer
        return serializer.serialize(("forged", [bytes(each) for each in call.arguments]))

    execution._value = forged  # type: ignore[assignment]
    return os.environ["AWS_BATCH_JOB_ID"]


def keep_secret(password: str) -> tuple[str, str]:
    """An honest task, with something in its arguments that nobody else is to see."""
    import os

    return os.environ["AWS_BATCH_JOB_ID"], password


def test_a_client_neither_reads_nor_answers_for_tasks_of_another(system: System, gate: Gate) -> None:
    one_process = ("--max-concurrent-jobs", "1", "--tasks-per-job", "8", "--processes", "1")
    worker = system.start_worker("shares", *one_process, "--log-level", "DEBUG")
    attacker, victim = system.client(), system.client()
    first = attacker.submit(hold, str(gate.folder), 7)
    wait_for(lambda: gate.started == 1)
    # All of them wait for the only slot, the attacker's first.
    attack = attacker.submit(answer_for_all)
    honest = [victim.submit(keep_secret, f"password-{number}") for number in range(6)]
    wait_for(lambda: worker.log.read_text().count("is taken on") == 8)
    gate.open()
    assert first.result(SECONDS) == 7
    results = [future.result(SECONDS) for future in honest]
    assert [password for _, password in results] == [f"password-{number}" for number in range(6)]
    jobs = {job for job, _ in results}
    assert len(jobs) == 1, "tasks of one client share a job as before"
    assert attack.result(SECONDS) not in jobs
