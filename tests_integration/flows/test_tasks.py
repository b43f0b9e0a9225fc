"""What users do, through the real client."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from scaler import Client

from stack import JOB_PYTHON, Stack

cloudpickle = pytest.importorskip("cloudpickle")
cloudpickle.register_pickle_by_value(sys.modules[__name__])


class RefusedError(Exception):
    """An exception of the client's own, as a user's script defines them."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(code, why)
        self.code = code


def refuse(code: int) -> None:
    raise RefusedError(code, "no")


def test_an_exception_of_the_task_arrives_with_type_message_and_traceback(client: Client) -> None:
    def divide(x: int) -> float:
        return x / 0

    with pytest.raises(ZeroDivisionError, match="division by zero") as raised:
        client.submit(divide, 1).result()
    assert "divide" in [entry.name for entry in raised.traceback]


def test_an_exception_of_the_clients_own_class_arrives_as_itself(client: Client) -> None:
    with pytest.raises(RefusedError) as raised:
        client.submit(refuse, 7).result()
    assert raised.value.code == 7


def test_a_failing_task_of_a_map_leaves_the_worker_alive(stack: Stack, connect: Callable[[Stack], Client]) -> None:
    # Scaler's client disconnects itself when a map fails; what matters is that the worker goes on.
    with pytest.raises(ValueError, match="math domain error"):
        connect(stack).map(math.sqrt, [4, -1, 9])
    assert connect(stack).submit(math.sqrt, 25).result() == 5.0


def test_closures_and_keyword_arguments_work(client: Client) -> None:
    factor = 3

    def scale(x: int, by: int = 2) -> int:
        return x * by * factor

    assert client.submit(scale, 5, by=4).result() == 60


def test_a_map_returns_in_order(client: Client) -> None:
    assert client.map(lambda x: x * x, range(50)) == [x * x for x in range(50)]


@pytest.mark.parametrize("size", [4_000, 40_000, 8_000_000])
def test_large_arguments_and_results_travel(client: Client, size: int) -> None:
    data = bytes(range(256)) * (size // 256)
    assert client.submit(lambda blob: blob[::-1], data).result() == data[::-1]


def test_a_task_that_exits_is_a_failure_that_says_so(client: Client) -> None:
    with pytest.raises(RuntimeError, match=r"sys\.exit\(3\)"):
        client.submit(sys.exit, 3).result()


def test_a_task_that_crashes_fails_alone(client: Client) -> None:
    from scaler.utility.exceptions import ProcessorDiedError

    crashing = client.submit(lambda: os.kill(os.getpid(), signal.SIGKILL))
    living = client.submit(math.sqrt, 36)
    with pytest.raises(ProcessorDiedError, match="SIGKILL"):
        crashing.result()
    assert living.result() == 6.0


def test_what_a_task_prints_is_in_the_jobs_log(stack: Stack, client: Client) -> None:
    client.submit(print, "printed by a task").result()
    logs = stack.aws("logs")
    found = [
        event["message"]
        for group in logs.describe_log_groups()["logGroups"]
        for event in logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
    ]
    assert "printed by a task" in found


def test_a_graph_of_tasks_works(client: Client) -> None:
    graph = {"a": 2, "b": 3, "c": (lambda x, y: x + y, "a", "b"), "d": (lambda x: x * 10, "c")}
    assert client.get(graph, keys=["d"]) == {"d": 50}


def test_profiling_tells_what_a_task_took(connect: Any, stack: Stack) -> None:
    future = connect(stack, profiling=True).submit(sum, range(1000))
    future.result()
    assert future.profiling_info().duration_s > 0


def test_a_running_task_can_be_cancelled_and_its_job_ends(stack: Stack, client: Client) -> None:
    def nap() -> None:
        time.sleep(600)

    future = client.submit(nap)
    batch = stack.aws("batch")
    queue = stack.provisioned["SCALER_JOB_QUEUE"]

    def running() -> list[Any]:
        return batch.list_jobs(jobQueue=queue, jobStatus="RUNNING")["jobSummaryList"]

    while not running():
        time.sleep(0.05)
    assert future.cancel()
    while running():
        time.sleep(0.05)


@pytest.mark.skipif(JOB_PYTHON is None, reason="SCALER_BATCH_JOB_PYTHON names no interpreter of the runner's own")
def test_the_runners_environment_has_nothing_of_scaler(client: Client) -> None:
    def installed() -> list[str]:
        from importlib.util import find_spec

        return [name for name in ("scaler", "zmq", "boto3", "moto") if find_spec(name)]

    assert client.submit(installed).result() == []


def test_the_adapter_imports_nothing_of_scaler(stack: Stack) -> None:
    program = "import scaler_batch.adapter, scaler_batch.adapter.cli, sys; assert 'scaler' not in sys.modules"
    stack.run("python", "-c", program)
