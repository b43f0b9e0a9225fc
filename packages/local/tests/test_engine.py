from __future__ import annotations

from typing import Any

import pytest

from scaler_batch.local.batch import texts
from scaler_batch.local.batch.effects import ForgetLogs, StartProcess
from scaler_batch.local.batch.vocabulary import (
    Dependency,
    ExitAction,
    ExitRule,
    Resources,
    RetryStrategy,
    State,
)
from scaler_batch.local.errors import IllegalMoveError


@pytest.fixture
def world(make_world: Any) -> Any:
    return make_world()


# One job


def test_a_job_passes_through_its_states_and_succeeds(world: Any) -> None:
    job = world.submit()
    assert job.state is State.STARTING
    world.now += 1
    world.start(job)
    assert (job.state, job.started_at) == (State.RUNNING, world.now)
    world.now += 1
    world.end(job, 0)
    assert (job.state, job.status_reason, job.stopped_at) == (State.SUCCEEDED, texts.CONTAINER_EXITED, world.now)


def test_a_job_that_exits_with_a_code_fails_and_shows_it(world: Any) -> None:
    job = world.submit()
    world.run(job, 3)
    assert (job.state, job.status_reason) == (State.FAILED, texts.CONTAINER_EXITED)
    assert job.attempts[0].ending == texts.exited(3)


def test_a_process_gets_batch_variables_that_the_job_cannot_change(world: Any) -> None:
    job = world.submit(environment={"A": "1", "AWS_BATCH_JOB_ID": "mine"})
    effect = world.effects[0]
    assert isinstance(effect, StartProcess)
    assert effect.environment == {
        "A": "1",
        "AWS_BATCH_JOB_ID": job.id,
        "AWS_BATCH_JOB_ATTEMPT": "1",
        "AWS_BATCH_JQ_NAME": "q",
        "AWS_BATCH_CE_NAME": "ce",
    }


def test_each_attempt_has_a_log_stream_of_its_own(world: Any) -> None:
    job = world.submit(retry=RetryStrategy(2))
    world.run(job, 1)
    streams = [effect.log.name for effect in world.effects if isinstance(effect, StartProcess)]
    assert streams == [f"work/default/{attempt}" for attempt in world.launched()]
    assert len(set(streams)) == 2


def test_a_command_that_cannot_be_run_fails_the_job_with_the_reason(world: Any) -> None:
    job = world.submit()
    world.engine.process_ended(job.current.id, texts.not_started("no such thing"), world.now)
    assert (job.state, job.status_reason) == (State.FAILED, "Task failed to start")
    assert job.attempts[0].ending.reason.startswith("CannotStartContainerError")
    assert job.started_at is None


def test_news_of_an_attempt_that_nobody_knows_is_ignored(world: Any) -> None:
    world.engine.process_started("other", world.now)
    world.engine.process_ended("other", texts.exited(0), world.now)
    assert world.look() == []


def test_a_move_that_is_not_in_the_table_is_refused(world: Any) -> None:
    job = world.submit()
    world.run(job)
    with pytest.raises(IllegalMoveError, match="from SUCCEEDED to RUNNING"):
        job.move(State.RUNNING, world.now)


# Room


def test_jobs_beyond_the_slots_wait_and_start_in_the_order_of_submission(world: Any) -> None:
    jobs = [world.submit() for _ in range(4)]
    assert [job.state for job in jobs] == [State.STARTING, State.STARTING, State.RUNNABLE, State.RUNNABLE]
    world.run(jobs[1])
    assert [job.state for job in jobs[2:]] == [State.STARTING, State.RUNNABLE]


def test_vcpus_of_the_compute_environment_bound_what_runs(make_world: Any) -> None:
    world = make_world(slots=10, max_vcpus=4)
    first, second = world.submit(resources=Resources(3, 64)), world.submit(resources=Resources(2, 64))
    assert (first.state, second.state) == (State.STARTING, State.RUNNABLE)
    world.run(first)
    assert second.state is State.STARTING


def test_a_job_that_never_fits_says_why_and_holds_up_its_queue(make_world: Any) -> None:
    world = make_world(max_vcpus=4)
    huge, small = world.submit(resources=Resources(5, 64)), world.submit()
    assert (huge.state, huge.status_reason) == (State.RUNNABLE, texts.TOO_MANY_VCPUS)
    assert small.state is State.RUNNABLE
    elsewhere = world.submit(queue="arn:aws:batch:us-east-1:123456789012:job-queue/other")
    assert elsewhere.state is State.STARTING
    world.engine.cancel(huge, "too large", world.now)
    assert small.state is State.STARTING


def test_a_queue_that_is_changed_is_looked_at_again(make_world: Any) -> None:
    world = make_world(max_vcpus=4)
    huge = world.submit(resources=Resources(5, 64))
    world.max_vcpus = 8
    world.engine.queue_changed(world.now)
    assert (huge.state, huge.status_reason) == (State.STARTING, None)


