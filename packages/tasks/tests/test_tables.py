"""Tasks and jobs: any sequence of moves ends every life of every task exactly once, and a job is closed once."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from scaler_batch.aws import JobShape
from scaler_batch.payload import RunLocation, RunSeal, Seal
from scaler_batch.tasks.errors import IllegalMoveError
from scaler_batch.tasks.models import JobRef, Stage, TaskRequest
from scaler_batch.tasks.state.tables import MOVES, JobTable, Submission, Task, TaskTable, join_job

IDS = st.sampled_from([b"a", b"b", b"c", b"d"])
STAGES = st.sampled_from(list(Stage))


class Lives(RuleBasedStateMachine):
    """Compares the tasks with a model: which lives go on, where each stands, and how often each has ended."""

    lives = Bundle("lives")

    def __init__(self) -> None:
        super().__init__()
        self.tasks = TaskTable()
        self.stages: dict[Task, Stage] = {}
        self.ends: Counter[Task] = Counter()
        self.born: list[Task] = []

    def ended(self, task: Task) -> None:
        del self.stages[task]
        self.ends[task] += 1

    @rule(target=lives, task_id=IDS)
    def admit(self, task_id: bytes):
        taken = any(task.request.task_id == task_id for task in self.stages)
        task = self.tasks.admit(TaskRequest(task_id, b"s", b"f"), now=1.0)
        assert (task is None) == taken
        if task is None:
            return multiple()
        self.stages[task] = Stage.QUEUED
        self.born.append(task)
        return task

    @rule(task=lives, to=STAGES)
    def move(self, task: Task, to: Stage) -> None:
        if task in self.stages and to not in MOVES[self.stages[task]]:
            with pytest.raises(IllegalMoveError, match=f"from {self.stages[task].value} to {to.value}"):
                self.tasks.move(task, to)
            return
        assert self.tasks.move(task, to) == (task in self.stages)
        if task in self.stages:
            self.stages[task] = to

    @rule(task=lives)
    def forget(self, task: Task) -> None:
        assert self.tasks.forget(task) == (task in self.stages)
        if task in self.stages:
            self.ended(task)

    @rule(task=consumes(lives))
    def run_through(self, task: Task) -> None:
        path = [Stage.SUBMITTING, Stage.RUNNING, Stage.COLLECTING, Stage.REPLYING]
        for to in path[path.index(self.stages[task]) + 1 :] if self.stages.get(task) in path else path:
            assert self.tasks.move(task, to) == (task in self.stages)
        assert self.tasks.forget(task) == (task in self.stages)
        if task in self.stages:
            self.ended(task)

    @invariant()
    def agrees_with_the_model(self) -> None:
        assert list(self.tasks) == list(self.stages)
        assert len(self.tasks) == sum(self.tasks.counts().values()) == len(self.stages)
        for stage in Stage:
            assert self.tasks.count(stage) == sum(at is stage for at in self.stages.values())
        for task in self.born:
            assert task.ended == (task not in self.stages)
            assert self.ends[task] == (task not in self.stages)
        for task, stage in self.stages.items():
            assert task.stage is stage
            assert self.tasks.get(task.request.task_id) is task

    def teardown(self) -> None:
        for task in self.tasks:
            self.forget(task)
        assert all(self.ends[task] == 1 for task in self.born)
        assert len(self.tasks) == 0


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_second_task_of_the_same_id_is_not_admitted():
    tasks = TaskTable()
    assert tasks.admit(TaskRequest(b"a", b"s", b"f"), 1.0) is not None
    assert tasks.admit(TaskRequest(b"a", b"other", b"f"), 2.0) is None


def test_a_new_life_is_not_touched_by_what_holds_the_old_one():
    tasks = TaskTable()
    old = tasks.admit(TaskRequest(b"a", b"s", b"f"), 1.0)
    assert old is not None
    tasks.forget(old)
    new = tasks.admit(TaskRequest(b"a", b"s", b"f"), 2.0)
    assert new is not None
    tasks.forget(old)
    assert not tasks.move(old, Stage.SUBMITTING)
    assert not tasks.forget(old)
    assert tasks.get(b"a") is new
    assert new.stage is Stage.QUEUED


def test_every_stage_but_the_last_can_fail_and_none_leads_back_but_to_the_queue_or_a_job_that_may_answer_yet():
    order = list(Stage)
    for stage, targets in MOVES.items():
        back = {Stage.QUEUED} | ({Stage.RUNNING} if stage is Stage.COLLECTING else set())
        assert all(order.index(target) > order.index(stage) for target in targets - back)
        assert (Stage.REPLYING in targets) == (stage is not Stage.REPLYING)


def test_every_life_has_a_number_of_its_own():
    tasks = TaskTable()
    first = tasks.admit(TaskRequest(b"a", b"s", b"f"), 1.0)
    assert first is not None
    tasks.forget(first)
    second = tasks.admit(TaskRequest(b"a", b"s", b"f"), 1.0)
    assert second is not None
    assert first.life != second.life


SEALS = RunSeal(RunLocation("bucket", "", "run", "us-east-1"), Seal(bytes(32)))
SHAPE = JobShape("queue", "definition", 60)


def submission(count: int, sequence: int = 1, tasks_per_job: int = 1) -> Submission:
    waiting = [Task(TaskRequest(b"%d" % number, b"s", b"f"), number, 0.0) for number in range(count)]
    bundles = [waiting[start : start + tasks_per_job] for start in range(0, count, tasks_per_job)]
    made = Submission(sequence, f"job-{sequence}", SHAPE, bundles, SEALS.submission(sequence))
    for job, bundle in zip(made.jobs.values(), bundles, strict=True):
        for position, task in enumerate(bundle):
            join_job(task, job, position)
    return made


def test_a_single_job_goes_by_the_id_of_its_submission():
    made = submission(1, 7)
    assert [(job.ref, job.job_id) for job in made.jobs.values()] == [(JobRef(7), "job-7")]


def test_a_child_goes_by_its_place():
    made = submission(2, 7)
    assert [(job.ref, job.job_id) for job in made.jobs.values()] == [
        (JobRef(7, 0), "job-7:0"),
        (JobRef(7, 1), "job-7:1"),
    ]


def test_a_job_knows_its_tasks_by_position_and_they_know_it():
    made = submission(5, 7, tasks_per_job=3)
    names = [{place: task.request.task_id for place, task in job.unanswered.items()} for job in made.jobs.values()]
    assert names == [{0: b"0", 1: b"1", 2: b"2"}, {0: b"3", 1: b"4"}]
    assert all(task.job is job for job in made.jobs.values() for task in job.unanswered.values())


def test_a_job_no_longer_answers_for_a_task_that_is_forgotten():
    tasks = TaskTable()
    task = tasks.admit(TaskRequest(b"a", b"s", b"f"), 1.0)
    assert task is not None
    made = Submission(1, "job-1", SHAPE, [[task]], SEALS.submission(1))
    join_job(task, made.eldest, 0)
    tasks.forget(task)
    assert not made.eldest.unanswered
    assert task.job is None
    assert task.job_id == "job-1"


def test_a_job_that_was_taken_for_over_is_open_again():
    jobs = JobTable()
    made = submission(1)
    jobs.add(made)
    job = made.eldest
    assert jobs.close(job)
    assert not jobs
    jobs.reopen(job)
    jobs.reopen(job)
    assert (jobs.open, jobs.find(1, None), jobs.get(1)) == (1, job, made)
    assert jobs.close(job)


def test_a_job_is_closed_once():
    jobs = JobTable()
    jobs.add(submission(2))
    assert jobs.open == 2
    job = jobs.find(1, 0)
    assert job is not None
    assert jobs.close(job)
    assert not jobs.close(job)
    assert jobs.find(1, 0) is None
    assert jobs.open == 1
    assert jobs.get(1) is not None


def test_a_submission_goes_with_its_last_job():
    jobs = JobTable()
    made = submission(2)
    jobs.add(made)
    for job in list(made.jobs.values()):
        assert jobs.get(1) is made
        jobs.close(job)
    assert not jobs
    assert jobs.get(1) is None
    assert list(jobs) == []
    assert jobs.open == 0


@pytest.mark.parametrize("ref", [JobRef(2), JobRef(1), JobRef(1, 2)])
def test_a_job_that_nobody_submitted_is_not_open(ref: JobRef):
    jobs = JobTable()
    jobs.add(submission(2))
    assert jobs.find(*ref) is None


def test_submissions_come_oldest_first_and_may_go_while_looked_at():
    jobs = JobTable()
    for sequence in (1, 2, 3):
        jobs.add(submission(1, sequence))
    seen = []
    for each in jobs:
        seen.append(each.sequence)
        jobs.close(each.eldest)
    assert seen == [1, 2, 3]
