"""Check the simulation once against the local AWS, on a size that both can do, and print the difference.

    python tests_integration/simulation_check.py [--tasks 300] [--slots 10] [--scale 0.05]

The same task manager does the same map on the local AWS with `--like aws`, all of AWS's times multiplied by the scale,
and in the simulation with the same figures. The two cases of long tasks after short ones are run on both, too.
What a job takes of its own here, which no figure of AWS's holds, is measured first.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import os
import statistics
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import boto3

from scaler_batch.aws import BatchJobService
from scaler_batch.aws.rate import RateSettings
from scaler_batch.local import LocalAWS, LocalSettings
from scaler_batch.local.resources import Wanted, make
from scaler_batch.payload import RunLocation
from scaler_batch.payload.calls import make_call
from scaler_batch.payload.s3 import S3RunStore, boto3_credentials
from scaler_batch.tasks import AWSHPCTaskManager, Polling, TaskManagerSettings
from scaler_batch.tasks.simulation import Cloud, Workload, simulate
from scaler_batch.tasks.testing import MemoryInputs, RecordingSink

REGION = "us-east-1"
WANTED = Wanted(bucket="check", queue="check", definition="check")

LONE = 31
"""Tasks, one after the other, that show what a job takes of its own."""

Map = tuple[Callable[[float], None], Sequence[float]]
"""A function, and what each call of it takes."""


def nothing(seconds: float) -> None:
    """Take no time."""


def work(seconds: float) -> None:
    """Take some time."""
    time.sleep(seconds)


def main() -> None:
    """Run every case on both, and print the difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=300)
    parser.add_argument("--slots", type=int, default=10)
    parser.add_argument("--scale", type=float, default=0.05, help="what AWS's times are multiplied by")
    options = parser.parse_args()
    runner = runner_seconds()
    print(f"a job takes {runner:.3f} s of its own, median of {LONE} lone tasks", flush=True)
    compare(
        f"map of {options.tasks} on {options.slots} slots",
        [(work, [1.0 * options.scale] * options.tasks)],
        settings(options.slots, 1, 3600),
        options.scale,
        runner,
    )
    auto = ((1000, [0.2] * 100, 8, 3600), (600, [2.0] * 60, 20, 60))
    for before, seconds, slots, timeout in auto:
        name = f"{len(seconds)} of {seconds[0]} s after {before} that take no time, {slots} slots, auto"
        maps = [(nothing, [0.0] * before), (work, seconds)]
        compare(name, maps, settings(slots, "auto", timeout), None, runner)


def runner_seconds() -> float:
    """What a job takes of its own: what lone tasks take on the plain local AWS, less what the simulation makes of one.

    Looks come so often that they hardly count.
    """
    how, maps = replace(settings(1, 1, 3600), polling=Polling(shortest=0.01)), [(nothing, [0.0])] * LONE
    return max(0.0, statistics.median(on_local_aws(maps, how, None)) - in_simulation(maps[:1], how, None, 0.0))


def compare(name: str, maps: Sequence[Map], how: TaskManagerSettings, scale: float | None, runner: float) -> None:
    """Time the last map on both."""
    measured = on_local_aws(maps, how, scale)[-1]
    simulated = in_simulation(maps, how, scale, runner)
    best = ideal(maps[-1][1], how.max_concurrent_jobs)
    print(
        f"{name}: local AWS {measured:.2f} s, simulation {simulated:.2f} s, "
        f"difference {(measured - simulated) / simulated:+.1%}, ideal {best:.2f} s without starts "
        f"({measured / best:.2f} and {simulated / best:.2f} times that)",
        flush=True,
    )


def settings(slots: int, tasks_per_job: Any, timeout: int) -> TaskManagerSettings:
    """Settings of both."""
    return TaskManagerSettings(
        "check", "check", max_concurrent_jobs=slots, tasks_per_job=tasks_per_job, job_timeout=timeout
    )


def ideal(seconds: Sequence[float], slots: int) -> float:
    """When the last task would end if each started as soon as a slot is free, and starting took no time."""
    ends = [0.0] * slots
    for each in seconds:
        heapq.heapreplace(ends, ends[0] + each)
    return max(ends)


def on_local_aws(maps: Sequence[Map], how: TaskManagerSettings, scale: float | None) -> list[float]:
    """Seconds that each map takes there."""
    like = {} if scale is None else {"like": "aws", "time_scale": scale}
    with LocalAWS(LocalSettings(slots=how.max_concurrent_jobs, minimum_timeout=1, **like)) as aws:  # type: ignore[arg-type]
        make(WANTED, aws.environment)
        os.environ |= aws.environment
        return asyncio.run(timed(maps, how, scale))


async def timed(maps: Sequence[Map], how: TaskManagerSettings, scale: float | None) -> list[float]:
    """Do maps one after the other, and time each."""
    session = boto3.Session(region_name=REGION)
    rate = RateSettings() if scale is None else RateSettings(highest=1000.0, submits=50 / scale)
    jobs = BatchJobService(session, REGION, rate=rate)
    run = RunLocation("check", "runs", uuid4().hex[:12], REGION)
    inputs, sink = MemoryInputs(), RecordingSink()
    store = S3RunStore(run, credentials=boto3_credentials(session))
    async with AWSHPCTaskManager(how, run, jobs=jobs, store=store, inputs=inputs, sink=sink) as manager:
        done, taken = 0, []
        for function, seconds in maps:
            began = time.monotonic()
            for each in seconds:
                manager.submit(inputs.request(uuid4().bytes, make_call(function, each)))
            done += len(seconds)
            await sink.answers(done)
            taken.append(time.monotonic() - began)
        await manager.stop(20)
    jobs.close()
    return taken


def in_simulation(maps: Sequence[Map], how: TaskManagerSettings, scale: float | None, runner: float) -> float:
    """Seconds that the last map takes there."""
    factor = 0.0 if scale is None else scale
    slots = how.max_concurrent_jobs
    real = Cloud(slots=slots, warm=slots)
    cloud = replace(
        real,
        start=real.start * factor,
        runner=runner,
        submits=real.submits / factor if factor else 1e9,
        batch_seconds=real.batch_seconds * factor,
        s3_seconds=real.s3_seconds * factor,
    )
    gap = 600.0
    arrivals = array("d", (gap * place for place, (_, seconds) in enumerate(maps) for _ in seconds))
    functions = array("B", (place for place, (_, seconds) in enumerate(maps) for _ in seconds))
    taken = array("d", (each for _, seconds in maps for each in seconds))
    report = simulate(Workload("check", arrivals, taken, functions), how, cloud)
    return report.seconds - gap * (len(maps) - 1)


if __name__ == "__main__":
    main()
