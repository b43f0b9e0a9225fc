from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import scaler_batch.runner as package


def test_the_version_is_that_of_the_installed_distribution() -> None:
    assert importlib.metadata.version("scaler-batch-runner") == package.__version__


def test_the_console_script_and_the_module_are_the_same_program() -> None:
    [script] = importlib.metadata.entry_points(group="console_scripts", name="scaler-batch-runner")
    assert script.value == "scaler_batch.runner.main:main"
    usage = subprocess.run(
        [sys.executable, "-m", "scaler_batch.runner", "--help"], capture_output=True, text=True, check=True
    )
    assert usage.stdout.startswith("usage: scaler-batch-runner")


def test_the_runner_imports_nothing_that_a_container_need_not_have() -> None:
    script = (
        "import sys, scaler_batch.runner.main, scaler_batch.payload.s3\n"
        "print({'boto3', 'botocore', 'zmq', 'scaler', 'asyncio'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
