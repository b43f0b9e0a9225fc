from __future__ import annotations

import pytest

from scaler_batch.aws import JobShape
from scaler_batch.tasks.flight import Flight, Submission
from scaler_batch.tasks.lifecycle import Task
from scaler_batch.tasks.vocabulary import JobRef, TaskRequest

SHAPE = JobShape("queue", "definition", 60)


def tasks(count: int) -> list[Task]:
    return [Task(TaskRequest(b"%d" % number, b"s", b"f"), 0.0) for number in range(count)]


@pytest.fixture
def landed() -> list[int]:
    return []


@pytest.fixture
def flight(landed: list[int]) -> Flight:
    return Flight(landed.append)


def submission(count: int, sequence: int = 1, tasks_per_job: int = 1) -> Submission:
    waiting = tasks(count)
    bundles = [waiting[start : start + tasks_per_job] for start in range(0, count, tasks_per_job)]
    return Submission(sequence, f"job-{sequence}", SHAPE, bundles)


def test_a_single_job_goes_by_the_id_of_its_submission():
    made = submission(1, 7)
    assert [(ref, job.job_id) for ref, job in made.jobs.items()] == [(JobRef(7), "job-7")]


def test_a_child_goes_by_its_place():
    made = submission(2, 7)
    assert [(ref, job.job_id) for ref, job in made.jobs.items()] == [
        (JobRef(7, 0), "job-7:0"),
        (JobRef(7, 1), "job-7:1"),
    ]


def test_a_job_knows_its_tasks_by_position():
    made = submission(5, 7, tasks_per_job=3)
    names = [{place: task.request.task_id for place, task in job.unanswered.items()} for job in made.jobs.values()]
    assert names == [{0: b"0", 1: b"1", 2: b"2"}, {0: b"3", 1: b"4"}]


def test_a_job_is_closed_once(flight: Flight):
    flight.add(submission(2))
    assert flight.open == 2
    job = flight.find(JobRef(1, 0))
    assert job is not None
    assert flight.close(job)
    assert not flight.close(job)
    assert flight.find(JobRef(1, 0)) is None
    assert flight.open == 1
    assert flight.holds(1)


def test_a_submission_lands_with_its_last_job(flight: Flight, landed: list[int]):
    made = submission(2)
    flight.add(made)
    first, second = made.jobs.values()
    flight.close(second)
    assert not landed
    flight.close(first)
    assert landed == [1]
    assert not flight
    assert not flight.holds(1)
    assert list(flight) == []
    assert flight.open == 0


@pytest.mark.parametrize("ref", [JobRef(2), JobRef(1), JobRef(1, 2)])
def test_a_job_that_nobody_submitted_is_not_open(flight: Flight, ref: JobRef):
    flight.add(submission(2))
    assert flight.find(ref) is None


def test_submissions_come_oldest_first_and_may_land_while_looked_at(flight: Flight):
    for sequence in (1, 2, 3):
        flight.add(submission(1, sequence))
    seen = []
    for each in flight:
        seen.append(each.sequence)
        [job] = each.jobs.values()
        flight.close(job)
    assert seen == [1, 2, 3]


def test_whoever_waits_for_jobs_hears_of_a_launch(flight: Flight):
    assert not flight.launched.is_set()
    flight.add(submission(1))
    assert flight.launched.is_set()
