"""The adapter and the runner that opengris-scaler ships, on the local AWS.

Nothing of theirs is changed on disk. Their worker manager announces a concurrency of -1, which its own message cannot
hold, so the process that runs it is told to announce 1. Their image starts the runner by its entry point; here the
definition's command does.

The local AWS forks our runner from a process that has it in memory already, and would start an interpreter for theirs,
which imports boto3 each time. :func:`warm_python` gives theirs the same start: an interpreter in which the name of our
runner leads to theirs. It is given more than the same: boto3 has made a client before the fork, so that what takes
longest, reading its descriptions of S3, is done as well.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import sysconfig
from pathlib import Path

from stack import Options, Part, Stack

RUNNER = "scaler.worker_manager.proxy.aws_batch.remote.job_runner"
PARAMETERS = ("task_id", "payload", "compressed", "s3_bucket", "s3_prefix", "s3_key")
NAME = "theirs"
"""Of queue, definition, bucket and worker manager."""

WORKER_MANAGER = """
import functools, sys
from scaler.entry_points.worker_manager import main
from scaler.worker_manager.runner import WorkerManagerRunner

begin = WorkerManagerRunner.__init__

@functools.wraps(begin)
def with_one_unit(self, *arguments, **named):
    begin(self, *arguments, **{**named, "max_provisioner_units": 1})

WorkerManagerRunner.__init__ = with_one_unit
main()
"""

IN_PLACE_OF_OURS = """
import importlib.util
import boto3
boto3.client("s3", region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
spec = importlib.util.spec_from_file_location("job_runner", {origin!r})
runner = importlib.util.module_from_spec(spec)
spec.loader.exec_module(runner)

def main(arguments):
    runner.main()
"""

STAND_INS = {
    "runner/__init__.py": "",
    "runner/main.py": IN_PLACE_OF_OURS,
    "payload/__init__.py": "",
    "payload/s3.py": "",
}
"""All that the local AWS imports before it forks; where one is missing it would start interpreters, and say so only in
its log. Theirs needs no store of ours: boto3 is in memory already."""


def options(*, slots: int = 2, warm: Path | None = None, local: tuple[str, ...] = ()) -> Options:
    """How a stack for them is made; ``warm`` is what :func:`warm_python` returned."""
    return Options(
        slots=slots,
        job_python=str(warm or sys.executable),
        local=("--bucket", NAME, "--queue", NAME, *local),
        scheduler=("-pc", "allocate=even_load; scaling=vanilla"),
    )


def origin() -> str:
    """Where their runner lies."""
    spec = importlib.util.find_spec(RUNNER)
    assert spec is not None
    assert spec.origin is not None
    return spec.origin


def warm_python(folder: Path) -> Path:
    """Make an interpreter below ``folder`` that the local AWS takes for one with our runner, and return it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    places = {"base": str(folder), "platbase": str(folder)}
    stand_in = folder / "stand-in"
    for name, content in STAND_INS.items():
        file = stand_in / "scaler_batch" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content.format(origin=origin()))
    libraries = sysconfig.get_path("purelib")
    Path(sysconfig.get_path("purelib", "venv", places), "theirs.pth").write_text(f"{stand_in}\n{libraries}\n")
    return folder / "bin" / "python"


def define(stack: Stack, *, warm: bool = False) -> None:
    """Register a definition that runs their runner as their image would."""
    start = ["-m", "scaler_batch.runner"] if warm else [origin()]
    words = [word for name in PARAMETERS for word in (f"--{name}", f"Ref::{name}")]
    container = {"image": "none", "command": ["python", *start, *words], "vcpus": 1, "memory": 1024}
    batch = stack.aws("batch")
    batch.register_job_definition(
        jobDefinitionName=NAME,
        type="container",
        parameters={name: "0" if name == "compressed" else "none" for name in PARAMETERS},
        containerProperties=container,
    )
    batch.close()


def start_worker_manager(stack: Stack, concurrent_jobs: int = 100) -> Part:
    """Start their worker manager, which starts a worker as soon as there is a task."""
    command = [sys.executable, "-c", WORKER_MANAGER, "aws_hpc", stack.scheduler_address]
    names = ["--job-queue", NAME, "--job-definition", NAME, "--s3-bucket", NAME]
    more = ["--worker-manager-id", NAME, "--max-concurrent-jobs", str(concurrent_jobs)]
    return stack.start_program("adapter", *command, *names, *more)
