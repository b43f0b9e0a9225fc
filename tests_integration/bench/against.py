"""Another commit's worker and runner, each in an environment of its own, to be measured beside this one's."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import NamedTuple

from bench.sides import SLOTS, Side
from stack import Options, Stack

ROOT = Path(__file__).parents[2]

EXTRAS = {"payload": "[s3]"}
"""What a worker and a runner need besides."""


class Environments(NamedTuple):
    """Where another commit is installed.

    Attributes:
        worker: The interpreter with all its packages.
        job: The interpreter with its runner and nothing else.
    """

    worker: str
    job: str


def installed(revision: str, folder: Path) -> Environments:
    """Install a commit of this repository into a folder.

    Raises:
        subprocess.CalledProcessError: There is no such commit, or it cannot be installed.
    """
    source = folder / "source"
    source.mkdir()
    packed = folder / "source.tar"
    subprocess.run(["git", "-C", str(ROOT), "archive", f"--output={packed}", revision], check=True)
    shutil.unpack_archive(packed, source, filter="data")
    packages = {path.name: path for path in sorted((source / "packages").iterdir()) if path.is_dir()}
    within = {name: f"{path}{EXTRAS.get(name, '')}" for name, path in packages.items()}
    job = [within[name] for name in ("payload", "runner")]
    return Environments(_environment(folder / "worker", list(within.values())), _environment(folder / "job", job))


def before(name: str, there: Environments, worker: tuple[str, ...] = ()) -> Side:
    """That commit's adapter and runner with these options; the local AWS and what is provisioned are of this one."""
    return Side(name, Options(SLOTS, there.job, worker=worker, worker_python=there.worker), _start)


def _start(stack: Stack) -> None:
    """Start every part, with jobs whose command is as that commit's runner reads it."""
    for step in (stack.start_aws, stack.provision):
        step()
    program = "import json; from scaler_batch.payload.contract import RUNNER_COMMAND; print(json.dumps(RUNNER_COMMAND))"
    told = subprocess.run([stack.options.worker_python, "-c", program], check=True, stdout=subprocess.PIPE)
    batch, name = stack.aws("batch"), stack.provisioned["SCALER_JOB_DEFINITION"]
    [known] = batch.describe_job_definitions(jobDefinitionName=name, status="ACTIVE")["jobDefinitions"]
    batch.register_job_definition(
        jobDefinitionName=name,
        type="container",
        containerProperties={**known["containerProperties"], "command": json.loads(told.stdout)},
    )
    batch.close()
    for start in (stack.start_storage, stack.start_scheduler, stack.start_adapter):
        start()


def _environment(folder: Path, requirements: list[str]) -> str:
    """Make an environment, by uv where it is installed."""
    python = str(folder / "bin" / "python")
    if uv := shutil.which("uv"):
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *requirements], check=True)
    else:
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True)
    return python
