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
from scaler_batch.provision.plan import make_adoption_plan, make_plan, make_removal_plan
from scaler_batch.provision.resources.network import Network
from scaler_batch.provision.vocabulary import Owner, Untold

if TYPE_CHECKING:
    from scaler_batch.provision import Wanted

ON_REQUEST = (Kind.REPOSITORY, Kind.PAYLOAD_KEY, Kind.SPOT_ENVIRONMENT, Kind.SCHEDULING_POLICY)
KINDS = [kind for kind in Kind if kind not in ON_REQUEST]
NAMES = Names(Target(), Account("123456789012", "aws"))
OWNER = Owner("scaler-batch", "0123456789abcdef0123456789abcdef")
OURS = OWNER.tags
WANTED = describe(Settings(image="i"), NAMES, Network(("subnet-1",), ("sg-1",)), nonce=OWNER.nonce)
NOTHING: dict[Kind, Observed[Any] | None] = dict.fromkeys(Kind)


def as_wanted(one: Wanted[Any]) -> Observed[Any]:
    return Observed(one.name, one.arn, one.specification, OURS)


ALL_THERE = {one.kind: as_wanted(one) for one in WANTED}


def test_an_empty_account_gets_everything_in_the_order_of_making() -> None:
    plan = make_plan(WANTED, NOTHING, owner=OWNER)
    assert [(step.action, step.wanted.kind) for step in plan.steps] == [(Action.CREATE, kind) for kind in KINDS]


def test_what_is_as_wanted_is_kept() -> None:
    plan = make_plan(WANTED, ALL_THERE, owner=OWNER)
    assert {step.action for step in plan.steps} == {Action.KEEP}
    assert plan.pending == ()


@given(st.sets(st.sampled_from(KINDS)))
def test_only_what_is_missing_is_made(missing: set[Kind]) -> None:
    observed = {kind: None if kind in missing else one for kind, one in ALL_THERE.items()}
    plan = make_plan(WANTED, observed, owner=OWNER)
    assert {step.wanted.kind for step in plan.pending} == missing
    assert len(plan.steps) == len(KINDS)


def test_what_differs_is_changed_field_by_field() -> None:
    there = ALL_THERE[Kind.COMPUTE_ENVIRONMENT]
    small = replace(there, specification=replace(there.specification, max_vcpus=2, state="DISABLED"))
    plan = make_plan(WANTED, {**ALL_THERE, Kind.COMPUTE_ENVIRONMENT: small}, owner=OWNER)
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
    plan = make_plan(WANTED, {**ALL_THERE, Kind.JOB_QUEUE: queue}, owner=OWNER)
    assert plan.steps[-1].action is action


STRANGE_TAGS: list[dict[str, str]] = [
    {},
    {"Name": "x"},
    {"scaler-batch:prefix": "other"},
    {"scaler-batch:prefix": "scaler-batch"},
    {"scaler-batch:nonce": OWNER.nonce},
    {"scaler-batch:prefix": "scaler-batch", "scaler-batch:nonce": "f" * 32},
    {"scaler-batch:prefix": "other", "scaler-batch:nonce": OWNER.nonce},
]
"""None of them bears both the prefix and the nonce."""


