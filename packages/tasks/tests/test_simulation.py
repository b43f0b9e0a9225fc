"""The simulation: the real state against a model of AWS, which answers every task and shows what is known of AWS."""

from __future__ import annotations

import heapq
import subprocess
import sys
from array import array
from dataclasses import replace

import pytest

from scaler_batch.tasks import TaskManagerSettings
from scaler_batch.tasks.simulation import (
    WORKLOADS,
    Cloud,
    Workload,
    mixed,
    simulate,
    simulate_upstream,
    uniform,
)

CLOUD = Cloud(slots=100, warm=100)


def settings(
    tasks_per_job: int | str = 1, slots: int = 100, transfers: int = 64, timeout: int = 3600
) -> TaskManagerSettings:
    return TaskManagerSettings(
        "queue",
        "definition",
        max_concurrent_jobs=slots,
        tasks_per_job=tasks_per_job,  # type: ignore[arg-type]
        transfers=transfers,
        job_timeout=timeout,
    )


def ideal(seconds: array[float], slots: int, start: float) -> float:
    """When the last task would end after one start, if each began as soon as a slot is free, in order."""
    ends = [start] * slots
    for each in seconds:
        heapq.heapreplace(ends, ends[0] + each)
    return max(ends)


@pytest.mark.parametrize("tasks_per_job", [1, 10, "auto"])
@pytest.mark.parametrize("name", WORKLOADS)
def test_every_task_of_every_workload_is_answered(name: str, tasks_per_job: int | str):
    work = WORKLOADS[name](1000)
    report = simulate(work, settings(tasks_per_job), CLOUD)
    assert report.tasks == 1000
    assert report.seconds >= CLOUD.start
    assert 0 < report.median <= report.slowest <= report.seconds
    assert 0 < report.idle < 1
    assert report.dollars > 0


def test_the_same_seed_shows_the_same():
    cloud = replace(CLOUD, reclaims=50.0, failures=0.05)
    first, second, other = (simulate(mixed(500), settings("auto"), cloud, seed) for seed in (1, 1, 2))
    assert first == second != other


def test_jobs_that_die_are_found_and_their_tasks_answered():
    report = simulate(uniform(1000), settings(), replace(CLOUD, failures=0.2))
    assert report.tasks == 1000
    assert report.calls["ListJobs"] > 0


def test_what_a_dead_job_has_left_undone_runs_again():
    calm, stormy = (simulate(uniform(1000), settings(10), replace(CLOUD, failures=part)) for part in (0.0, 0.2))
    assert stormy.calls["SubmitJob"] > calm.calls["SubmitJob"]
    assert stormy.seconds > calm.seconds


def test_reclaimed_jobs_cost_time_and_no_task():
    calm = simulate(uniform(1000), settings(), CLOUD)
    stormy = simulate(uniform(1000), settings(), replace(CLOUD, reclaims=60.0))
    assert stormy.seconds > calm.seconds


def test_capacity_that_has_to_come_first_is_waited_for():
    cold = simulate(uniform(1000), settings(10), replace(CLOUD, warm=0))
    assert 149 + CLOUD.start < cold.seconds < 329 + CLOUD.pull + CLOUD.start + 40


def test_no_more_jobs_are_submitted_a_second_than_aws_takes():
    work = Workload(
        "singles", array("d", (float(n) for n in range(300))), array("d", [0.1] * 300), array("B", [0] * 300)
    )
    slow = simulate(work, settings(), replace(CLOUD, submits=0.5))
    fast = simulate(work, settings(), CLOUD)
    assert slow.calls["SubmitJob"] < fast.calls["SubmitJob"]


def test_nobody_gets_more_slots_than_there_are():
    report = simulate(uniform(1000), settings(1, slots=10_000), CLOUD)
    assert report.seconds > 10 * (CLOUD.start + 1)


def test_ours_is_faster_than_upstreams_rules_and_makes_fewer_calls():
    ours, theirs = simulate(uniform(2000), settings(), CLOUD), simulate_upstream(uniform(2000), settings(), CLOUD)
    assert ours.seconds < theirs.seconds
    assert sum(ours.calls.values()) < sum(theirs.calls.values())


def after(before: int, seconds: list[float]) -> Workload:
    """So many tasks that take no time, and later others of another function."""
    arrivals = array("d", [0.0] * before + [600.0] * len(seconds))
    functions = array("B", [0] * before + [1] * len(seconds))
    return Workload("short, then long", arrivals, array("d", [0.0] * before + seconds), functions)


@pytest.mark.parametrize(
    ("before", "seconds", "slots", "timeout"),
    [(1000, [0.2] * 100, 8, 3600), (600, [2.0] * 60, 20, 60)],
    ids=["a hundred after a thousand", "sixty after six hundred, with a short timeout"],
)
@pytest.mark.parametrize("start", [0.0, 0.5, 13.7])
def test_auto_comes_near_the_ideal_schedule_for_long_tasks_after_short_ones(
    before: int, seconds: list[float], slots: int, timeout: int, start: float
):
    cloud = Cloud(slots=slots, warm=slots, start=start)
    report = simulate(after(before, seconds), settings("auto", slots, timeout=timeout), cloud)
    assert report.seconds - 600.0 <= 1.3 * ideal(array("d", seconds), slots, start)


@pytest.mark.long
@pytest.mark.parametrize("slots", [20, 100])
def test_auto_is_never_far_worse_than_one_job_a_task(slots: int):
    cloud = Cloud(slots=slots, warm=slots)
    for make in (uniform, mixed):
        auto, single = (simulate(make(1000), settings(each, slots), cloud) for each in ("auto", 1))
        assert auto.seconds < 1.1 * single.seconds


HUNDRED_THOUSAND = """
from pathlib import Path
from scaler_batch.tasks import TaskManagerSettings
from scaler_batch.tasks.simulation import Cloud, simulate, uniform

settings = TaskManagerSettings("queue", "definition", max_concurrent_jobs=10_000, tasks_per_job=TASKS, transfers=256)
report = simulate(uniform(100_000), settings, Cloud(slots=10_000, warm=10_000))
# Not that of getrusage, which begins with what the parent held.
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
print(report.tasks, int(peak.split()[1]) // 1024)
"""


@pytest.mark.long
@pytest.mark.parametrize("tasks_per_job", ["1", "'auto'"])
def test_a_hundred_thousand_tasks_on_ten_thousand_slots_take_a_tenth_of_two_gigabytes(tasks_per_job: str):
    program = HUNDRED_THOUSAND.replace("TASKS", tasks_per_job)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    tasks, mebibytes = map(int, done.stdout.split())
    assert tasks == 100_000
    assert mebibytes < 204
