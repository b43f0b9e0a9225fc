"""Jobs wait for a machine for a week, in a bucket whose lifecycle is a day. Days last some seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from scaler import Client

from inventory import keys
from scaler_batch.local import control
from scaler_batch.local.faults import HoldRunnable
from scaler_batch.local.faults.reading import Plan
from stack import Options, Part, Stack
from watching import unfinished, wait_for

pytestmark = pytest.mark.long

DAY: Final = 15.0
"""Seconds of a day. Half of it is what a worker may be held up for on a busy machine."""

WEEK: Final = 7 * DAY
LARGE: Final = b"large" * 500_000
CALLS: Final = ((len, LARGE), (len, LARGE), (abs, -3), (hash, 4))
RESULTS: Final = [len(LARGE), len(LARGE), 3, 4]
OPTIONS: Final = ("--inline-limit", "0", "--shutdown-deadline", "5")


@pytest.fixture(scope="module")
def weeks() -> Iterator[Stack]:
    """A system with renewals, on an AWS of its own that the provisioner has prepared; days are short there."""
    options = Options(
        local=("--like", "aws", "--time-scale", f"{DAY / 86_400:.9f}"),
        worker=(*OPTIONS, "--name", "renews", "--renew-after", f"{DAY / 2}"),
    )
    with Stack(options) as running:
        yield running.start_all()


@pytest.fixture
def careless(weeks: Stack) -> Iterator[Stack]:
    """A second system on that AWS, whose worker renews nothing."""
    options = Options(worker=(*OPTIONS, "--name", "renews-nothing", "--renew-after", "1000000"))
    with Stack(options) as running:
        running.join(weeks).start_adapter()
        yield running


def inputs(stack: Stack) -> list[str]:
    """The keys of all packs and objects in the bucket."""
    found = keys(stack.aws("s3"), stack.provisioned["SCALER_S3_BUCKET"])
    return [key for key in found if "/packs/" in key or "/objects/" in key]


def submitted(client: Client) -> list[Any]:
    return [client.submit(*call) for call in CALLS]


def test_a_queue_of_a_week_loses_no_input_and_without_renewing_every_one(
    weeks: Stack, careless: Stack, connect: Callable[[Stack], Client]
) -> None:
    control.inject(weeks.environment, Plan((HoldRunnable(reason="CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"),)))
    kept, lost = (submitted(connect(stack)) for stack in (weeks, careless))
    until = time.monotonic() + WEEK
    wait_for(lambda: _taken(weeks.part("adapter")) and _taken(careless.part("adapter")))
    assert len(inputs(weeks)) >= 4
    time.sleep(until - time.monotonic())
    assert {key.split("/")[1] for key in inputs(weeks)} == {_run(weeks.part("adapter"))}
    control.remove_faults(weeks.environment)
    assert [future.result(60) for future in kept] == RESULTS
    for future in lost:
        with pytest.raises(Exception, match="the task's data was not in S3 any more"):
            future.result(60)
    wait_for(lambda: not unfinished(weeks))
    for stack in (weeks, careless):
        stack.stop(stack.part("adapter"))
    assert inputs(weeks) == []


def _taken(worker: Part) -> bool:
    """Whether AWS Batch has taken all of a worker's tasks."""
    said = [line for line in worker.log.read_text().splitlines() if "submitting " in line]
    tasks = sum(int(line.partition(": ")[2].partition(" task")[0].rpartition(" ")[2]) for line in said)
    return tasks == len(CALLS) and worker.says("submitted ")


def _run(worker: Part) -> str:
    """The id of a worker's run."""
    return worker.log.read_text().partition("run s3://")[2].partition("?")[0].rpartition("/")[2]
