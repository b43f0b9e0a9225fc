"""A running system whose worker each test starts for itself, and tasks that wait until they are let go."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from scaler import Client

import counting
from scaler_batch.local import control
from scaler_batch.local.faults import Fault
from scaler_batch.local.faults.reading import Plan
from scaler_batch.payload import JobSeal, RunLocation, Seal, SubmissionSeal
from scaler_batch.payload.contract import KEY_PARAMETER, RUN_PARAMETER, SEQUENCE_PARAMETER
from stack import Options, Part, PartFailedError, Stack
from watching import wait_for

cloudpickle.register_pickle_by_value(sys.modules[__name__])

SECONDS = 30.0
"""For an answer. Tests take a fraction of it; where nothing comes, this is when that is noticed."""


def hold(folder: str, value: Any = None) -> Any:
    """Return the value when the gate is opened."""
    (Path(folder) / f"started-{value}").touch()
    while not (Path(folder) / "open").exists():
        time.sleep(0.02)
    return value


@dataclass(frozen=True)
class Gate:
    """Where tasks wait that run :func:`hold`."""

    folder: Path

    @property
    def started(self) -> int:
        """How many tasks have come here."""
        return len(list(self.folder.glob("started-*")))

    def open(self) -> None:
        """Let all tasks go."""
        (self.folder / "open").touch()


@dataclass
class System:
    """A scheduler on the shared AWS, with as many workers as the test starts."""

    cloud: Stack
    stack: Stack
    connect: Callable[[Stack], Client]
    workers: list[Part] = field(default_factory=list)
    _prefix: str = ""

    @property
    def bucket(self) -> str:
        """The bucket of the worker's runs."""
        return self.stack.provisioned["SCALER_S3_BUCKET"]

    @property
    def endpoint(self) -> str:
        """Where the local AWS is."""
        return self.cloud.environment["AWS_ENDPOINT_URL"]

    def start_worker(self, name: str, *options: str, environment: dict[str, str] | None = None) -> Part:
        """Start a worker in this environment; the default is that of the stack."""
        usual, chosen = self.stack.environment, self.stack.options
        self.stack.environment = usual if environment is None else environment
        self.stack.options = Options(worker=("--name", name, "--shutdown-deadline", "5", *options))
        try:
            self.workers.append(self.stack.start_adapter(name))
        finally:
            self.stack.environment, self.stack.options = usual, chosen
        return self.workers[-1]

    def refusal(self, *options: str) -> str:
        """Start a worker that does not start, and return what it says."""
        with pytest.raises(PartFailedError, match="ended with exit code") as raised:
            self.start_worker("refused", *options)
        return str(raised.value)

    def calls(self, operation: str) -> int:
        """How often an operation was called by a worker or a test, since the start of the local AWS."""
        return counting.calls(self.cloud)[operation]

    def client(self) -> Client:
        """Connect a client."""
        return self.connect(self.stack)

    def inject(self, *faults: Fault) -> None:
        """Put faults in force until the end of the test."""
        control.inject(self.cloud.environment, Plan(faults))

    def remove_faults(self) -> None:
        """Take all faults back."""
        control.remove_faults(self.cloud.environment)

    def parameters(self) -> dict[str, str]:
        """The parameters of a running job, as whoever may read jobs sees them."""
        batch, queue = self.stack.aws("batch"), self.stack.provisioned["SCALER_JOB_QUEUE"]
        (job, *_) = batch.list_jobs(jobQueue=queue, jobStatus="RUNNING")["jobSummaryList"]
        (detail,) = batch.describe_jobs(jobs=[job["jobId"]])["jobs"]
        return dict(detail["parameters"])

    def run_prefix(self) -> str:
        """Where the objects of the run lie that has a running job, without a slash at its end."""
        return RunLocation.parse(self.parameters()[RUN_PARAMETER]).root

    def seal(self, child: int | None = None) -> JobSeal:
        """What a running job signs with: its own task finds that out, or whoever may read jobs."""
        told = self.parameters()
        run, sequence = RunLocation.parse(told[RUN_PARAMETER]), int(told[SEQUENCE_PARAMETER])
        return SubmissionSeal(str(run), sequence, Seal.parse(told[KEY_PARAMETER])).job(child)

    def answer(self, envelope: bytes) -> None:
        """Put something in the place of the outcome of a running job, signed as its own task could do it."""
        seal = self.seal()
        key = seal.outcome_key()
        self.put(key, b"".join(seal.sign(key, [envelope])))

    def put(self, key: str, data: bytes) -> None:
        """Put an object into the run that has a running job, by a key relative to it."""
        if not self._prefix:
            self._prefix = self.run_prefix()
        self.stack.aws("s3").put_object(Bucket=self.bucket, Key=f"{self._prefix}/{key}", Body=data)

    def stop(self) -> None:
        """Stop what the test has started."""
        self.remove_faults()
        for worker in self.workers:
            self.stack.stop(worker)
            print(worker.tail())


def until_says(part: Part, text: str, within: float = SECONDS) -> None:
    """Wait until a part has written a text."""
    wait_for(lambda: part.says(text), within)


def lives(worker: Part) -> bool:
    """Whether a worker still runs."""
    return worker.process.poll() is None
