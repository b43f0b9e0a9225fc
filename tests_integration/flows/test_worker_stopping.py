"""How a worker ends: it drains or terminates as it was told, at once when told twice, and never without a reason."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from scaler import Client

from scaler_batch.local import control
from scaler_batch.local.faults import ServerError, Throttle
from scaler_batch.local.faults.reading import Plan
from stack import Options, PartFailedError, Stack, free_port
from watching import unfinished, wait_for

cloudpickle = pytest.importorskip("cloudpickle")
cloudpickle.register_pickle_by_value(sys.modules[__name__])

SLACK = 4.0
"""Seconds that a busy machine may take to end a process that has nothing more to do."""


def hold(folder: str, name: str) -> str:
    import pathlib
    import time

    place = pathlib.Path(folder)
    (place / f"{name} started").touch()
    while not (place / "open").exists():
        time.sleep(0.02)
    return name


def test_draining_answers_what_runs_and_gives_back_what_waits(
    cloud: Stack, connect: Callable[[Stack], Client], tmp_path: Path
) -> None:
    options = ("--on-shutdown", "drain", "--shutdown-deadline", "60", "--max-concurrent-jobs", "1")
    with Stack(Options(worker=options)) as stack:
        first = stack.join(cloud).start_adapter("first adapter")
        client = connect(stack)
        futures = [client.submit(hold, str(tmp_path), name) for name in ("one", "two")]
        wait_for((tmp_path / "one started").exists)

        first.process.send_signal(signal.SIGTERM)
        wait_for(lambda: first.says("1 task(s) are to be finished first"))
        assert first.process.poll() is None
        (tmp_path / "open").touch()
        assert stack.stop(first, signal.SIGCONT) == 0
        assert futures[0].result() == "one"
        assert not (tmp_path / "two started").exists()
        assert unfinished(stack) == []

        stack.start_adapter("second adapter")
        assert futures[1].result() == "two"
        client.disconnect()


SUBMIT = """
import pathlib, sys, time
from scaler import Client

def hold(folder):
    (pathlib.Path(folder) / "started").touch()
    while not (pathlib.Path(folder) / "open").exists():
        time.sleep(0.02)

client = Client(address=sys.argv[1])
client.submit(hold, sys.argv[2]).result()
"""


@pytest.mark.parametrize(("mode", "number"), [("drain", signal.SIGTERM), ("terminate", signal.SIGINT)])
def test_a_task_without_an_end_holds_a_stopping_worker_no_longer_than_allowed(
    cloud: Stack, tmp_path: Path, mode: str, number: signal.Signals
) -> None:
    options = ("--on-shutdown", mode, "--shutdown-deadline", "8", "--name", f"patient-{mode}")
    with Stack(Options(worker=options)) as stack:
        adapter = stack.join(cloud).start_adapter()
        stack.start_client(SUBMIT, str(tmp_path))
        wait_for((tmp_path / "started").exists)
        begun = time.monotonic()
        assert stack.stop(adapter, number) == 0
        assert time.monotonic() - begun < 8 + SLACK
        assert unfinished(stack) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(cloud: Stack, tmp_path: Path, number: signal.Signals) -> None:
    options = ("--on-shutdown", "drain", "--shutdown-deadline", "600", "--name", f"impatient-{number.name}")
    with Stack(Options(worker=options)) as stack:
        adapter = stack.join(cloud).start_adapter()
        client = stack.start_client(SUBMIT, str(tmp_path))
        wait_for((tmp_path / "started").exists)
        adapter.process.send_signal(number)
        wait_for(lambda: adapter.says("are to be finished first"))
        adapter.process.send_signal(number)
        assert adapter.process.wait(10) == -number
        stack.stop(client, signal.SIGKILL)
        (tmp_path / "open").touch()
        wait_for(lambda: unfinished(stack) == [])


def failing(stack: Stack, *options: str, **environment: str) -> str:
    """What a worker says that cannot work."""
    stack.environment |= environment
    with pytest.raises(PartFailedError) as failed:
        stack.start_worker("worker", *options)
    assert "ended with exit code 1" in str(failed.value)
    return str(failed.value)


def options_of(stack: Stack, address: str) -> list[str]:
    names = stack.provisioned
    return [
        *("--scheduler-address", address, "--job-queue", names["SCALER_JOB_QUEUE"]),
        *("--job-definition", names["SCALER_JOB_DEFINITION"], "--s3-bucket", names["SCALER_S3_BUCKET"]),
    ]


def test_a_worker_that_starts_in_a_bad_moment_of_aws_waits_for_a_better_one(cloud: Stack) -> None:
    moment = [Throttle("batch.DescribeJobQueues", count=3), ServerError("s3.HeadBucket", status=503, count=3)]
    with Stack() as stack:
        control.inject(cloud.environment, Plan(moment))
        try:
            stack.join(cloud).start_adapter()
        finally:
            struck = [fault["strikes"] for fault in control.faults(cloud.environment)]
            control.remove_faults(cloud.environment)
    assert struck == [3, 3]


def test_an_aws_that_stays_away_is_not_said_to_be_a_wrong_bucket(cloud: Stack) -> None:
    with Stack() as stack:
        stack.join(cloud)
        control.inject(cloud.environment, Plan([ServerError("s3.HeadBucket", status=503)]))
        try:
            said = failing(stack, *options_of(stack, stack.scheduler_address))
        finally:
            control.remove_faults(cloud.environment)
    assert "AWS does not answer as it should in us-east-1" in said


def test_without_credentials_a_worker_says_so(cloud: Stack) -> None:
    with Stack() as stack:
        stack.join(cloud)
        options = options_of(stack, stack.scheduler_address)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
            stack.environment.pop(name, None)
        said = failing(stack, *options, AWS_EC2_METADATA_DISABLED="true", HOME=str(stack.directory))
    assert "no AWS credentials" in said
    assert "AWS_ACCESS_KEY_ID" in said


def test_a_profile_that_does_not_exist_is_said(cloud: Stack) -> None:
    with Stack() as stack:
        stack.join(cloud)
        said = failing(stack, *options_of(stack, stack.scheduler_address), AWS_PROFILE="nobody")
    assert "nobody" in said
    assert "check AWS_PROFILE" in said


def test_a_scheduler_that_is_not_there_is_said_with_what_to_check(cloud: Stack) -> None:
    with Stack() as stack:
        stack.environment |= {name: value for name, value in cloud.environment.items() if name.startswith("AWS_")}
        stack.provisioned = cloud.provisioned
        address = f"tcp://127.0.0.1:{free_port()}"
        said = failing(stack, *options_of(stack, address), "--name", "lonely")
        left = stack.aws("s3").list_objects_v2(
            Bucket=stack.provisioned["SCALER_S3_BUCKET"], Prefix="scaler-tasks/leases/lonely"
        )
    assert left["KeyCount"] == 0
    assert f"Failed to connect to scheduler at {address}" in said
    assert "Check that the scheduler runs" in said


def test_a_scheduler_that_stays_away_ends_the_worker_after_the_death_timeout(cloud: Stack) -> None:
    with Stack(Options(worker=("--death-timeout", "3", "--heartbeat-interval", "0.5"))) as stack:
        adapter = stack.join(cloud).start_adapter()
        stack.stop(stack.part("scheduler"), signal.SIGKILL)
        assert adapter.process.wait(60) == 1
        assert adapter.says("giving up")
