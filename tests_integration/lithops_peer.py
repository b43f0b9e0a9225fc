"""lithops, as published, on the local AWS: a peer that brings its own client.

Nothing of lithops is changed; it is configured, and finds the local AWS by the variables that lead every program there.
Its image starts ``entry_point.py`` of its own backend, and the local AWS looks at no image, so there is a definition of
the name that lithops gives its own, whose command is that entry point. lithops finds and uses it.

Run as a program it is the client: it answers one connection, on which it is sent functions and arguments. So it has a
process of its own, which is measured as adapters are.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

import cloudpickle

from stack import Stack

RUNTIME, MEMORY = "bench:1", 1024
"""A runtime that is not lithops's default one, so that none is built."""

ROLE = "arn:aws:iam::123456789012:role/lithops"


def installed() -> bool:
    """Whether lithops can be had in this environment."""
    return find_spec("lithops") is not None


def start(stack: Stack, workers: int) -> None:
    """Start the local AWS and lithops's client; what it keeps on disk goes with the stack.

    lithops makes as many jobs of a map as there are workers, if it has so many calls, and shares the calls out evenly.
    """
    stack.start_aws()
    stack.environment |= dict.fromkeys(("HOME", "TMPDIR"), str(stack.directory)) | {"LITHOPS_TELEMETRY": "0"}
    socket = _socket(stack)
    stack.start_program("adapter", sys.executable, __file__, str(socket), str(workers)).wait_until(socket.exists)


@contextmanager
def connected(stack: Stack) -> Iterator[LithopsClient]:
    """What works can use in place of Scaler's client."""
    with Client(str(_socket(stack))) as connection:
        yield LithopsClient(connection)


@dataclass(frozen=True)
class Answer:
    """What a call came to."""

    value: Any

    def result(self) -> Any:
        """The value."""
        return self.value


@dataclass(frozen=True)
class LithopsClient:
    """Speaks to the process that has lithops."""

    connection: Connection

    def submit(self, function: Any, argument: Any) -> Answer:
        """Call a function once, and wait."""
        return Answer(self._ask("call_async", function, argument))

    def map(self, function: Any, arguments: Iterable[Any]) -> list[Any]:
        """Call a function for each argument, and wait."""
        return list(self._ask("map", function, list(arguments)))

    def _ask(self, what: str, *arguments: Any) -> Any:
        self.connection.send_bytes(cloudpickle.dumps((what, *arguments)))
        return self.connection.recv()


def _socket(stack: Stack) -> Path:
    return stack.directory / "lithops"


def main(socket: str, workers: int) -> None:
    """Be the client."""
    from lithops import FunctionExecutor

    _define()
    executor = FunctionExecutor(config=_configuration(workers))
    with Listener(socket) as listener, listener.accept() as connection:
        while True:
            try:
                method, function, arguments = pickle.loads(connection.recv_bytes())
            except EOFError:
                return
            getattr(executor, method)(function, arguments)
            connection.send(executor.get_result())


def _define() -> None:
    """Register what stands for their image."""
    import boto3
    from lithops.serverless.backends import aws_batch
    from lithops.version import __version__

    key = boto3.client("sts").get_caller_identity()["UserId"].partition(":")[0][-4:].lower()
    package = f"lithops_v{__version__.replace('.', '')}_{key}"
    entry_point = Path(str(aws_batch.__file__)).with_name("entry_point.py")
    boto3.client("batch").register_job_definition(
        jobDefinitionName=f"{package}--EC2--{RUNTIME.replace(':', '--')}--{MEMORY}mb",
        type="container",
        platformCapabilities=["EC2"],
        containerProperties={
            "image": "none",
            "command": ["python", str(entry_point)],
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": str(MEMORY)}],
        },
    )


def _configuration(workers: int) -> dict[str, Any]:
    import boto3

    iam, ec2 = boto3.client("iam"), boto3.client("ec2")
    profile = iam.create_instance_profile(InstanceProfileName="lithops")["InstanceProfile"]["Arn"]
    return {
        "lithops": {"backend": "aws_batch", "storage": "aws_s3", "log_level": "WARNING", "telemetry": False},
        "aws": {"region": "us-east-1"},
        "aws_s3": {"storage_bucket": "lithops"},
        "aws_batch": {
            "runtime": RUNTIME,
            "runtime_memory": MEMORY,
            "runtime_cpu": 1,
            "env_type": "EC2",
            "env_max_cpus": workers,
            "execution_role": ROLE,
            "job_role": ROLE,
            "instance_role": profile,
            "subnets": [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"]],
            "security_groups": [each["GroupId"] for each in ec2.describe_security_groups()["SecurityGroups"]],
        },
    }


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
