"""A worker that is told to stop has ended by its deadline, whoever is gone: S3, AWS Batch, the scheduler, or all.

Gone in both ways that there are: a connection is refused, or nobody says anything. ``SCALER_BATCH_STOPPING_ROUNDS=20``
repeats it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import forwarding
from stack import Options, Part, Stack, answers, free_port
from watching import unfinished, wait_for

ROUNDS = int(os.environ.get("SCALER_BATCH_STOPPING_ROUNDS", "1"))
DEADLINE = 8.0

EVERYBODY = ("S3", "AWS Batch", "scheduler", "object storage")
CASES = {who: (who,) for who in ("S3", "AWS Batch", "scheduler")} | {"all": EVERYBODY}

SUBMIT = """
import pathlib, sys, time
from scaler import Client

def hold(folder):
    (pathlib.Path(folder) / "started").touch()
    while not (pathlib.Path(folder) / "open").exists():
        time.sleep(0.05)

client = Client(address=sys.argv[1])
client.submit(hold, sys.argv[2]).result()
"""


@pytest.fixture(scope="module")
def cloud() -> Iterator[Stack]:
    """A provisioned AWS that runs a job for each case."""
    with Stack(Options(slots=2 * len(CASES))) as running:
        running.start_aws()
        running.provision()
        yield running


@dataclass
class Case:
    """A worker with a job that runs, and what it depends on."""

    stack: Stack
    worker: Part
    gone: tuple[str, ...]
    folder: Path

    def lose(self, how: signal.Signals) -> None:
        for name in self.gone:
            self.stack.part(name).process.send_signal(how)

    def seconds_to_stop(self) -> float:
        begun = time.monotonic()
        self.worker.process.send_signal(signal.SIGTERM)
        self.worker.process.wait(3 * DEADLINE)
        return time.monotonic() - begun


def forward(stack: Stack, name: str, endpoint: str) -> str:
    """Start a process between the worker and a part of AWS, and return its address."""
    port, target = free_port(), urlsplit(endpoint).port
    part = stack.start_program(name, sys.executable, forwarding.__file__, str(port), str(target))
    part.wait_until(lambda: answers(port))
    return f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def running(cloud: Stack, name: str, gone: tuple[str, ...], folder: Path) -> Iterator[Case]:
    folder.mkdir()
    options = ("--shutdown-deadline", str(DEADLINE), "--name", f"stops-without-{name.replace(' ', '-')}")
    with Stack(Options(worker=options)) as stack:
        stack.join(cloud)
        endpoint = stack.environment["AWS_ENDPOINT_URL"]
        stack.environment["AWS_ENDPOINT_URL_S3"] = forward(stack, "S3", endpoint)
        stack.environment["AWS_ENDPOINT_URL_BATCH"] = forward(stack, "AWS Batch", endpoint)
        worker = stack.start_adapter()
        stack.start_client(SUBMIT, str(folder))
        wait_for((folder / "started").exists)
        try:
            yield Case(stack, worker, gone, folder)
        finally:
            (folder / "open").touch()
            for part in stack.parts:
                with contextlib.suppress(ProcessLookupError):
                    part.process.send_signal(signal.SIGCONT)
            stack.stop(stack.part("client"), signal.SIGKILL)


@pytest.mark.long
@pytest.mark.parametrize("turn", range(ROUNDS))
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["refused", "silent"])
def test_a_worker_ends_by_its_deadline_whoever_is_gone(
    cloud: Stack, tmp_path: Path, how: signal.Signals, turn: int
) -> None:
    with contextlib.ExitStack() as stack:
        cases = {name: stack.enter_context(running(cloud, name, gone, tmp_path / name)) for name, gone in CASES.items()}
        for case in cases.values():
            case.lose(how)
        took: dict[str, float] = {}

        def stop(name: str, case: Case) -> None:
            took[name] = case.seconds_to_stop()

        threads = [threading.Thread(target=stop, args=each) for each in cases.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        late = {name: (seconds, cases[name].worker.tail()) for name, seconds in took.items() if seconds > DEADLINE}
        assert not late
        assert took.keys() == CASES.keys()
        # What was not gone was left in order.
        assert cases["S3"].worker.process.returncode == 0
        assert "the process has not ended by itself" not in "".join(each.worker.tail() for each in cases.values())
    wait_for(lambda: unfinished(cloud) == [])
