"""A local AWS for a program or a test: a child process that is there while a ``with`` block lasts.

It is a process of its own because a simulator in the user's process would compete with the user for Python's lock,
and would make every measurement one of itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import boto3

from . import control
from .errors import NotRunningError, StartError
from .faults import Fault
from .faults.reading import DEFAULT_SEED, Plan
from .settings import LocalSettings
from .web.counters import Counters

_STOP_SECONDS = 30.0


class LocalAWS:
    """AWS on this machine.

    ::

        with LocalAWS(LocalSettings(slots=4)) as aws:
            aws.client("s3").create_bucket(Bucket="my-bucket")

    Args:
        settings: How it behaves; the defaults when it is None.
    """

    def __init__(self, settings: LocalSettings | None = None) -> None:
        self.settings = settings or LocalSettings()
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline = -1
        self._environment: dict[str, str] = {}

    def __enter__(self) -> LocalAWS:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    @property
    def endpoint_url(self) -> str:
        """Where it listens, such as ``http://127.0.0.1:43211``."""
        return self.environment["AWS_ENDPOINT_URL"]

    @property
    def region(self) -> str:
        """The region that the environment names."""
        return self.settings.region

    @property
    def pid(self) -> int:
        """The server process."""
        return self._running().pid

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead AWS's SDKs and command line here: endpoint, region, and keys."""
        self._running()
        return dict(self._environment)

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client for a service.

        Args:
            service: Such as ``batch`` or ``s3``.
            options: More arguments of ``boto3.client``, such as ``config``.
        """
        variables = self.environment
        session = boto3.session.Session(
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            region_name=self.region,
        )
        return session.client(service, endpoint_url=self.endpoint_url, **options)

    def counters(self) -> Counters:
        """The calls since it started, or since the counters were reset."""
        return control.counters(self.environment)

    def reset_counters(self) -> None:
        """Count from nothing again."""
        control.reset_counters(self.environment)

    def reset(self) -> None:
        """End every job, forget every resource, and count from nothing again."""
        control.reset(self.environment)

    def inject(self, *faults: Fault, seed: int = DEFAULT_SEED) -> list[int]:
        """Put faults in force. Returns their numbers.

        Args:
            faults: Objects of :mod:`scaler_batch.local.faults`.
            seed: What their chances are drawn from; with the same one the same events are struck.
        """
        return control.inject(self.environment, Plan(faults, seed))

    @contextlib.contextmanager
    def suffering(self, *faults: Fault, seed: int = DEFAULT_SEED) -> Iterator[list[int]]:
        """Have faults in force while a block lasts."""
        numbers = self.inject(*faults, seed=seed)
        try:
            yield numbers
        finally:
            self.remove_faults(*numbers)

    def faults(self) -> list[dict[str, Any]]:
        """The faults in force or passed, as JSON has them, with ``number`` and ``strikes``."""
        return control.faults(self.environment)

    def remove_faults(self, *numbers: int) -> None:
        """Take these faults back; all of them when none is named.

        Raises:
            FaultError: One of them is not there.
        """
        control.remove_faults(self.environment, numbers)

    def jump_clock(self, seconds: float) -> None:
        """Have the clock of this AWS jump: what happens from now on is dated so many seconds later, or earlier.

        It shows in ``LastModified`` and ``Date`` of S3 and in the times of jobs. Nothing becomes due for it.
        """
        control.jump_clock(self.environment, seconds)

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            StartError: It did not start.
        """
        if self._process is not None:
            return
        lifeline, self._lifeline = os.pipe()
        answer, report = os.pipe()
        command = ["-P", "-m", "scaler_batch.local.server", self.settings.to_json(), str(lifeline), str(report)]
        try:
            self._process = subprocess.Popen(  # noqa: S603 - this very interpreter
                [sys.executable, *command], pass_fds=(lifeline, report), start_new_session=True
            )
        finally:
            os.close(lifeline)
            os.close(report)
        with os.fdopen(answer) as said:
            self._learn(said.read())

    def stop(self) -> None:
        """Stop it, and every job with it. Does nothing when it does not run."""
        if self._process is None:
            return
        os.close(self._lifeline)
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _learn(self, said: str) -> None:
        """Take in what the server reported, which is nothing if it has died."""
        report = json.loads(said or "{}")
        if "environment" not in report:
            self.stop()
            raise StartError(report.get("error", "the server ended before it was ready; what it said is above"))
        self._environment = report["environment"]

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise NotRunningError("this local AWS has not been started, or has been stopped")
        return self._process
