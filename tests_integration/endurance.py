"""Many jobs on one local AWS: how long an array of trivial tasks takes, and how much memory the server has after each.

``python tests_integration/endurance.py 10 --size 10000`` runs 100,000 jobs and forgets them as they finish;
``python tests_integration/endurance.py 2 --lines 100 --keep 30000 --bound 400`` remembers 20,000 jobs with 100 lines
of log each, and fails when the server has more than 400 MiB.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import psutil

from scaler_batch.local import LocalAWS, LocalSettings
from scaler_batch.local.resources import Wanted, make

LOOK_EVERY = 0.5


def define(batch: Any, lines: int) -> None:
    """Register a definition that does nothing but say so, on so many lines."""
    say = f"i=0; while [ $i -lt {lines} ]; do i=$((i+1)); echo line $i of a task that has little to say; done"
    command = ["/bin/sh", "-c", say] if lines else ["/bin/true"]
    requirements = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
    container = {"image": "none", "command": command, "resourceRequirements": requirements}
    batch.register_job_definition(jobDefinitionName="nothing", type="container", containerProperties=container)


def run_array(batch: Any, size: int) -> dict[str, Any]:
    """Run an array to its end, and return it as it is described then."""
    properties = {"arrayProperties": {"size": size}}
    job_id = batch.submit_job(jobName="many", jobQueue="many", jobDefinition="nothing", **properties)["jobId"]
    while (job := batch.describe_jobs(jobs=[job_id])["jobs"][0])["status"] not in {"SUCCEEDED", "FAILED"}:
        time.sleep(LOOK_EVERY)
    return dict(job)


def main() -> int:
    """Run arrays one after another, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("arrays", type=int, nargs="?", default=10, help="how many (default: %(default)s)")
    parser.add_argument("--size", type=int, default=10_000, help="children of each (default: %(default)s)")
    parser.add_argument("--slots", type=int, default=16, help="jobs at once (default: %(default)s)")
    parser.add_argument("--lines", type=int, default=0, help="log lines of each job (default: %(default)s)")
    parser.add_argument("--keep", type=int, default=5000, help="finished jobs to remember (default: %(default)s)")
    parser.add_argument("--bound", type=int, help="fail when the server takes more MiB than this")
    options = parser.parse_args()
    with LocalAWS(LocalSettings(slots=options.slots, keep_finished=options.keep)) as aws:
        make(Wanted(queue="many"), aws.environment)
        batch, server = aws.client("batch"), psutil.Process(aws.pid)
        define(batch, options.lines)
        print(f"at the start: {server.memory_info().rss >> 20} MiB", flush=True)
        for number in range(1, options.arrays + 1):
            began = time.monotonic()
            job = run_array(batch, options.size)
            succeeded = job["arrayProperties"]["statusSummary"]["SUCCEEDED"]
            memory, seconds = server.memory_info().rss >> 20, time.monotonic() - began
            print(f"array {number}: {succeeded} of {options.size} in {seconds:.1f} s, {memory} MiB", flush=True)
            if succeeded != options.size or memory > (options.bound or memory):
                return 1
        batch.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
