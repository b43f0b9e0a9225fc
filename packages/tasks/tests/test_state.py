"""The real state under everything that the outside can do: late, twice, never, and against what it said before.

The outside is a model of AWS Batch, S3 and whoever asks for tasks. It may answer any command late, twice, with an
error or with stale data, and it lets time pass. Whatever it does, each task that was taken on ends exactly once, no
job is left running that nobody waits for, and no object that nobody needs.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler_batch.aws import Classification, CredentialsError, JobReport, JobSpec, JobStatus, ServiceError
from scaler_batch.payload import JobSeal, Outcome, RunLocation, RunSeal, Seal, Status
from scaler_batch.payload.contract import PACK_PARAMETER
from scaler_batch.payload.errors import NotStoredError, StoreError
from scaler_batch.payload.keys import outcome_key, pack_key
from scaler_batch.tasks import TaskManagerSettings, TaskRequest, Verdict, commands, events
from scaler_batch.tasks.errors import InputUnavailableError, StorageUnavailableError
from scaler_batch.tasks.failures import job_failed
from scaler_batch.tasks.retrying import Backoff
from scaler_batch.tasks.state import State
from scaler_batch.tasks.state.objects import UNUSED

RUN = RunLocation("bucket", "", "run", "eu-west-1")
KEY = Seal(bytes(32))

PASSING = ServiceError("throttled", Classification.REPEAT)
FINAL = ServiceError("refused", Classification.FINAL)
LOST = ServiceError("no answer", Classification.AMBIGUOUS)
EXPIRED = CredentialsError("expired")
STORE_PASSING = StoreError("503", key="", retryable=True)
STORE_FINAL = StoreError("denied", key="", retryable=False)

STOP = 5000.0
"""Seconds that a stop may take."""

ERRORS = {"lost": LOST, "final": FINAL, "expired": EXPIRED}


@dataclass(eq=False)
class FakeJob:
    """One container, at AWS."""

    job_id: str
    sequence: int
    child: int | None
    size: int
    status: JobStatus = JobStatus.RUNNABLE
    answered: set[int] = field(default_factory=set)

    @property
    def report(self) -> JobReport:
        return JobReport(self.job_id, self.status, index=self.child)

    @property
    def seal(self) -> JobSeal:
        return RunSeal(RUN, KEY).submission(self.sequence).job(self.child)


@dataclass(eq=False)
class Parent:
    """What one SubmitJob has made."""

    job_id: str
    name: str
    jobs: list[FakeJob]

    @property
    def report(self) -> JobReport:
        if self.jobs[0].child is None:
            return self.jobs[0].report
        failed = sum(job.status is JobStatus.FAILED for job in self.jobs)
        over = all(job.status.is_final for job in self.jobs)
        status = JobStatus.PENDING if not over else JobStatus.FAILED if failed else JobStatus.SUCCEEDED
        return JobReport(self.job_id, status, failed_children=failed)


class Outside:
    """AWS Batch, S3, and whoever asks."""

    def __init__(self, **options: Any) -> None:
        options = {
            "max_concurrent_jobs": 3,
            "transfers": 2,
            "backoff": Backoff(within=30.0),
            "payload_key": KEY,
        } | options
        self.state = State(TaskManagerSettings("queue", "definition", **options), RUN, seed=1)
        self.now = 0.0
        self.pending: list[commands.Command] = []
        self.told: list[events.Event] = []
        self.parents: dict[str, Parent] = {}
        self.sizes: dict[int, list[int]] = {}
        self.objects: dict[str, Any] = {}
        self.large: dict[str, str] = {}
        self.taken: list[TaskRequest] = []
        self.cancelled: list[TaskRequest] = []
        self.announced: Counter[int] = Counter()
        self.discarded: Counter[int] = Counter()

    # What the test does.

    def tell(self, event: events.Event) -> None:
        for command in self.state.handle(event, self.now):
            match command:
                case commands.Announce(request, _):
                    self.announced[id(request)] += 1
                case commands.Discard(request, _):
                    self.discarded[id(request)] += 1
                case _:
                    self.pending.append(command)

    def arrive(self, name: int, kind: int, alone: bool = False, priority: int = 0, client: int = 0) -> None:
        arguments = (b"large-%d" % kind,) if kind > 2 else (b"small",)
        source = b"s%d" % client
        request = TaskRequest(
            b"%d" % name, source, b"f%d" % kind, arguments, alone=alone, priority=priority, source=source
        )
        if not self.state.holds(request.task_id):
            self.taken.append(request)
            self.tell(events.TaskArrived(request))

    def cancel(self, name: int, force: bool) -> None:
        verdict = self.state.verdict(b"%d" % name, force)
        if verdict is Verdict.CANCELLED:
            self.cancelled += [each for each in self.waiting if each.task_id == b"%d" % name]
        self.tell(events.CancelAsked(b"%d" % name, force))

    @property
    def waiting(self) -> list[TaskRequest]:
        gone = {id(request) for request in self.cancelled}
        return [request for request in self.taken if not self.announced[id(request)] and id(request) not in gone]

    def repeat(self, which: int) -> None:
        """Tell old news again."""
        if self.told:
            self.tell(self.told[which % len(self.told)])

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.tell(events.Tick())

    def wake(self) -> None:
        if not math.isinf(self.state.wake_at):
            self.now = max(self.now, self.state.wake_at)
            self.tell(events.Tick())

    @property
    def running(self) -> list[FakeJob]:
        return [job for parent in self.parents.values() for job in parent.jobs if not job.status.is_final]

    def work(self, which: int, how: str) -> None:
        """Let something become of a job."""
        if not (running := self.running):
            return
        job = running[which % len(running)]
        match how:
            case "publish":
                self.publish(job, sorted(set(range(job.size)) - job.answered)[:1])
            case "succeed":
                self.publish(job, sorted(set(range(job.size)) - job.answered))
                job.status = JobStatus.SUCCEEDED
            case "leave nothing":
                job.status = JobStatus.SUCCEEDED
            case "interrupt":
                self.objects[job.seal.interruption_key(1)] = ()
            case "contradict":
                # Called over, and then it publishes all the same.
                job.status = JobStatus.FAILED
                self.publish(job, sorted(set(range(job.size)) - job.answered))
            case "die":
                job.status = JobStatus.FAILED

    def publish(self, job: FakeJob, positions: list[int]) -> None:
        if positions:
            job.answered |= set(positions)
            key = job.seal.outcome_key(positions[0])
            self.objects[key] = [Outcome(position, Status.SUCCESS, b"") for position in positions]

    def answer(self, which: int, how: str) -> None:
        """Carry out a command, in any order."""
        if self.pending:
            command = self.pending.pop(which % len(self.pending))
            event = self.carry_out(command, how)
            self.told.append(event)
            self.tell(event)

    # What AWS does.

    def carry_out(self, command: commands.Command, how: str) -> events.Event:
        error = ERRORS.get(how, PASSING)
        failed = how != "well"
        store_error = STORE_FINAL if how == "final" else STORE_PASSING
        match command:
            case commands.LoadInput(name):
                if how == "final":
                    return events.InputFailed(name, InputUnavailableError("gone"))
                data = name if name.startswith(b"s") else b"data"
                return events.InputLoaded(name, data, name.hex() if name.startswith(b"large") else "")
            case commands.StoreObject(digest, ask, reference):
                if failed:
                    return events.ObjectFailed(digest, ask, StorageUnavailableError("no"))
                self.objects[reference.key] = ()
                return events.ObjectStored(digest, ask)
            case commands.WritePack(sequence, calls):
                if how == "final":
                    return events.PackFailed(sequence, StorageUnavailableError("no"))
                self.sizes[sequence] = [len(bundle) for bundle in calls]
                assert all(len({call.serializer for call in bundle}) == 1 for bundle in calls), "of two clients"
                stored = how != "well" or sequence % 2 == 0
                if stored:
                    self.objects[pack_key(sequence)] = ()
                return events.PackWritten(sequence, "pack", 4, stored)
            case commands.SubmitJob(sequence, ask, job):
                if how in ("well", "lost after"):
                    job_id = self.submit(sequence, job)
                    return (
                        events.Submitted(sequence, ask, job_id)
                        if how == "well"
                        else events.SubmitFailed(sequence, ask, LOST)
                    )
                return events.SubmitFailed(sequence, ask, error)
            case commands.FindJob(sequence, ask, name, _):
                if failed and how != "lost after":
                    return events.FindFailed(sequence, ask, error)
                found = [parent.job_id for parent in self.parents.values() if parent.name == name]
                return events.JobFound(sequence, ask, found[0] if found and how == "well" else None)
            case commands.ListOutcomes(listing):
                if failed:
                    return events.ListingFailed(listing, store_error)
                return events.OutcomesListed(listing, [key for key in self.objects if key.startswith("outcomes/")])
            case commands.FetchOutcome(read, key):
                return self.fetch(read, key, how, store_error)
            case commands.OpenOutcome(read, _, _, sealed):
                return events.OutcomeRead(read, list(sealed)) if how == "well" else events.OutcomeUnreadable(read, "no")
            case commands.DescribeJobs(checkup, job_ids):
                if how == "lost after":
                    return events.JobsReported(checkup, {})
                return (
                    events.ReportsFailed(checkup, error)
                    if failed
                    else events.JobsReported(checkup, self.reports(job_ids))
                )
            case commands.ListFailedChildren(checkup, sequence, job_id):
                if failed and how != "lost after":
                    return events.ChildrenFailed(checkup, sequence, error)
                jobs = self.parents[job_id].jobs if how == "well" else []
                dead = [job.report for job in jobs if job.status is JobStatus.FAILED]
                return events.ChildrenListed(checkup, sequence, dead)
            case commands.DiagnoseJobs(checkup, reports):
                found = reports if how == "well" else reports[:1]
                return events.JobsDiagnosed(checkup, {report.job_id: job_failed(report) for report in found})
            case commands.PrepareReply(life, _, result):
                return events.ReplyPrepared(life, None, type(result).__name__)
            case commands.TerminateJobs(group, job_ids):
                if failed and how != "lost after":
                    return events.TerminateFailed(group, PASSING)
                left = list(job_ids[:1]) if how == "lost after" else []
                self.terminate(job_ids[len(left) :])
                return events.Terminated(group, left)
            case commands.RemoveObjects(keys):
                for key in keys if how == "well" else ():
                    self.objects.pop(key, None)
                return events.ObjectsRemoved()
            case commands.DescribeEnded(ask, job_ids):
                return events.EndReported(ask, None if failed else self.reports(job_ids))
            case commands.ListNamedJobs(ask):
                found = (
                    [] if failed else [each.job_id for each in self.parents.values() if not each.report.status.is_final]
                )
                return events.JobsNamed(ask, found)
            case commands.PurgeRun():
                self.objects.clear()
                return events.RunPurged()
        raise AssertionError(command)

    def submit(self, sequence: int, job: JobSpec) -> str:
        assert job.parameters[PACK_PARAMETER] == "pack"
        assert job.size == len(self.sizes[sequence])
        job_id = f"job-{len(self.parents) + 1}"
        sizes = self.sizes[sequence]
        children = range(len(sizes)) if len(sizes) > 1 else [None]
        names = [job_id if child is None else f"{job_id}:{child}" for child in children]
        made = [FakeJob(name, sequence, child, size) for name, child, size in zip(names, children, sizes, strict=True)]
        self.parents[job_id] = Parent(job_id, job.name, made)
        return job_id

    def fetch(self, read: int, key: str, how: str, error: StoreError) -> events.Event:
        if key not in self.objects:
            return events.FetchFailed(read, NotStoredError(key))
        if how == "lost after":
            return events.OutcomeFetched(read, self.objects[key])
        if how == "expired":
            return events.OutcomeUnreadable(read, "no")
        if how == "lost":
            return events.OutcomeRefused(read)
        return events.FetchFailed(read, error) if how != "well" else events.OutcomeRead(read, self.objects[key])

    def reports(self, job_ids: Any) -> dict[str, JobReport]:
        jobs = {job.job_id: job.report for parent in self.parents.values() for job in parent.jobs}
        jobs |= {parent.job_id: parent.report for parent in self.parents.values()}
        return {job_id: jobs[job_id] for job_id in job_ids if job_id in jobs}

    def terminate(self, job_ids: Any) -> None:
        for parent in self.parents.values():
            for job in parent.jobs:
                if not job.status.is_final and {job.job_id, parent.job_id} & set(job_ids):
                    job.status = JobStatus.FAILED

    # What has to come of it.

    def until(self, kind: type[Any], *, jobs_succeed: bool = False) -> Any:
        """Let everything go well until a command of some kind is to be carried out; return it."""
        self.go_well(jobs_succeed=jobs_succeed, until=lambda: any(isinstance(each, kind) for each in self.pending))
        [command] = [each for each in self.pending if isinstance(each, kind)]
        self.pending.remove(command)
        return command

    def go_well(self, *, jobs_succeed: bool = True, until: Any = lambda: False) -> None:
        """Let everything go well from now on, until nothing is left to do."""
        for _ in range(20_000):
            if until():
                return
            if self.pending:
                self.answer(0, "well")
            elif jobs_succeed and (answered := [job for job in self.running if len(job.answered) == job.size]):
                answered[0].status = JobStatus.SUCCEEDED
            elif jobs_succeed and (awaited := self.awaited):
                self.publish(awaited[0], sorted(set(range(awaited[0].size)) - awaited[0].answered))
                awaited[0].status = JobStatus.SUCCEEDED
                self.wake()
            elif math.isinf(self.state.wake_at):
                return
            else:
                self.wake()
        raise AssertionError("it does not come to an end")

    @property
    def awaited(self) -> list[FakeJob]:
        """Jobs that run and that the state waits for: others have to be ended."""
        wanted = {self.state.job_of(request.task_id) for request in self.waiting}
        return [job for job in self.running if job.job_id in wanted]

    def check_tasks(self) -> None:
        assert not self.waiting, "somebody was not answered"
        gone = {id(request) for request in self.cancelled}
        for request in self.taken:
            assert self.announced[id(request)] == (id(request) not in gone)
            assert self.discarded[id(request)] <= (id(request) in gone)

    def check_jobs(self) -> None:
        in_doubt = self.state._core.submitting.in_doubt
        for parent in self.parents.values():
            for job in parent.jobs:
                has_answered = len(job.answered) == job.size
                assert job.status.is_final or has_answered or parent.name in in_doubt, f"{job} runs for nobody"

    def check_objects(self) -> None:
        core = self.state._core
        spared = {*core.cleaning.keys, *core.cleaning.removing, *core.reading.unread}
        needed = {each.reference.key for each in core.objects.in_use()}
        assert not needed, "no submission is left that could need one"
        cached = {each.reference.key for each in core.objects._unused}
        assert len(cached) <= UNUSED
        left = set(self.objects) - spared - cached
        # What is published after the last look at outcomes is seen by the next, if there is one.
        assert all(key.startswith("outcomes/") for key in left), left


HOW = st.sampled_from(["well", "well", "well", "well", "passing", "final", "lost", "lost after", "expired"])
WORK = st.sampled_from(["publish", "publish", "succeed", "succeed", "leave nothing", "interrupt", "contradict", "die"])
NUMBERS = st.integers(0, 50)
STEPS = st.one_of(
    st.tuples(
        st.just("arrive"), st.integers(0, 7), st.integers(0, 5), st.booleans(), st.integers(-1, 1), st.integers(0, 2)
    ),
    st.tuples(st.just("arrive"), st.integers(0, 7), st.just(0)),
    st.tuples(st.just("cancel"), st.integers(0, 7), st.booleans()),
    st.tuples(st.just("answer"), NUMBERS, HOW),
    st.tuples(st.just("answer"), st.just(0), st.just("well")),
    st.tuples(st.just("work"), NUMBERS, WORK),
    st.tuples(st.just("repeat"), NUMBERS),
    st.tuples(st.just("wake")),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.1, 1.0, 30.0, 700.0])),
)

OPTIONS = st.fixed_dictionaries(
    {
        "max_concurrent_jobs": st.sampled_from([1, 3, 50]),
        "tasks_per_job": st.sampled_from([1, 2, "auto"]),
        "transfers": st.sampled_from([1, 2, 16]),
    }
)


def play(options: dict[str, Any], steps: list[Any]) -> Outside:
    outside = Outside(**options)
    for name, *arguments in steps:
        getattr(outside, name)(*arguments)
    return outside


def check_everything_ends(options: dict[str, Any], steps: list[Any]) -> None:
    outside = play(options, steps)
    outside.go_well(until=lambda: outside.state.is_idle and not outside.pending and not outside.state.jobs)
    outside.go_well(jobs_succeed=False)
    outside.check_tasks()
    outside.check_jobs()
    outside.check_objects()
    outside.tell(events.StopAsked(STOP))
    outside.go_well(jobs_succeed=False)
    check_stopped(outside)


def check_stopped(outside: Outside) -> None:
    assert outside.state.stopped is True
    assert outside.state.is_idle
    # Whether jobs that have answered have left is asked for half of the time at most.
    answered = [job for job in outside.running if len(job.answered) == job.size]
    assert not outside.running or (outside.running == answered and outside.now >= STOP / 2)
    assert not outside.objects or outside.now >= STOP


@settings(max_examples=300, deadline=None)
@given(OPTIONS, st.lists(STEPS, max_size=80))
def test_every_task_ends_once_and_nothing_is_left_behind(options: dict[str, Any], steps: list[Any]):
    check_everything_ends(options, steps)


@settings(max_examples=200, deadline=None)
@given(OPTIONS, st.lists(STEPS, max_size=60), st.lists(STEPS, max_size=20))
def test_a_stop_at_any_moment_leaves_nothing_and_answers_nobody(
    options: dict[str, Any], before: list[Any], after: list[Any]
):
    outside = play(options, before)
    answered = outside.announced.copy()
    outside.tell(events.StopAsked(STOP))
    for name, *arguments in after:
        if name not in ("arrive", "cancel"):
            getattr(outside, name)(*arguments)
    assert outside.announced == answered
    outside.go_well(jobs_succeed=False)
    if outside.state.stopped:
        check_stopped(outside)
    else:
        assert outside.now >= STOP


@pytest.mark.parametrize("how", ["well", "final", "lost"])
def test_a_state_without_tasks_wants_nothing(how: str):
    outside = Outside()
    assert math.isinf(outside.state.wake_at)
    outside.arrive(1, 0)
    outside.cancel(1, force=False)
    outside.wake()
    assert not outside.pending
    assert math.isinf(outside.state.wake_at)


def running(tasks: int, **options: Any) -> Outside:
    """So many tasks that run."""
    outside = Outside(**options)
    for number in range(tasks):
        outside.arrive(number, 0)
    outside.go_well(jobs_succeed=False, until=lambda: outside.state.stages["running"] == tasks)
    return outside


def test_the_next_object_is_read_after_one_that_could_not_be():
    outside = running(4, tasks_per_job=2, transfers=1)
    for job in outside.running:
        outside.publish(job, [0])
    fetch = outside.until(commands.FetchOutcome)
    outside.tell(events.FetchFailed(fetch.read, NotStoredError(fetch.key)))
    assert outside.until(commands.FetchOutcome).read != fetch.read


def test_a_task_that_fails_while_everything_is_stopped_is_not_answered():
    outside = Outside()
    outside.arrive(1, 0)
    pack = outside.until(commands.WritePack)
    outside.tell(events.StopAsked(STOP))
    outside.tell(events.PackFailed(pack.sequence, StorageUnavailableError("no")))
    outside.go_well(jobs_succeed=False)
    assert not outside.announced
    check_stopped(outside)


def test_a_job_that_is_taken_after_a_stop_has_failed_is_ended():
    outside = Outside()
    outside.arrive(1, 0)
    submit = outside.until(commands.SubmitJob)
    outside.tell(events.StopAsked(STOP))
    outside.wait(STOP)
    assert outside.state.stopped is False
    job_id = outside.submit(submit.sequence, submit.job)
    outside.tell(events.Submitted(submit.sequence, submit.ask, job_id))
    outside.go_well(jobs_succeed=False)
    assert not outside.running


def test_an_object_that_is_stored_while_everything_is_stopped_is_removed():
    outside = Outside()
    outside.arrive(1, 3)
    store = outside.until(commands.StoreObject)
    outside.tell(events.StopAsked(STOP))
    for _ in range(10):
        while outside.pending:
            outside.answer(0, "well")
        outside.wait(0.0)
    assert outside.state.stopped is None
    outside.tell(outside.carry_out(store, "well"))
    outside.go_well(jobs_succeed=False)
    check_stopped(outside)


def test_a_job_that_runs_on_for_a_cancelled_task_only_is_ended():
    outside = running(2, tasks_per_job=2)
    [job] = outside.running
    outside.cancel(1, force=True)
    outside.go_well(jobs_succeed=False, until=lambda: outside.now > 10)
    assert not job.status.is_final, "somebody waits for its other task"
    outside.publish(job, [0])
    outside.go_well(jobs_succeed=False)
    assert outside.announced[id(outside.taken[0])] == 1
    assert job.status is JobStatus.FAILED


def test_a_child_that_ended_well_and_left_nothing_is_found_while_others_run():
    outside = running(3)
    outside.running[0].status = JobStatus.SUCCEEDED
    outside.go_well(jobs_succeed=False, until=lambda: len(outside.waiting) == 2)
    assert len(outside.running) == 2


@pytest.mark.parametrize("how", ["again", "under another id"])
def test_a_job_that_is_said_to_be_taken_twice(how: str):
    outside = Outside()
    outside.arrive(1, 0)
    submit = outside.until(commands.SubmitJob)
    first = outside.submit(submit.sequence, submit.job)
    second = first if how == "again" else outside.submit(submit.sequence, submit.job)
    for job_id in (first, second):
        outside.tell(events.Submitted(submit.sequence, submit.ask, job_id))
    outside.go_well(jobs_succeed=False, until=lambda: outside.now > 10)
    assert [job.job_id for job in outside.running] == [first]
    outside.go_well()
    outside.check_tasks()
    outside.check_jobs()


def test_a_submission_that_is_said_twice_to_have_failed_is_tried_once_more_and_not_twice():
    outside = Outside()
    outside.arrive(1, 0)
    submit = outside.until(commands.SubmitJob)
    failed = events.SubmitFailed(submit.sequence, submit.ask, PASSING)
    outside.tell(failed)
    again = outside.until(commands.SubmitJob)
    outside.tell(failed)
    assert not outside.pending
    outside.tell(outside.carry_out(again, "well"))
    outside.go_well()
    outside.check_tasks()
    assert len(outside.parents) == 1


def test_an_object_that_is_said_twice_to_be_stored_is_known_once():
    outside = Outside()
    outside.arrive(1, 3)
    store = outside.until(commands.StoreObject)
    outside.tell(events.ObjectFailed(store.digest, store.ask, StorageUnavailableError("no")))
    outside.arrive(2, 3)
    again = outside.until(commands.StoreObject)
    assert again.ask != store.ask
    outside.tell(events.ObjectStored(store.digest, store.ask))
    assert not list(outside.state.keys_in_use())
    outside.tell(outside.carry_out(again, "well"))
    outside.go_well()
    outside.check_objects()


def test_a_listing_that_is_as_long_as_somebody_likes_is_looked_at_in_pieces():
    outside = running(1)
    listing = outside.until(commands.ListOutcomes)
    outside.tell(
        events.OutcomesListed(
            listing.listing, [outcome_key(number, None, 0, "0" * 32) for number in range(10**6, 10**6 + 5000)]
        )
    )
    turns = 0
    while outside.state.wake_at <= outside.now:
        outside.wait(0.0)
        turns += 1
    assert turns >= 4
    assert not outside.pending


def test_what_unfinished_tasks_need_is_known_and_since_when():
    outside = Outside()
    outside.wait(5.0)
    outside.arrive(1, 3)
    outside.arrive(2, 0)
    pack = outside.until(commands.WritePack)
    outside.wait(5.0)
    outside.objects[pack_key(pack.sequence)] = ()
    outside.tell(events.PackWritten(pack.sequence, "pack", 4, stored=True))
    outside.sizes[pack.sequence] = [len(bundle) for bundle in pack.calls]
    needed = {(pack_key(1), 10.0), ("objects/" + b"large-3".hex() + ".1", 5.0)}
    assert set(outside.state.keys_in_use()) == needed, "before AWS Batch has taken the job"
    outside.go_well(jobs_succeed=False, until=lambda: outside.state.stages["running"] == 2)
    assert set(outside.state.keys_in_use()) == needed
    outside.go_well()
    assert not list(outside.state.keys_in_use())
