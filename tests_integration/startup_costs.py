"""What a short job costs before and after its call: the runner beside a script that does the same with boto3.

Each is one process from start to end: it reads one call from its command line, runs it, and puts one object with what
came of it. Processor time is counted, of the process and of all it starts; the store answers from another process.
"""

from __future__ import annotations

import base64
import math
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import cloudpickle

from plain_s3 import serving
from scaler_batch.payload import RunLocation, Seal, encode_pack, place
from scaler_batch.payload.calls import make_call
from stack import JOB_PYTHON

SCRIPT: Final = """
import base64, sys
import boto3, cloudpickle
function, arguments = cloudpickle.loads(base64.b64decode(sys.argv[1]))
result = cloudpickle.dumps(function(*arguments))
boto3.client("s3").put_object(Bucket="plain", Key="result", Body=result)
"""
"""The least that a job with boto3 has to do."""

ENVIRONMENT: Final = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}


@dataclass(frozen=True)
class StartupCost:
    """Processor time of one job.

    Attributes:
        function: How its function travels.
        ours: Milliseconds of the runner, one for each time that it was measured.
        boto3: Milliseconds of the script.
    """

    function: str
    ours: list[float]
    boto3: list[float]

    @property
    def ratio(self) -> float:
        """Ours as a part of the script's, by medians."""
        return statistics.median(self.ours) / statistics.median(self.boto3)


def double(x: int) -> int:
    """A function of a main program, which travels by value."""
    return x * 2


def startup_costs(times: int) -> list[StartupCost]:
    """Measure both, in turns, for a function that the job can import and for one that travels whole."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with serving() as endpoint:
        environment = {**os.environ, **ENVIRONMENT, "AWS_ENDPOINT_URL": endpoint}
        return [
            _compared("imported", partial(runner_command, math.sqrt, 16), _script(math.sqrt, 16), environment, times),
            _compared("by value", partial(runner_command, double, 16), _script(double, 16), environment, times),
        ]


def _compared(
    function: str, ours: Callable[[int], list[str]], theirs: list[str], environment: dict[str, str], times: int
) -> StartupCost:
    # The first of each writes byte code.
    turns = [(job_cost(ours(number), environment), job_cost(theirs, environment)) for number in range(times + 1)][1:]
    return StartupCost(function, [mine for mine, _ in turns], [their for _, their in turns])


def runner_command(
    function: Callable[..., Any], argument: Any, number: int, *program: str, calls: int = 1
) -> list[str]:
    """The command line of a job that runs a call, so many times; its program is the runner, unless named otherwise."""
    pack = place(encode_pack([[make_call(function, argument)] * calls])).parameter
    run = str(RunLocation("plain", "startup", "run", "us-east-1"))
    python = JOB_PYTHON or sys.executable
    command = [python, *(program or ("-m", "scaler_batch.runner")), "--run", run, "--sequence", str(number)]
    return [*command, "--pack", pack, "--key", Seal.new().reveal()]


def _script(function: Callable[..., Any], argument: Any) -> list[str]:
    call = base64.b64encode(cloudpickle.dumps((function, (argument,)))).decode()
    return [sys.executable, "-c", SCRIPT, call]


def job_cost(command: Sequence[str], environment: dict[str, str]) -> float:
    """Processor time of a job, in milliseconds."""
    before = _spent()
    subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)
    return _spent() - before


def _spent() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (spent.ru_utime + spent.ru_stime)
