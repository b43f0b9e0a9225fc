"""The main job, from nothing: a local AWS, Scaler, our adapter, and the harness through all of it.

Prints how long each step took. When a step fails it shows the end of the log of the part that failed. Leaves no process
and no file behind.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stack import Options, PartFailedError, Stack


def main() -> int:
    """Run the demo and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job-python", help="interpreter of the jobs, in place of this one")
    options = parser.parse_args()
    started = time.monotonic()
    try:
        with Stack(Options(job_python=options.job_python)) as stack:
            code = tell(stack)
            with step("stop everything"):
                stack.stop_all()
    except PartFailedError as failure:
        print(f" failed\n\n{failure}", flush=True)
        return 1
    print(f"\nThe demo took {time.monotonic() - started:.1f} s and has left nothing behind.")
    return code


def tell(stack: Stack) -> int:
    """Start one part after the other, then run the harness."""
    steps: dict[str, Callable[[], object]] = {
        "start a local AWS": stack.start_aws,
        "provision bucket, roles, queue and job definition": stack.provision,
        "start Scaler's object storage": stack.start_storage,
        "start Scaler's scheduler": stack.start_scheduler,
        "start the AWS Batch worker": stack.start_adapter,
    }
    for name, action in steps.items():
        with step(name):
            action()
    print(flush=True)
    began = time.monotonic()
    code = subprocess.run(
        [sys.executable, "-m", "scaler_batch.adapter.harness", "--scheduler", stack.scheduler_address],
        env=stack.environment,
        check=False,
    ).returncode
    if code:
        for name, tail in stack.tails():
            print(f"\n--- the end of the log of {name} ---\n{tail}")
    print(f"\n{'run the harness ':.<52} {time.monotonic() - began:5.1f} s", flush=True)
    return code


@contextmanager
def step(name: str) -> Iterator[None]:
    """Announce a step, and say afterwards how long it took."""
    print(f"{name + ' ':.<52}", end="", flush=True)
    began = time.monotonic()
    yield
    print(f" {time.monotonic() - began:5.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
