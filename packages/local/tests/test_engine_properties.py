"""Whatever happens, in whatever order, the books agree: what is taken, what runs, what a parent counts."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from scaler_batch.local.batch import texts
from scaler_batch.local.batch.effects import StartProcess, StopProcess
from scaler_batch.local.batch.vocabulary import Dependency, Resources, RetryStrategy, State

SLOTS, VCPUS = 3, 4
HOLDING = {State.STARTING, State.RUNNING}


@pytest.fixture
def engine_machine(make_world: Any) -> type[RuleBasedStateMachine]:
    class EngineMachine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.world = make_world(slots=SLOTS, max_vcpus=VCPUS, stop_grace=5.0, delays={State.RUNNABLE: 1.0})
            self.submitted: list[Any] = []
            self.alive: dict[str, bool] = {}

        def obey(self) -> None:
            for effect in self.world.look():
                if isinstance(effect, StartProcess):
                    assert effect.attempt not in self.alive
                    self.alive[effect.attempt] = False
                elif isinstance(effect, StopProcess) and effect.force:
                    self.finish(effect.attempt, 137)

        def finish(self, attempt: str, code: int) -> None:
            if attempt in self.alive:
                if not self.alive.pop(attempt):
                    self.world.engine.process_started(attempt, self.world.now)
                self.world.engine.process_ended(attempt, texts.exited(code), self.world.now)
                self.obey()

        @rule(
            vcpus=st.sampled_from([0.5, 1, 2, 5]),
            attempts=st.integers(1, 3),
            timeout=st.sampled_from([None, 3]),
            size=st.sampled_from([None, 2, 4]),
            tie=st.sampled_from([None, "N_TO_N", "SEQUENTIAL"]),
            data=st.data(),
        )
        def submit(self, vcpus: float, attempts: int, timeout: Any, size: Any, tie: Any, data: Any) -> None:
            depends_on: tuple[Dependency, ...] = ()
            if self.submitted and data.draw(st.booleans()):
                depends_on = (Dependency(data.draw(st.sampled_from(self.submitted)).id, tie),)
            elif size and tie == "SEQUENTIAL":
                depends_on = (Dependency(None, tie),)
            queue = f"arn:aws:batch:us-east-1:1:job-queue/{data.draw(st.sampled_from('ab'))}"
            job = self.world.engine.submit(
                f"job-{len(self.submitted)}",
                self.world.spec(
                    resources=Resources(vcpus, 64),
                    retry=RetryStrategy(attempts),
                    timeout=timeout,
                    array_size=size,
                    depends_on=depends_on,
                    queue=queue,
                ),
                self.world.now,
            )
            self.submitted.append(job)
            self.obey()

        @precondition(lambda self: self.alive)
        @rule(data=st.data(), code=st.sampled_from([0, 1, 137]))
        def process_moves_on(self, data: Any, code: int) -> None:
            attempt = data.draw(st.sampled_from(sorted(self.alive)))
            if self.alive[attempt]:
                self.finish(attempt, code)
            else:
                self.alive[attempt] = True
                self.world.engine.process_started(attempt, self.world.now)
                self.obey()

        @precondition(lambda self: self.alive)
        @rule(data=st.data())
        def process_cannot_start(self, data: Any) -> None:
            attempt = data.draw(st.sampled_from(sorted(self.alive)))
            if not self.alive[attempt]:
                del self.alive[attempt]
                self.world.engine.process_ended(attempt, texts.not_started("gone"), self.world.now)
                self.obey()

        @precondition(lambda self: self.submitted)
        @rule(data=st.data(), harsh=st.booleans(), child=st.booleans())
        def stop(self, data: Any, harsh: bool, child: bool) -> None:
            job = data.draw(st.sampled_from(self.submitted))
            if child and job.children:
                job = data.draw(st.sampled_from(job.children.jobs))
            engine = self.world.engine
            (engine.terminate if harsh else engine.cancel)(job, "because", self.world.now)
            self.obey()

        @rule(seconds=st.sampled_from([0.5, 1, 4, 10]))
        def time_passes(self, seconds: float) -> None:
            self.world.now += seconds
            self.world.engine.advance(self.world.now)
            self.obey()

        @rule()
        def host_is_lost(self) -> None:
            self.alive.clear()
            self.world.engine.host_lost(self.world.now)
            self.obey()

        def everyone(self) -> list[Any]:
            return list(self.world.engine.table)

        @invariant()
        def nothing_is_taken_twice(self) -> None:
            capacity = self.world.engine.capacity
            assert capacity.used_slots <= SLOTS
            assert capacity.used_vcpus("arn:ce") <= VCPUS
            assert capacity.used_slots == sum(job.state in HOLDING for job in self.everyone())

        @invariant()
        def a_process_was_asked_for_by_who_runs(self) -> None:
            wanted = {job.current.id for job in self.everyone() if job.current and job.current.launched}
            assert wanted == set(self.alive) == set(self.world.engine.running)

        @invariant()
        def parents_count_right(self) -> None:
            for job in self.everyone():
                if job.children is not None:
                    counted = Counter(child.state for child in job.children.jobs)
                    assert +job.children.summary == counted
                    assert job.terminal == job.children.finished

        @invariant()
        def attempts_are_bounded(self) -> None:
            assert all(len(job.attempts) <= job.spec.retry.attempts for job in self.everyone())

        @invariant()
        def what_could_start_has_started(self) -> None:
            engine = self.world.engine
            for queue in engine.waiting.queues():
                head = engine.waiting.head(queue)
                assert engine.capacity.place(head.spec.resources, self.world.environments(queue)) is None

        def teardown(self) -> None:
            """When jobs that fit nowhere are cancelled, and all others may end, all do."""
            for job in self.submitted:
                if job.spec.resources.vcpus > VCPUS:
                    self.world.engine.terminate(job, "never", self.world.now)
                    self.obey()
            for _ in range(1000):
                if all(job.terminal for job in self.submitted):
                    break
                self.time_passes(1)
                for attempt in sorted(self.alive):
                    self.finish(attempt, 0)
            assert all(job.terminal for job in self.everyone())
            assert self.world.engine.capacity.used_slots == 0

    return EngineMachine


def test_any_sequence_of_events_keeps_the_books(engine_machine: type[RuleBasedStateMachine]) -> None:
    case = engine_machine.TestCase
    case.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
    case().runTest()
