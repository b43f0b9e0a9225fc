"""The main job: the harness through the real client and scheduler."""

from __future__ import annotations

import subprocess
import sys

import pytest

from stack import Stack

EXPECTED = """\
==================================================
AWS HPC Worker Adapter Test Harness
==================================================
Scheduler: {address}
Connected to scheduler

--- Test: sqrt ---
  Submitting: math.sqrt(16)
  Result: 4.0
  PASSED

--- Test: simple ---
  Submitting: simple_task(21) [returns x * 2]
  Result: 42
  PASSED

--- Test: map ---
  Submitting: client.map(simple_task, [0,1,2,3,4])
  Results: [0, 2, 4, 6, 8]
  PASSED

--- Test: compute ---
  Submitting: compute_task(1000) [sum of i*i*0.01 for i in range(1000)]
  Result: 3328335.00
  PASSED

==================================================
Results: 4/4 passed
"""


def harness(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scaler_batch.adapter.harness", *arguments],
        env=stack.environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_harness_prints_what_the_guide_shows(stack: Stack) -> None:
    done = harness(stack, "--scheduler", stack.scheduler_address, "--test", "all")
    assert done.stdout == EXPECTED.format(address=stack.scheduler_address)
    assert done.returncode == 0


@pytest.mark.parametrize("test", ["sqrt", "simple", "map", "compute"])
def test_each_test_runs_alone(stack: Stack, test: str) -> None:
    done = harness(stack, "--scheduler", stack.scheduler_address, "--test", test)
    assert f"--- Test: {test} ---" in done.stdout
    assert done.stdout.endswith("Results: 1/1 passed\n")
    assert done.returncode == 0


def test_without_a_worker_the_harness_fails_in_time() -> None:
    with Stack() as lonely:
        lonely.start_storage()
        lonely.start_scheduler()
        done = harness(lonely, "--scheduler", lonely.scheduler_address, "--test", "sqrt", "--timeout", "1")
    assert "FAILED: Timeout waiting for result (1 s)" in done.stdout
    assert "Results: 0/1 passed" in done.stdout
    assert done.returncode == 1
