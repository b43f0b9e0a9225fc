from __future__ import annotations

import pytest

from scaler_batch.tasks.flight import Flight, Submission
from scaler_batch.tasks.lifecycle import Task
from scaler_batch.tasks.vocabulary import JobRef, TaskRequest


def tasks(count: int) -> list[Task]:
    return [Task(TaskRequest(b"%d" % number, b"s", b"f"), 0.0) for number in range(count)]


@pytest.fixture
def landed() -> list[int]:
    return []


@pytest.fixture
def flight(landed: list[int]) -> Flight:
    return Flight(landed.append)


def test_a_single_job_goes_by_the_id_of_its_submission():
    (task,) = tasks(1)
    submission = Submission(7, "job", [task])
    assert not submission.is_array
    assert submission.open_jobs == {JobRef(7): task}
    assert submission.id_of(JobRef(7)) == "job"


def test_a_child_goes_by_its_place():
    first, second = tasks(2)
    submission = Submission(7, "job", [first, second])
    assert submission.is_array
    assert submission.open_jobs == {JobRef(7, 0): first, JobRef(7, 1): second}
    assert submission.id_of(JobRef(7, 1)) == "job:1"


def test_a_job_is_closed_once(flight: Flight):
    first, second = tasks(2)
    submission = Submission(1, "job", [first, second])
    flight.add(submission)
    assert flight.is_open(JobRef(1, 0))
    assert flight.close(JobRef(1, 0)) == (submission, first)
    assert flight.close(JobRef(1, 0)) is None
    assert not flight.is_open(JobRef(1, 0))
    assert flight.holds(submission)


def test_a_submission_lands_with_its_last_job(flight: Flight, landed: list[int]):
    submission = Submission(1, "job", tasks(2))
    flight.add(submission)
    flight.close(JobRef(1, 1))
    assert not landed
    flight.close(JobRef(1, 0))
    assert landed == [1]
    assert not flight
    assert not flight.holds(submission)
    assert list(flight) == []


@pytest.mark.parametrize("ref", [JobRef(2), JobRef(1), JobRef(1, 2)])
def test_a_job_that_nobody_submitted_is_not_open(flight: Flight, ref: JobRef):
    flight.add(Submission(1, "job", tasks(2)))
    assert not flight.is_open(ref)
    assert flight.close(ref) is None


def test_submissions_come_oldest_first_and_may_land_while_looked_at(flight: Flight):
    for sequence in (1, 2, 3):
        flight.add(Submission(sequence, f"job-{sequence}", tasks(1)))
    seen = []
    for submission in flight:
        seen.append(submission.sequence)
        flight.close(JobRef(submission.sequence))
    assert seen == [1, 2, 3]


def test_whoever_waits_for_jobs_hears_of_a_launch(flight: Flight):
    assert not flight.launched.is_set()
    flight.add(Submission(1, "job", tasks(1)))
    assert flight.launched.is_set()
