"""Several workers at one scheduler: two of ours and one of Scaler's own; and ours as a worker manager."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scaler import Client

from stack import Options, Stack, script
from watching import wait_for

cloudpickle = pytest.importorskip("cloudpickle")
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def who(seconds: float) -> str:
    """Where a task runs: in a job of which bucket folder, or in a worker of Scaler's."""
    import os
    import time

    time.sleep(seconds)
    return os.environ.get("AWS_BATCH_JOB_ID", "native")


def start_native(stack: Stack) -> Any:
    command = [script("scaler_worker_manager"), "baremetal_native", stack.scheduler_address, "-wmi", "native"]
    return stack._start("native worker", [*command, "--mode", "fixed", "-mtc", "1"])


def test_two_adapters_and_a_native_worker_share_a_map(cloud: Stack, connect: Callable[[Stack], Client]) -> None:
    with Stack(Options(worker=("--name", "first"))) as stack:
        stack.join(cloud)
        first = stack.start_adapter("first adapter")
        second = stack.start_worker("second adapter", *options_of(stack), "--name", "second")
        start_native(stack)
        client = connect(stack)
        # The native worker takes a second to start; until then nothing is its.
        deadline = time.monotonic() + 60
        places: list[str] = []
        while "native" not in places:
            assert time.monotonic() < deadline
            places = client.map(who, [0.1] * 30)
            assert len(places) == 30
        assert {place == "native" for place in places} == {True, False}
        for part in (first, second):
            assert "registered" in part.log.read_text()
            assert ": success" in part.log.read_text()
        client.disconnect()


def test_a_balancing_cancel_moves_what_waits_and_leaves_what_runs(
    cloud: Stack, connect: Callable[[Stack], Client], tmp_path: Path
) -> None:
    def hold(folder: str, number: int) -> tuple[int, str]:
        import os
        import pathlib
        import time

        place = pathlib.Path(folder)
        with (place / f"started-{number}").open("a") as file:
            file.write("x")
        while not (place / "open").exists():
            time.sleep(0.05)
        return number, os.environ.get("AWS_BATCH_JOB_ID", "native")

    one_job = ("--max-concurrent-jobs", "1")
    with Stack(Options(worker=one_job)) as stack:
        stack.join(cloud).start_adapter("first adapter")
        client = connect(stack)
        futures = [client.submit(hold, str(tmp_path), number) for number in range(6)]
        wait_for(lambda: len(list(tmp_path.glob("started-*"))) == 1)
        second = stack.start_worker("second adapter", *options_of(stack), *one_job, "--name", "second")
        # Only a balancing cancel can bring the second worker a task: the first one holds them all.
        wait_for(lambda: len(list(tmp_path.glob("started-*"))) == 2)
        (tmp_path / "open").touch()
        results = [future.result() for future in futures]
        assert [number for number, _ in results] == list(range(6))
        assert all(path.read_text() == "x" for path in tmp_path.glob("started-*")), "a task ran twice"
        assert ": success" in second.log.read_text()
        client.disconnect()


def test_as_a_worker_manager_it_comes_and_goes_with_the_work(cloud: Stack, connect: Callable[[Stack], Client]) -> None:
    policy = ("-pc", "allocate=even_load; scaling=vanilla")
    with Stack(Options(scheduler=policy)) as stack:
        stack.join(cloud)
        dynamic = ("--mode", "dynamic", "--max-workers", "2", "-sdc", "1", "--heartbeat-interval", "0.5")
        adapter = stack.start_worker("adapter", *options_of(stack), *dynamic, ready="waiting for the scheduler to ask")
        assert not adapter.says("registered with the scheduler")
        client = connect(stack)
        assert client.map(abs, range(-40, 0)) == list(range(40, 0, -1))
        assert adapter.says("registered with the scheduler")
        wait_for(lambda: adapter.says("one worker less"))
        assert client.submit(abs, -5).result() == 5
        client.disconnect()
        assert stack.stop(adapter, signal.SIGTERM) == 0


def options_of(stack: Stack) -> list[str]:
    names = stack.provisioned
    return [
        *("--scheduler-address", stack.scheduler_address, "--job-queue", names["SCALER_JOB_QUEUE"]),
        *("--job-definition", names["SCALER_JOB_DEFINITION"], "--s3-bucket", names["SCALER_S3_BUCKET"]),
        *("--aws-region", names["SCALER_AWS_REGION"]),
    ]