@pytest.mark.parametrize("tags", STRANGE_TAGS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_does_not_bear_both_prefix_and_nonce_is_a_conflict_and_not_removed(
    kind: Kind, tags: dict[str, str]
) -> None:
    foreign = replace(ALL_THERE[kind], tags=tags)
    with pytest.raises(ConflictError, match=f"{kind.words} {foreign.name}"):
        make_plan(WANTED, {**ALL_THERE, kind: foreign}, owner=OWNER)
    plan = make_removal_plan({**ALL_THERE, kind: foreign}, owner=OWNER)
    assert plan.foreign == ((kind, foreign),)
    assert kind not in [other for other, _ in plan.remove]


def test_a_conflict_names_adoption_only_where_the_prefix_says_that_it_may_be_ours() -> None:
    for tags, named in (({}, False), ({"scaler-batch:prefix": "scaler-batch"}, True)):
        foreign = replace(ALL_THERE[Kind.JOB_QUEUE], tags=tags)
        with pytest.raises(ConflictError) as error:
            make_plan(WANTED, {**NOTHING, Kind.JOB_QUEUE: foreign}, owner=OWNER)
        assert ("adopt" in error.value.fix) is named


def test_only_what_bears_the_prefix_can_be_adopted() -> None:
    for tags in STRANGE_TAGS:
        foreign = replace(ALL_THERE[Kind.BUCKET], tags=tags)
        plan = make_adoption_plan({**ALL_THERE, Kind.BUCKET: foreign}, prefix="scaler-batch", known=OWNER.nonce)
        offered = tags.get("scaler-batch:prefix") == "scaler-batch"
        assert [one.kind for one in plan.adopt] == [Kind.BUCKET] * offered
        assert plan.foreign == (() if offered else ((Kind.BUCKET, foreign),))


def test_without_tags_only_what_an_interrupted_run_was_making_can_be_adopted() -> None:
    untagged, anothers = replace(ALL_THERE[Kind.BUCKET], tags={}), replace(ALL_THERE[Kind.BUCKET], tags={"a": "b"})
    for one, unfinished, offered in (
        (untagged, {Kind.BUCKET}, True),
        (untagged, {Kind.JOB_ROLE}, False),
        (anothers, {Kind.BUCKET}, False),
    ):
        plan = make_adoption_plan({Kind.BUCKET: one}, prefix="scaler-batch", known=OWNER.nonce, unfinished=unfinished)
        assert bool(plan.adopt) is offered


def test_without_a_record_nothing_is_known_to_be_ours() -> None:
    plan = make_adoption_plan(ALL_THERE, prefix="scaler-batch", known=None)
    assert [one.kind for one in plan.adopt] == KINDS


def test_removal_goes_backwards_and_spares_what_is_not_ours() -> None:
    foreign = replace(ALL_THERE[Kind.BUCKET], tags={})
    plan = make_removal_plan({**ALL_THERE, Kind.BUCKET: foreign, Kind.LOG_GROUP: None}, owner=OWNER)
    assert [kind for kind, _ in plan.remove] == [
        kind for kind in reversed(KINDS) if kind not in (Kind.BUCKET, Kind.LOG_GROUP)
    ]
    assert plan.foreign == ((Kind.BUCKET, foreign),)


def test_what_aws_cannot_change_is_told_and_not_tried() -> None:
    there = ALL_THERE[Kind.COMPUTE_ENVIRONMENT]
    old = replace(there.specification, allocation="BEST_FIT", max_vcpus=2, instance_types=("c5",))
    observed = {**ALL_THERE, Kind.COMPUTE_ENVIRONMENT: replace(there, specification=old)}
    (step,) = make_plan(WANTED, observed, owner=OWNER).pending
    assert step.fields == ("max_vcpus",)
    assert {change.field for change in step.obstacles} == {"allocation", "instance_types"}


def test_what_a_service_does_not_tell_is_no_difference() -> None:
    queue = ALL_THERE[Kind.JOB_QUEUE]
    silent = replace(queue, specification=replace(queue.specification, time_limits=Untold.UNTOLD))
    assert make_plan(WANTED, {**ALL_THERE, Kind.JOB_QUEUE: silent}, owner=OWNER).pending == ()


def test_another_version_is_no_difference_and_a_missing_tag_is() -> None:
    there = {kind: replace(one, tags={**OURS, "scaler-batch:version": "0.0.1"}) for kind, one in ALL_THERE.items()}
    assert make_plan(WANTED, there, owner=OWNER).pending == ()
    network = Network(("subnet-1",), ("sg-1",))
    tagged = describe(Settings(image="i", tags={"team": "t"}), NAMES, network, nonce=OWNER.nonce)
    (change,) = make_plan(tagged, there, owner=OWNER).steps[0].changes
    assert (change.field, change.before, change.after) == ("tags", {}, {"team": "t"})