def test_the_queue_of_higher_priority_goes_first(make_world: Any) -> None:
    world = make_world(slots=1)
    world.priorities = {"arn:x:x:x:x:high": 2, "arn:x:x:x:x:low": 1}
    running = world.submit()
    low, high = world.submit(queue="arn:x:x:x:x:low"), world.submit(queue="arn:x:x:x:x:high")
    world.run(running)
    assert (low.state, high.state) == (State.RUNNABLE, State.STARTING)


# Attempts


def test_a_failed_attempt_is_followed_by_another(world: Any) -> None:
    job = world.submit(retry=RetryStrategy(2))
    world.run(job, 1)
    assert (job.state, len(job.attempts)) == (State.STARTING, 1)
    assert world.effects[-1].environment["AWS_BATCH_JOB_ATTEMPT"] == "2"
    world.run(job, 0)
    assert (job.state, [attempt.ending.exit_code for attempt in job.attempts]) == (State.SUCCEEDED, [1, 0])


def test_a_retry_keeps_its_place_before_later_jobs(make_world: Any) -> None:
    world = make_world(slots=1)
    first, second = world.submit(retry=RetryStrategy(2)), world.submit()
    world.run(first, 1)
    assert (first.state, second.state) == (State.STARTING, State.RUNNABLE)


def test_a_rule_can_end_the_attempts(world: Any) -> None:
    rules = (ExitRule(ExitAction.EXIT, on_exit_code="65"),)
    job = world.submit(retry=RetryStrategy(3, rules))
    world.run(job, 65)
    assert (job.state, len(job.attempts)) == (State.FAILED, 1)


def test_a_host_that_is_lost_fails_what_ran_on_it_in_awss_words(world: Any) -> None:
    spot = RetryStrategy(
        3, (ExitRule(ExitAction.RETRY, on_status_reason="Host EC2*"), ExitRule(ExitAction.EXIT, on_reason="*"))
    )
    lost, retried = world.submit(), world.submit(retry=spot)
    for job in (lost, retried):
        world.start(job)
    world.engine.host_lost(world.now)
    assert lost.state is State.FAILED
    assert lost.status_reason.startswith("Host EC2 (instance i-")
    assert lost.attempts[0].ending.exit_code is None
    assert retried.state is State.STARTING


# Ending


def test_a_timeout_asks_then_forces_and_is_not_retried(make_world: Any) -> None:
    world = make_world(stop_grace=30.0)
    job = world.submit(timeout=60, retry=RetryStrategy(3))
    attempt = world.start(job)
    assert world.engine.next_deadline == world.now + 60
    world.after(60)
    assert [(stop.attempt, stop.force) for stop in world.stopped()] == [(attempt, False)]
    assert job.state is State.RUNNING
    world.after(30)
    assert [stop.force for stop in world.stopped()] == [False, True]
    world.end(job, 137)
    assert (job.state, job.status_reason, len(job.attempts)) == (State.FAILED, texts.TIMED_OUT, 1)
    assert job.attempts[0].ending.status_reason == texts.TIMED_OUT


def test_a_timeout_is_measured_from_the_start_of_each_attempt(world: Any) -> None:
    job = world.submit(timeout=60, retry=RetryStrategy(2))
    world.start(job)
    world.now += 50
    world.end(job, 1)
    world.start(job)
    world.after(30)
    assert world.stopped() == []
    world.after(30)
    assert len(world.stopped()) == 1


def test_a_process_that_ends_within_its_grace_is_not_forced(world: Any) -> None:
    job = world.submit()
    world.start(job)
    world.engine.terminate(job, "enough", world.now)
    world.end(job, 0)
    world.after(1000)
    assert [stop.force for stop in world.stopped()] == [False]
    assert (job.state, job.status_reason, job.terminated) == (State.FAILED, "enough", True)


def test_a_job_that_has_not_started_is_terminated_at_once(make_world: Any) -> None:
    world = make_world(slots=1)
    world.submit()
    waiting = world.submit()
    world.engine.terminate(waiting, "enough", world.now)
    assert (waiting.state, waiting.status_reason, waiting.attempts) == (State.FAILED, "enough", [])


def test_a_job_that_is_starting_is_told_to_stop_after_it_was_told_to_start(world: Any) -> None:
    job = world.submit()
    world.engine.terminate(job, "enough", world.now)
    world.look()
    assert [type(effect).__name__ for effect in world.effects] == ["StartProcess", "StopProcess"]
    world.run(job, 143)
    assert (job.state, job.status_reason) == (State.FAILED, "enough")


