"""What users do, with jobs that run where they will run: in containers of the runner's image."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from typing import Any

import cloudpickle
import pytest
from scaler import Client
from scaler.utility.exceptions import ProcessorDiedError

from stack import Stack

cloudpickle.register_pickle_by_value(sys.modules[__name__])


class RefusedError(Exception):
    """An exception of the client's own."""


def test_the_harness_passes(stack: Stack) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scaler_batch.adapter.harness", "--scheduler", stack.scheduler_address, "--test", "all"],
        env=stack.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.endswith("Results: 4/4 passed\n")
    assert done.returncode == 0


def test_a_task_runs_in_a_container_as_nobody_in_particular(client: Client) -> None:
    def look() -> tuple[int, str, str]:
        return os.getuid(), os.getcwd(), platform.python_version()

    user, directory, python = client.submit(look).result()
    assert (user, directory) == (10001, "/job")
    assert python.split(".")[:2] == platform.python_version().split(".")[:2]


def test_a_task_finds_what_the_image_holds_and_no_more(client: Client) -> None:
    def find() -> list[bool]:
        import importlib.util

        return [importlib.util.find_spec(name) is not None for name in ("cloudpickle", "scaler", "boto3", "zmq")]

    assert client.submit(find).result() == [True, False, False, False]


def test_nothing_that_a_job_imports_has_to_be_compiled_first(client: Client) -> None:
    def uncompiled() -> list[str]:
        found = {name: getattr(module, "__cached__", None) for name, module in list(sys.modules.items())}
        return sorted(name for name, cached in found.items() if cached and not os.path.exists(cached))

    assert client.submit(uncompiled).result() == []


def test_an_exception_arrives_with_type_message_and_traceback(client: Client) -> None:
    def divide(x: int) -> float:
        return x / 0

    with pytest.raises(ZeroDivisionError, match="division by zero") as raised:
        client.submit(divide, 1).result()
    assert "divide" in [entry.name for entry in raised.traceback]


def test_an_exception_of_the_clients_own_class_arrives_as_itself(client: Client) -> None:
    def refuse() -> None:
        raise RefusedError("no")

    with pytest.raises(RefusedError, match="no"):
        client.submit(refuse).result()


def test_a_task_that_a_signal_ends_fails_alone(client: Client) -> None:
    crashing = client.submit(lambda: os.kill(os.getpid(), signal.SIGSEGV))
    living = client.submit(pow, 6, 2)
    with pytest.raises(ProcessorDiedError, match="SIGSEGV"):
        crashing.result()
    assert living.result() == 36


def test_a_task_that_wants_more_memory_than_its_job_has_is_ended(client: Client) -> None:
    def gorge() -> int:
        return len(bytearray(3 << 30))

    with pytest.raises(ProcessorDiedError, match="memory"):
        client.submit(gorge).result()


def test_what_a_task_prints_is_in_the_jobs_log(stack: Stack, client: Client) -> None:
    client.submit(print, "printed in a container").result()
    assert "printed in a container" in log_of_all_jobs(stack)


def test_a_large_result_comes_back(client: Client) -> None:
    assert client.submit(lambda size: bytes(size), 8_000_000).result() == bytes(8_000_000)


def log_of_all_jobs(stack: Stack) -> list[str]:
    logs: Any = stack.aws("logs")
    groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    return [event["message"] for group in groups for event in logs.filter_log_events(logGroupName=group)["events"]]
