"""Everything that a task needs on its way, started on this machine: for the demo, the flow tests and the benchmark.

::

    local AWS ─► provisioned ─► object storage ─► scheduler ─► adapter

Each part is a process of its own, started by the command that a user would type, with its log in a file. Parts are
stopped in reverse, so that the adapter can end its jobs while everything it needs is there.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

import boto3

START_WITHIN = 60.0
"""Seconds for any part to be ready; a busy machine takes ten times what an idle one does."""

STOP_WITHIN = 40.0
"""Seconds for any part to stop when asked to: longer than the adapter takes to give up on its jobs."""

WORKER_PYTHON = os.environ.get("SCALER_BATCH_WORKER_PYTHON", sys.executable)
"""The interpreter of the environment that runs the worker: this one, or that of another release to compare with."""

JOB_PYTHON = os.environ.get("SCALER_BATCH_JOB_PYTHON")
"""The interpreter of an environment that has the runner and nothing else, as the container image does."""

TAIL = 30
"""Lines of a log shown when its part fails."""


class PartFailedError(Exception):
    """A part did not start, or did not do its work."""

    def __init__(self, part: str, what: str, tail: str) -> None:
        super().__init__(f"{part} {what}\n{tail}")
        self.part = part


def free_port() -> int:
    """Find a port that nobody listens on, nor on the two after it.

    Below the range that the system hands out by itself, so that no outgoing connection takes it meanwhile.
    """
    while True:
        port = random.randrange(20000, 30000)
        with contextlib.ExitStack() as stack:
            try:
                for offset in range(3):
                    probe = stack.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", port + offset))
            except OSError:
                continue
            return port


def answers(port: int) -> bool:
    """Whether somebody listens on the port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Part:
    """One process, with its output in a file."""

    def __init__(self, name: str, command: Sequence[str], environment: dict[str, str], directory: Path) -> None:
        self.name = name
        self.log = directory / f"{name.replace(' ', '-')}.log"
        self._output: IO[bytes] = self.log.open("ab")
        self.process = subprocess.Popen(
            command,
            env=environment,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )

    def wait_until(self, ready: Callable[[], bool], within: float = START_WITHIN) -> Self:
        """Wait until the part is ready; raise with the end of its log when it dies or takes too long."""
        deadline = time.monotonic() + within
        while not ready():
            if self.process.poll() is not None:
                raise PartFailedError(self.name, f"ended with exit code {self.process.returncode}", self.tail())
            if time.monotonic() > deadline:
                raise PartFailedError(self.name, f"is not ready after {within:.0f} s", self.tail())
            time.sleep(0.02)
        return self

    def says(self, text: str) -> bool:
        """Whether the part has written ``text``."""
        return text in self.log.read_text(errors="replace")

    def tail(self) -> str:
        """The end of what the part has written."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-TAIL:])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask the part to stop, kill it where it does not, and return its exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        try:
            self.process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._output.close()
        return self.process.returncode


@dataclass(frozen=True)
class Options:
    """What may be chosen.

    Attributes:
        slots: Jobs that the local AWS runs at once; ``None`` leaves it to the local AWS.
        job_python: The interpreter of jobs; ``None`` for this one.
        worker_python: The interpreter of the worker: this one, or that of another release.
        worker: Further options of the adapter.
        scheduler: Further options of the scheduler.
        local: Further options of the local AWS.
        image: What the job definition names; only containers look at it.
        scheme: How scheduler and object storage are reached; ZMQ is spoken at ``tcp`` only.
        tls: Certificate and key that they listen with.
    """

    slots: int | None = None
    job_python: str | None = JOB_PYTHON
    worker_python: str = WORKER_PYTHON
    worker: tuple[str, ...] = ()
    scheduler: tuple[str, ...] = ()
    local: tuple[str, ...] = ()
    image: str = "local/scaler-batch"
    scheme: str = "tcp"
    tls: tuple[Path, Path] | None = None


@dataclass
class Stack:
    """All parts of a running system. Use as a context manager, then :meth:`start_all`, or start part by part."""

    options: Options = field(default_factory=Options)

    def __enter__(self) -> Self:
        self.directory = Path(tempfile.mkdtemp(prefix="scaler-batch-"))
        self._parts: list[Part] = []
        backend = "zmq" if self.options.scheme == "tcp" else "ymq"
        self.environment = {**os.environ, "SCALER_NETWORK_BACKEND": backend, "PYTHONUNBUFFERED": "1"}
        self.storage_port = free_port()
        self.scheduler_port = free_port()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_all()
        shutil.rmtree(self.directory)

    @property
    def scheduler_address(self) -> str:
        """Where the scheduler listens."""
        return f"{self.options.scheme}://127.0.0.1:{self.scheduler_port}"

    def start_all(self) -> Self:
        """Start every part in order."""
        for step in (self.start_aws, self.provision, self.start_storage, self.start_scheduler, self.start_adapter):
            step()
        return self

    def join(self, other: Stack) -> Self:
        """Use the provisioned AWS of another stack, and start only what comes after it."""
        self.environment |= {name: value for name, value in other.environment.items() if name.startswith("AWS_")}
        self.provisioned = other.provisioned
        for step in (self.start_storage, self.start_scheduler):
            step()
        return self

    def stop_all(self) -> None:
        """Stop every part, the last one first."""
        while self._parts:
            self._parts.pop().stop()

    def start_aws(self, *, bare: bool = True) -> Part:
        """Start a local AWS and take on its environment.

        Args:
            bare: Whether it starts empty, for the provisioner; else with a bucket, a queue and a definition of its own,
                which takes a fraction of the time.
        """
        file = self.directory / "aws.env"
        options = [*self.options.local, "--state-dir", str(self.directory / "aws"), "--env-file", str(file)]
        if bare:
            options.append("--bare")
        if self.options.slots is not None:
            options += ["--slots", str(self.options.slots)]
        if self.options.job_python is not None:
            options += ["--job-python", self.options.job_python]
        part = self._start("local AWS", [sys.executable, "-m", "scaler_batch.local", "up", *options])
        part.wait_until(file.exists)
        exported = read_exports(file)
        self.provisioned = {name: value for name, value in exported.items() if name.startswith("SCALER_")}
        self.environment |= {name: value for name, value in exported.items() if name.startswith("AWS_")}
        return part

    def provision(self, *options: str) -> dict[str, str]:
        """Make bucket, queue and definition, with these options of the provisioner, and return their names."""
        words = ("provision", "--image", self.options.image, "--yes", *options)
        self.run("provisioner", "-m", "scaler_batch.provision", *words)
        self.provisioned = read_exports(self.directory / ".scaler_aws_hpc.env")
        return self.provisioned

    def start_storage(self) -> Part:
        """Start Scaler's object storage."""
        command = [script("scaler_object_storage_server"), self._storage_address, *self._listening_options]
        part = self._start("object storage", command)
        return part.wait_until(lambda: answers(self.storage_port))

    def start_scheduler(self) -> Part:
        """Start Scaler's scheduler."""
        part = self._start(
            "scheduler",
            [
                script("scaler_scheduler"),
                self.scheduler_address,
                "-osa",
                self._storage_address,
                "-pc",
                "allocate=even_load; scaling=no",
                *self._listening_options,
                *self.options.scheduler,
            ],
        )
        return part.wait_until(lambda: answers(self.scheduler_port))

    def start_adapter(self, name: str = "adapter") -> Part:
        """Start our worker."""
        return self.start_worker(
            name,
            *("--scheduler-address", self.scheduler_address),
            *("--job-queue", self.provisioned["SCALER_JOB_QUEUE"]),
            *("--job-definition", self.provisioned["SCALER_JOB_DEFINITION"]),
            *("--s3-bucket", self.provisioned["SCALER_S3_BUCKET"]),
            *("--aws-region", self.provisioned["SCALER_AWS_REGION"]),
            *self.options.worker,
        )

    def start_worker(self, name: str, *options: str, ready: str = "registered with the scheduler") -> Part:
        """Start our worker with these options and no others."""
        part = self._start(name, [self.options.worker_python, "-m", "scaler_batch.adapter", *options])
        return part.wait_until(lambda: part.says(ready))

    def start_client(self, program: str, *arguments: str, name: str = "client") -> Part:
        """Start a program of a user's, which finds the scheduler's address in ``sys.argv[1]``."""
        return self._start(name, [sys.executable, "-c", program, self.scheduler_address, *arguments])

    def start_program(self, name: str, *command: str) -> Part:
        """Start anything else that is to stop with the others."""
        return self._start(name, command)

    def aws(self, service: str) -> Any:
        """A client of the local AWS."""
        names = {"AWS_ACCESS_KEY_ID": "aws_access_key_id", "AWS_SECRET_ACCESS_KEY": "aws_secret_access_key"}
        credentials = {argument: self.environment[name] for name, argument in names.items()}
        region, endpoint = self.environment["AWS_DEFAULT_REGION"], self.environment["AWS_ENDPOINT_URL"]
        return boto3.client(service, region_name=region, endpoint_url=endpoint, **credentials)

    def stop(self, part: Part, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop one part before the others, and return its exit code."""
        self._parts.remove(part)
        return part.stop(number)

    def run(self, name: str, *command: str, environment: Mapping[str, str] | None = None) -> str:
        """Run a Python program to its end and return what it printed; raise with its last lines when it fails.

        Args:
            name: What it is called where it fails.
            command: Arguments of the interpreter.
            environment: Further variables of its environment.
        """
        done = subprocess.run(
            [sys.executable, *command],
            env={**self.environment, **(environment or {})},
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            tail = "\n".join(done.stdout.splitlines()[-TAIL:])
            raise PartFailedError(name, f"ended with exit code {done.returncode}", tail)
        return done.stdout

    def part(self, name: str) -> Part:
        """The running part of this name."""
        return next(part for part in self._parts if part.name == name)

    @property
    def parts(self) -> tuple[Part, ...]:
        """All running parts, in the order in which they were started."""
        return tuple(self._parts)

    def tails(self) -> Iterator[tuple[str, str]]:
        """The end of every part's log."""
        for part in self._parts:
            yield part.name, part.tail()

    @property
    def _storage_address(self) -> str:
        return f"{self.options.scheme}://127.0.0.1:{self.storage_port}"

    @property
    def _listening_options(self) -> list[str]:
        if self.options.tls is None:
            return []
        certificate, key = map(str, self.options.tls)
        return ["--tls-cert", certificate, "--tls-key", key]

    def _start(self, name: str, command: Sequence[str]) -> Part:
        part = Part(name, command, self.environment, self.directory)
        self._parts.append(part)
        return part


def unless_compared(*options: str) -> tuple[str, ...]:
    """Options of the worker that its other releases do not know: none where one of those runs."""
    return options if sys.executable == WORKER_PYTHON else ()


def script(name: str) -> str:
    """Where a command of this environment lies."""
    return str(Path(sys.executable).with_name(name))


def read_exports(path: Path) -> dict[str, str]:
    """Read a file of ``export NAME="value"`` lines as the shell would."""
    program = f'. "$1" && {sys.executable} -c "import json, os; print(json.dumps(dict(os.environ)))"'
    done = subprocess.run(
        ["/bin/sh", "-c", program, "sh", str(path)], env={}, capture_output=True, text=True, check=True
    )
    return {name: value for name, value in json.loads(done.stdout).items() if name.startswith(("AWS_", "SCALER_"))}
