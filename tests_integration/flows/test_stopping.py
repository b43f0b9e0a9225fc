"""Leaving in order: no job stays behind, and every task finds another worker."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from scaler import Client

import counting
from inventory import keys
from stack import Options, Stack, answers
from watching import unfinished


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_adapter_leaves_no_job_and_its_tasks_run_elsewhere(
    cloud: Stack, number: signal.Signals, connect: Callable[[Stack], Client], tmp_path: Path
) -> None:
    gate = tmp_path / "open"

    def wait_for(path: str, value: int) -> int:
        import pathlib
        import time

        while not pathlib.Path(path).exists():
            time.sleep(0.05)
        return value

    with Stack() as stack:
        first = stack.join(cloud).start_adapter("first adapter")
        client = connect(stack)
        futures = [client.submit(wait_for, str(gate), value) for value in range(5)]
        while not unfinished(stack):
            time.sleep(0.05)

        assert stack.stop(first, number) == 0
        assert unfinished(stack) == []

        gate.touch()
        stack.start_adapter("second adapter")
        assert [future.result() for future in futures] == [0, 1, 2, 3, 4]
        client.disconnect()


def test_a_stopped_adapter_leaves_nothing_in_the_bucket(cloud: Stack, connect: Callable[[Stack], Client]) -> None:
    with Stack() as stack:
        stack.join(cloud)
        before = written(stack)
        adapter = stack.start_adapter()
        client = connect(stack)
        assert client.map(len, [bytes(20_000), bytes(10)]) == [20_000, 10]
        client.disconnect()
        assert stack.stop(adapter) == 0
        assert written(stack) <= before  # other tests on this cloud kill what would have tidied up


def written(stack: Stack) -> set[str]:
    """What lies in the bucket."""
    return set(keys(stack.aws("s3"), stack.provisioned["SCALER_S3_BUCKET"]))


def test_a_stopped_stack_leaves_no_process_and_no_file() -> None:
    before = set(psutil.Process().children(recursive=True))
    with Stack() as stack:
        stack.start_all()
        started = set(psutil.Process().children(recursive=True)) - before
        assert len(started) >= len(("local AWS", "object storage", "scheduler", "adapter"))
    assert not [process for process in started if process.is_running()]
    assert not answers(stack.scheduler_port)
    assert not stack.directory.exists()


def test_the_scheduler_can_shut_the_adapter_down(cloud: Stack, connect: Callable[[Stack], Client]) -> None:
    with Stack() as stack:
        adapter = stack.join(cloud).start_adapter()
        client = connect(stack)
        assert client.submit(abs, -1).result() == 1
        client.shutdown()
        assert adapter.process.wait(30) == 0


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("--job-queue", "No scaler job queue found"),
        ("--job-definition", "no active job definition"),
        ("--s3-bucket", "cannot be used"),
    ],
)
def test_a_wrong_name_is_said_at_the_start(cloud: Stack, option: str, complaint: str) -> None:
    with Stack(Options(worker=(option, "not-there"))) as stack:
        stack.join(cloud)
        with pytest.raises(Exception, match=complaint) as failed:
            stack.start_adapter()
        assert "ended with exit code 1" in str(failed.value)


@pytest.mark.long
def test_an_adapter_that_is_killed_leaves_no_job_behind_once_it_is_started_again(
    cloud: Stack, connect: Callable[[Stack], Client], tmp_path: Path
) -> None:
    def mark(folder: str, value: int) -> int:
        import pathlib
        import time

        while not pathlib.Path(folder, "open").exists():
            time.sleep(0.05)
        return value * 2

    with Stack() as stack:
        first = stack.join(cloud).start_adapter("first adapter")
        client = connect(stack)
        futures = [client.submit(mark, str(tmp_path), value) for value in range(300)]
        while not unfinished(stack):
            time.sleep(0.05)
        stack.stop(first, signal.SIGKILL)
        orphans = unfinished(stack)
        assert orphans
        counting.clear(stack)

        stack.start_adapter("second adapter")
        deadline = time.monotonic() + 60
        while set(orphans) & set(unfinished(stack)):
            assert time.monotonic() < deadline, stack.part("second adapter").tail()
            time.sleep(0.1)
        (tmp_path / "open").touch()
        assert [future.result() for future in futures] == [value * 2 for value in range(300)]
        client.disconnect()
        assert unfinished(stack) == []
        # One job answers each task. Of the hundred that the killed adapter had submitted, those that ran, or had their
        # turn before they were ended, have said that they were interrupted.
        assert 300 <= counting.calls(stack, by="job/")["s3.PutObject"] <= 400
        asked = counting.calls(stack)
        assert asked["batch.TerminateJobs"] + asked["batch.TerminateJob"] >= 1
        assert asked["batch.SubmitJob"] <= 60, "not a call for each task"
