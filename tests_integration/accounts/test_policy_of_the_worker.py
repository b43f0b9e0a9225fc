"""The policies as they are printed, enforced: with them everything works, and whoever lacks an action is told which."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from scaler import Client

from identities import EMPTY, Identity, actions_of, named, only
from inventory import everything
from scaler_batch.local import control
from scaler_batch.local.faults import ServerError
from scaler_batch.local.faults.reading import Plan
from stack import Options, PartFailedError, Stack
from watching import unfinished, wait_for

cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

SECONDS = 60.0
HASTY = ("--outage-patience", "2", "--credentials-patience", "2", "--shutdown-deadline", "10")
"""What is refused is told soon."""


def policy(stack: Stack, whose: str) -> dict[str, Any]:
    """A policy as the command line prints it."""
    words = ("-m", "scaler_batch.provision", "policy", whose, "--prefix", "scaler-batch", "--region", "us-east-1")
    return dict(json.loads(stack.run("policy", *words)))


def test_worker_and_provisioner_work_under_exactly_the_policies_that_are_printed() -> None:
    with Stack(Options(local=("--enforce-iam",))) as stack:
        stack.start_aws()
        owner, client = dict(stack.environment), stack.aws
        provisioner, worker = Identity(client, "provisioner"), Identity(client, "worker")
        for identity in (provisioner, worker):
            identity.may(policy(stack, identity.name))
        before = everything(client)

        stack.environment |= provisioner.environment
        stack.provision()
        assert json.loads(stack.run("doctor", "-m", "scaler_batch.provision", "doctor", "--json"))["healthy"]
        stack.environment = {**owner, **worker.environment}
        stack.start_storage()
        stack.start_scheduler()
        adapter = stack.start_adapter()
        said = stack.run("harness", "-m", "scaler_batch.adapter.harness", "--scheduler", stack.scheduler_address)
        assert said.endswith("Results: 4/4 passed\n"), said
        assert stack.stop(adapter) == 0
        stack.environment = {**owner, **provisioner.environment}
        assert "Nothing is left." in stack.run("cleanup", "-m", "scaler_batch.provision", "cleanup", "--yes")
        stack.environment = owner
        assert everything(client) == before
        assert "not authorized" not in adapter.log.read_text()


def hold(folder: str) -> None:
    """Run until somebody ends this."""
    (Path(folder) / "started").touch()
    time.sleep(600)


def die() -> None:
    """Kill the job, and not only the process of the task."""
    print("the last words of a job")
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


@dataclass
class Day:
    """What a worker is asked for between start and stop: enough to need all that it may do."""

    stack: Stack
    connect: Callable[[Stack], Client]
    folder: Path
    number: int = 0

    def messages(self, environment: dict[str, str]) -> list[str]:
        """Live through it in this environment, and return what worker and client were told."""
        self.number += 1
        name = f"day-{self.number}"
        usual, self.stack.environment = self.stack.environment, {**self.stack.environment, **environment}
        self.stack.options = Options(worker=("--name", name, *HASTY))
        try:
            worker = self.stack.start_adapter(name)
        except PartFailedError as error:
            return [str(error)]
        finally:
            self.stack.environment = usual
        said = self._work()
        self.stack.stop(worker)
        return [*said, worker.log.read_text()]

    def _work(self) -> list[str]:
        client = self.connect(self.stack)
        said = [self._told(client.submit(abs, -3)), self._told(client.submit(len, os.urandom(500_000)))]
        if not any(said):
            said += [self._told(client.submit(die)), self._told(self._answer_lost(client)), self._cancelled(client)]
        client.disconnect()
        return [each for each in said if each]

    def _told(self, future: Any) -> str:
        try:
            future.result(SECONDS)
        except Exception as error:
            return str(error)
        return ""

    def _answer_lost(self, client: Client) -> Any:
        """A task whose submission has its effect, and an answer that does not arrive: its job is looked for."""
        lost = ServerError("batch.SubmitJob", status=500, done=True, count=1)
        control.inject(self.stack.environment, Plan((lost,)))
        return client.submit(abs, -4)

    def _cancelled(self, client: Client) -> str:
        started = self.folder / "started"
        started.unlink(missing_ok=True)
        future = client.submit(hold, str(self.folder))
        wait_for(started.exists)
        future.cancel()
        return ""


@pytest.fixture
def day(connect: Callable[[Stack], Client], tmp_path: Path) -> Iterator[Day]:
    with Stack(Options(local=("--enforce-iam", "--stop-grace", "1"), slots=4)) as stack:
        stack.start_aws()
        stack.provision()
        stack.start_storage()
        stack.start_scheduler()
        yield Day(stack, connect, tmp_path)


def test_a_worker_that_lacks_an_action_says_which_until_it_has_the_policy_and_no_more(day: Day) -> None:
    """From no permission on, each message is obeyed; so every action has been missed once, and named."""
    whole = policy(day.stack, "worker")
    identity, granted = Identity(day.stack.aws, "growing"), set[str]()
    identity.may(EMPTY)
    while True:
        messages = day.messages(identity.environment)
        missing = actions_of(whole) - granted
        found = {action for message in messages for action in named(message, missing)} & missing
        for job in unfinished(day.stack):  # what a worker could not end
            day.stack.aws("batch").terminate_job(jobId=job, reason="over")
        if not found:
            break
        granted |= found
        identity.may(only(whole, granted))
    assert granted == actions_of(whole), messages
    assert not re.search("not authorized", " ".join(messages))
