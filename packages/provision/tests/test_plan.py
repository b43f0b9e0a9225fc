"""What is to be done, from what is wanted and what is there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.provision import Action, ConflictError, Kind, Observed, Phase, Settings, Target
from scaler_batch.provision.description import describe
from scaler_batch.provision.naming import Account, Names
from scaler_batch.provision.plan import make_plan, make_removal_plan
from scaler_batch.provision.resources.network import Network
from scaler_batch.provision.vocabulary import Untold

if TYPE_CHECKING:
    from scaler_batch.provision import Wanted

ON_REQUEST = (Kind.REPOSITORY, Kind.SPOT_ENVIRONMENT, Kind.SCHEDULING_POLICY)
KINDS = [kind for kind in Kind if kind not in ON_REQUEST]
NAMES = Names(Target(), Account("123456789012", "aws"))
WANTED = describe(Settings(image="i"), NAMES, Network(("subnet-1",), ("sg-1",)))
OURS = {"scaler-batch:prefix": "scaler-batch"}
NOTHING: dict[Kind, Observed[Any] | None] = dict.fromkeys(Kind)


def as_wanted(one: Wanted[Any]) -> Observed[Any]:
    return Observed(one.name, one.arn, one.specification, OURS)


ALL_THERE = {one.kind: as_wanted(one) for one in WANTED}


def test_an_empty_account_gets_everything_in_the_order_of_making() -> None:
    plan = make_plan(WANTED, NOTHING, prefix="scaler-batch")
    assert [(step.action, step.wanted.kind) for step in plan.steps] == [(Action.CREATE, kind) for kind in KINDS]


def test_what_is_as_wanted_is_kept() -> None:
    plan = make_plan(WANTED, ALL_THERE, prefix="scaler-batch")
    assert {step.action for step in plan.steps} == {Action.KEEP}
    assert plan.pending == ()


@given(st.sets(st.sampled_from(KINDS)))
def test_only_what_is_missing_is_made(missing: set[Kind]) -> None:
    observed = {kind: None if kind in missing else one for kind, one in ALL_THERE.items()}
    plan = make_plan(WANTED, observed, prefix="scaler-batch")
    assert {step.wanted.kind for step in plan.pending} == missing
    assert len(plan.steps) == len(KINDS)


def test_what_differs_is_changed_field_by_field() -> None:
    there = ALL_THERE[Kind.COMPUTE_ENVIRONMENT]
    small = replace(there, specification=replace(there.specification, max_vcpus=2, state="DISABLED"))
    plan = make_plan(WANTED, {**ALL_THERE, Kind.COMPUTE_ENVIRONMENT: small}, prefix="scaler-batch")
    (step,) = plan.pending
    assert step.action is Action.CHANGE
    assert {(one.field, one.before, one.after) for one in step.changes} == {
        ("max_vcpus", 2, 256),
        ("state", "DISABLED", "ENABLED"),
    }


@pytest.mark.parametrize(
    ("phase", "action"),
    [(Phase.READY, Action.KEEP), (Phase.SETTLING, Action.AWAIT), (Phase.LEAVING, Action.CREATE)],
)
def test_what_is_on_its_way_is_awaited_or_made_again(phase: Phase, action: Action) -> None:
    queue = replace(ALL_THERE[Kind.JOB_QUEUE], phase=phase)
    plan = make_plan(WANTED, {**ALL_THERE, Kind.JOB_QUEUE: queue}, prefix="scaler-batch")
    assert plan.steps[-1].action is action


@pytest.mark.parametrize("tags", [{}, {"scaler-batch:prefix": "other"}, {"Name": "x"}])
def test_what_is_not_ours_is_a_conflict(tags: dict[str, str]) -> None:
    foreign = replace(ALL_THERE[Kind.BUCKET], tags=tags)
    with pytest.raises(ConflictError, match="bucket scaler-batch-123456789012-us-east-1"):
        make_plan(WANTED, {**NOTHING, Kind.BUCKET: foreign}, prefix="scaler-batch")


def test_what_we_were_about_to_make_is_ours_without_a_tag_but_not_with_anothers() -> None:
    bucket = ALL_THERE[Kind.BUCKET]
    untagged, anothers = replace(bucket, tags={}), replace(bucket, tags={"scaler-batch:prefix": "other"})
    make_plan(WANTED, {**NOTHING, Kind.BUCKET: untagged}, prefix="scaler-batch", unfinished={Kind.BUCKET})
    with pytest.raises(ConflictError):
        make_plan(WANTED, {**NOTHING, Kind.BUCKET: anothers}, prefix="scaler-batch", unfinished={Kind.BUCKET})


def test_removal_goes_backwards_and_spares_what_is_not_ours() -> None:
    foreign = replace(ALL_THERE[Kind.BUCKET], tags={})
    plan = make_removal_plan({**ALL_THERE, Kind.BUCKET: foreign, Kind.LOG_GROUP: None}, prefix="scaler-batch")
    assert [kind for kind, _ in plan.remove] == [
        kind for kind in reversed(KINDS) if kind not in (Kind.BUCKET, Kind.LOG_GROUP)
    ]
    assert plan.foreign == ((Kind.BUCKET, foreign),)


def test_what_aws_cannot_change_is_told_and_not_tried() -> None:
    there = ALL_THERE[Kind.COMPUTE_ENVIRONMENT]
    old = replace(there.specification, allocation="BEST_FIT", max_vcpus=2, instance_types=("c5",))
    observed = {**ALL_THERE, Kind.COMPUTE_ENVIRONMENT: replace(there, specification=old)}
    (step,) = make_plan(WANTED, observed, prefix="scaler-batch").pending
    assert step.fields == ("max_vcpus",)
    assert {change.field for change in step.obstacles} == {"allocation", "instance_types"}


def test_what_a_service_does_not_tell_is_no_difference() -> None:
    queue = ALL_THERE[Kind.JOB_QUEUE]
    silent = replace(queue, specification=replace(queue.specification, time_limits=Untold.UNTOLD))
    assert make_plan(WANTED, {**ALL_THERE, Kind.JOB_QUEUE: silent}, prefix="scaler-batch").pending == ()


def test_another_version_is_no_difference_and_a_missing_tag_is() -> None:
    there = {kind: replace(one, tags={**OURS, "scaler-batch:version": "0.0.1"}) for kind, one in ALL_THERE.items()}
    assert make_plan(WANTED, there, prefix="scaler-batch").pending == ()
    tagged = describe(Settings(image="i", tags={"team": "t"}), NAMES, Network(("subnet-1",), ("sg-1",)))
    (change,) = make_plan(tagged, there, prefix="scaler-batch").steps[0].changes
    assert (change.field, change.before, change.after) == ("tags", {}, {"team": "t"})
