"""The ledger: any sequence of moves ends every life of every task exactly once."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from scaler_batch.tasks.errors import IllegalMoveError
from scaler_batch.tasks.lifecycle import MOVES, Ledger, Stage, Task
from scaler_batch.tasks.vocabulary import TaskRequest

IDS = st.sampled_from([b"a", b"b", b"c", b"d"])
STAGES = st.sampled_from(list(Stage))


class Lives(RuleBasedStateMachine):
    """Compares the ledger with a model: which lives go on, where each stands, and how often each has ended."""

    lives = Bundle("lives")

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.stages: dict[Task, Stage] = {}
        self.ends: Counter[Task] = Counter()
        self.born: list[Task] = []

    def ended(self, task: Task) -> None:
        del self.stages[task]
        self.ends[task] += 1

    @rule(target=lives, task_id=IDS)
    def admit(self, task_id: bytes):
        taken = any(task.request.task_id == task_id for task in self.stages)
        task = self.ledger.admit(TaskRequest(task_id, b"s", b"f"), now=1.0)
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
                self.ledger.move(task, to)
            return
        assert self.ledger.move(task, to) == (task in self.stages)
        if task in self.stages:
            self.stages[task] = to

    @rule(task=lives)
    def finish(self, task: Task) -> None:
        if self.stages.get(task, Stage.REPLYING) is not Stage.REPLYING:
            with pytest.raises(IllegalMoveError, match="finish from"):
                self.ledger.finish(task)
            return
        assert self.ledger.finish(task) == (task in self.stages)
        if task in self.stages:
            self.ended(task)

    @rule(task=lives)
    def drop(self, task: Task) -> None:
        self.ledger.drop(task)
        if task in self.stages:
            self.ended(task)

    @rule(task=consumes(lives))
    def run_through(self, task: Task) -> None:
        path = [Stage.SUBMITTING, Stage.RUNNING, Stage.COLLECTING, Stage.REPLYING]
        for to in path[path.index(self.stages[task]) + 1 :] if self.stages.get(task) in path else path:
            assert self.ledger.move(task, to) == (task in self.stages)
        assert self.ledger.finish(task) == (task in self.stages)
        if task in self.stages:
            self.ended(task)

    @invariant()
    def agrees_with_the_model(self) -> None:
        assert list(self.ledger) == list(self.stages)
        assert len(self.ledger) == self.ledger.count(*Stage) == len(self.stages)
        for stage in Stage:
            assert self.ledger.count(stage) == sum(at is stage for at in self.stages.values())
        for task in self.born:
            assert self.ledger.holds(task) == (task in self.stages)
            assert self.ends[task] == (task not in self.stages)
        for task, stage in self.stages.items():
            assert task.stage is stage
            assert self.ledger.get(task.request.task_id) is task

    def teardown(self) -> None:
        for task in self.ledger:
            self.drop(task)
        assert all(self.ends[task] == 1 for task in self.born)
        assert len(self.ledger) == 0


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_second_task_of_the_same_id_is_not_admitted():
    ledger = Ledger()
    assert ledger.admit(TaskRequest(b"a", b"s", b"f"), 1.0) is not None
    assert ledger.admit(TaskRequest(b"a", b"other", b"f"), 2.0) is None


def test_a_new_life_is_not_touched_by_what_holds_the_old_one():
    ledger = Ledger()
    old = ledger.admit(TaskRequest(b"a", b"s", b"f"), 1.0)
    assert old is not None
    ledger.drop(old)
    new = ledger.admit(TaskRequest(b"a", b"s", b"f"), 2.0)
    assert new is not None
    ledger.drop(old)
    assert not ledger.move(old, Stage.SUBMITTING)
    assert not ledger.finish(old)
    assert ledger.get(b"a") is new
    assert new.stage is Stage.QUEUED


def test_every_stage_but_the_last_can_fail_and_none_leads_back_but_to_the_queue():
    order = list(Stage)
    for stage, targets in MOVES.items():
        assert all(order.index(target) > order.index(stage) for target in targets - {Stage.QUEUED})
        assert (Stage.REPLYING in targets) == (stage is not Stage.REPLYING)