def test_the_first_reason_to_stop_is_the_one_that_shows(world: Any) -> None:
    job = world.submit()
    world.start(job)
    world.engine.terminate(job, "first", world.now)
    world.engine.terminate(job, "second", world.now)
    world.end(job, 143)
    assert job.status_reason == "first"


def test_cancel_ends_what_waits_and_leaves_what_runs(make_world: Any) -> None:
    world = make_world(slots=1)
    running, waiting = world.submit(), world.submit()
    world.start(running)
    for job in (running, waiting):
        world.engine.cancel(job, "not needed", world.now)
    assert (running.state, running.cancelled) == (State.RUNNING, False)
    assert (waiting.state, waiting.status_reason, waiting.cancelled) == (State.FAILED, "not needed", True)


# Delays


def test_a_job_stays_in_each_state_for_its_delay(make_world: Any) -> None:
    world = make_world(delays={State.SUBMITTED: 1.0, State.RUNNABLE: 2.0, State.STARTING: 3.0})
    job = world.submit()
    seen = [job.state]
    for _ in range(3):
        world.now = world.engine.next_deadline
        world.engine.advance(world.now)
        world.look()
        seen.append(job.state)
    assert seen == [State.SUBMITTED, State.RUNNABLE, State.STARTING, State.STARTING]
    assert world.now == 1006.0
    assert len(world.launched()) == 1


def test_a_job_terminated_while_it_lingers_in_starting_gives_its_room_back(make_world: Any) -> None:
    world = make_world(slots=1, delays={State.STARTING: 5.0})
    job = world.submit()
    world.engine.terminate(job, "enough", world.now)
    assert (job.state, world.engine.capacity.used_slots) == (State.FAILED, 0)
    world.after(10)
    assert world.launched() == []


# Size


def test_overrides_over_the_limit_are_found_only_when_the_job_starts(make_world: Any) -> None:
    world = make_world(delays={State.RUNNABLE: 1.0})
    job = world.submit(command=("run", "x" * 8200))
    assert job.state is State.RUNNABLE
    world.after(1)
    assert (job.state, job.status_reason) == (State.FAILED, "Container Overrides length must be at most 8192")
    assert (world.launched(), world.engine.capacity.used_slots) == ([], 0)


def test_a_payload_of_the_documented_safe_size_fits(world: Any) -> None:
    assert world.submit(command=("python", "-m", "scaler_batch.runner", "--pack", "x" * 7468)).state is State.STARTING


# Arrays


def test_an_array_counts_its_children_and_succeeds_with_them(make_world: Any) -> None:
    world = make_world(slots=10)
    parent = world.submit(array_size=3)
    assert parent.state is State.PENDING
    children = parent.children.jobs
    assert [child.id for child in children] == [f"{parent.id}:{index}" for index in range(3)]
    told = [effect.environment for effect in world.effects]
    assert [variables["AWS_BATCH_JOB_ARRAY_INDEX"] for variables in told] == ["0", "1", "2"]
    assert {variables["AWS_BATCH_JOB_ARRAY_SIZE"] for variables in told} == {"3"}
    for child in children:
        assert not parent.terminal
        world.run(child)
    assert (parent.state, parent.status_reason) == (State.SUCCEEDED, None)
    assert parent.children.summary[State.SUCCEEDED] == 3


def test_a_failed_child_fails_the_parent_when_all_have_ended(make_world: Any) -> None:
    world = make_world(slots=10)
    parent = world.submit(array_size=2)
    first, second = parent.children.jobs
    world.run(first, 1)
    assert parent.state is State.PENDING
    world.run(second)
    assert (parent.state, parent.status_reason) == (State.FAILED, texts.CHILD_FAILED)


def test_terminating_a_parent_reaches_every_child(world: Any) -> None:
    parent = world.submit(array_size=5)
    running = [child for child in parent.children.jobs if child.current]
    for child in running:
        world.start(child)
    world.engine.terminate(parent, "enough", world.now)
    world.look()
    assert len(world.stopped()) == 2
    assert parent.children.summary[State.FAILED] == 3
    for child in running:
        world.end(child, 143)
    assert (parent.state, parent.status_reason) == (State.FAILED, "enough")
    assert {child.status_reason for child in parent.children.jobs} == {"enough"}


def test_one_child_can_be_terminated(make_world: Any) -> None:
    world = make_world(slots=10)
    parent = world.submit(array_size=2)
    first, second = parent.children.jobs
    world.start(first)
    world.engine.terminate(first, "this one", world.now)
    world.end(first, 143)
    world.run(second)
    assert (first.status_reason, second.state, parent.status_reason) == (
        "this one",
        State.SUCCEEDED,
        texts.CHILD_FAILED,
    )


def test_a_cancel_that_came_too_late_does_not_spoil_an_array_that_succeeds(make_world: Any) -> None:
    world = make_world(slots=10)
    parent = world.submit(array_size=2)
    for child in parent.children.jobs:
        world.start(child)
    world.engine.cancel(parent, "too late", world.now)
    for child in parent.children.jobs:
        world.end(child)
    assert (parent.state, parent.status_reason) == (State.SUCCEEDED, None)


# Dependencies


def test_a_job_waits_for_those_it_depends_on(world: Any) -> None:
    first = world.submit()
    second = world.submit(depends_on=(Dependency(first.id, None),))
    assert second.state is State.PENDING
    world.run(first)
    assert second.state is State.STARTING


def test_a_failed_dependency_fails_its_dependents_along_the_chain(world: Any) -> None:
    first = world.submit()
    second = world.submit(depends_on=(Dependency(first.id, None),))
    third = world.submit(depends_on=(Dependency(second.id, None),))
    world.run(first, 1)
    late = world.submit(depends_on=(Dependency(first.id, None),))
    assert [job.status_reason for job in (second, third, late)] == [texts.DEPENDENCY_FAILED] * 3


def test_n_to_n_ties_children_of_equal_index(make_world: Any) -> None:
    world = make_world(slots=10)
    first = world.submit(array_size=2)
    second = world.submit(array_size=2, depends_on=(Dependency(first.id, "N_TO_N"),))
    world.run(first.children.jobs[1])
    assert [child.state for child in second.children.jobs] == [State.PENDING, State.STARTING]


def test_n_to_n_waits_for_children_that_do_not_exist_yet(make_world: Any) -> None:
    world = make_world(slots=10)
    before = world.submit()
    first = world.submit(array_size=2, depends_on=(Dependency(before.id, None),))
    second = world.submit(array_size=3, depends_on=(Dependency(first.id, "N_TO_N"),))
    assert [child.state for child in second.children.jobs] == [State.PENDING, State.PENDING, State.STARTING]
    world.run(before)
    world.run(first.children.jobs[0])
    assert [child.state for child in second.children.jobs[:2]] == [State.STARTING, State.PENDING]


def test_children_that_never_came_to_be_fail_those_that_wait_for_them(world: Any) -> None:
    before = world.submit()
    first = world.submit(array_size=2, depends_on=(Dependency(before.id, None),))
    second = world.submit(array_size=2, depends_on=(Dependency(first.id, "N_TO_N"),))
    world.run(before, 1)
    late = world.submit(array_size=2, depends_on=(Dependency(first.id, "N_TO_N"),))
    for array in (second, late):
        assert [child.status_reason for child in array.children.jobs] == [texts.DEPENDENCY_FAILED] * 2
        assert (array.state, array.status_reason) == (State.FAILED, texts.CHILD_FAILED)


def test_a_dependency_that_is_named_twice_counts_once(world: Any) -> None:
    first = world.submit()
    second = world.submit(depends_on=(Dependency(first.id, None),) * 2)
    world.run(first, 1)
    assert second.status_reason == texts.DEPENDENCY_FAILED


def test_a_sequential_array_runs_one_child_after_the_other_without_recursion(make_world: Any) -> None:
    world = make_world(slots=10)
    parent = world.submit(array_size=5000, depends_on=(Dependency(None, "SEQUENTIAL"),))
    children = parent.children.jobs
    assert [child.state for child in children[:2]] == [State.STARTING, State.PENDING]
    world.run(children[0])
    world.run(children[1], 1)
    assert (parent.state, parent.children.summary[State.FAILED]) == (State.FAILED, 4999)


# Memory


def test_finished_jobs_beyond_the_bound_are_forgotten_with_their_logs(make_world: Any) -> None:
    world = make_world(slots=10, keep_finished=3)
    parent = world.submit(array_size=2)
    for child in parent.children.jobs:
        world.run(child)
    world.run(world.submit())
    forgotten = [effect for effect in world.effects if isinstance(effect, ForgetLogs)]
    assert [len(effect.streams) for effect in forgotten] == [2]
    assert world.engine.table.get(parent.id) is None
    assert world.engine.table.get(f"{parent.id}:0") is None
    assert len(world.engine.table) == 1


def test_long_timeouts_of_jobs_that_are_over_are_not_kept(world: Any) -> None:
    for _ in range(3000):
        world.run(world.submit(timeout=86_400))
    assert len(world.engine._deadlines) <= 1000


def test_finished_jobs_are_forgotten_when_their_time_has_come(make_world: Any) -> None:
    world = make_world(keep_seconds=10)
    first = world.submit()
    world.run(first)
    world.after(6)
    second = world.submit()
    world.run(second)
    assert world.engine.next_deadline == world.now + 4
    world.after(4)
    assert [job.id for job in world.engine.table] == [second.id]
    assert ForgetLogs((first.attempts[0].log,)) in world.effects
    world.after(6)
    assert (len(world.engine.table), world.engine.next_deadline) == (0, None)
