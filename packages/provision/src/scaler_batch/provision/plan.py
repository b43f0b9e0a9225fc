"""What to do, from what is wanted and what is there. Pure: nothing here looks or acts.

A plan has one step for each resource, also for those that stay as they are, so that it can be read as the whole truth.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from scaler_batch.provision.errors import ConflictError
from scaler_batch.provision.vocabulary import NONCE_TAG, Kind, Owner, Phase, Untold

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from scaler_batch.provision.vocabulary import Observed, Wanted


TAGS: Final = "tags"
"""The name under which tags are compared and changed, beside the fields of a specification."""


class Action(StrEnum):
    """What a step does to its resource."""

    CREATE = "create"
    CHANGE = "change"
    AWAIT = "await"
    """It is as wanted, but not yet ready: an earlier run was interrupted while it waited."""
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Change:
    """One field of a specification, or the tags, that are not as wanted.

    Attributes:
        obstacle: Why AWS cannot change it in place; empty where it can.
    """

    field: str
    before: Any
    after: Any
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done about one resource.

    Attributes:
        observed: What is there; ``None`` when the resource is to be created.
        changes: What differs, in a resource that is there, and what of it cannot be changed.
    """

    action: Action
    wanted: Wanted[Any]
    observed: Observed[Any] | None = None
    changes: tuple[Change, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """What is to be changed."""
        return tuple(change.field for change in self.changes if not change.obstacle)

    @property
    def obstacles(self) -> tuple[Change, ...]:
        """What differs and has to stay so."""
        return tuple(change for change in self.changes if change.obstacle)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, in order."""

    steps: tuple[Step, ...]

    @property
    def pending(self) -> tuple[Step, ...]:
        """The steps that do something; empty when all is as wanted."""
        return tuple(step for step in self.steps if step.action is not Action.KEEP)

    def only(self, kind: Kind) -> Plan:
        """The step about this kind alone."""
        return Plan(tuple(step for step in self.steps if step.wanted.kind is kind))


@dataclass(frozen=True, slots=True)
class RemovalPlan:
    """What a cleanup would remove, in order, and what it would leave alone.

    Attributes:
        remove: Ours.
        foreign: There under our names, but without our tags.
    """

    remove: tuple[tuple[Kind, Observed[Any]], ...]
    foreign: tuple[tuple[Kind, Observed[Any]], ...]


@dataclass(frozen=True, slots=True)
class Adoption:
    """A resource that could be taken over.

    Attributes:
        reason: Why it is not known to be ours.
    """

    kind: Kind
    observed: Observed[Any]
    reason: str


@dataclass(frozen=True, slots=True)
class AdoptionPlan:
    """What would be taken over, in the order of making, and what would be left alone.

    Attributes:
        adopt: There for our prefix, and not known to be ours.
        foreign: There under our names, with nothing to say that it may be ours.
    """

    adopt: tuple[Adoption, ...]
    foreign: tuple[tuple[Kind, Observed[Any]], ...]


def make_plan(
    wanted: Iterable[Wanted[Any]],
    observed: Mapping[Kind, Observed[Any] | None],
    *,
    owner: Owner,
    unfinished: Collection[Kind] = (),
) -> Plan:
    """Compare, and say what to do.

    Args:
        wanted: Every resource, in the order of making.
        observed: What is there of each.
        owner: Whose tags make a resource ours.
        unfinished: What an interrupted run was about to make, by the record; only for what an error advises.

    Raises:
        ConflictError: Something of these names is there, and not ours.
    """
    foreign = [(kind, one) for kind, one in observed.items() if one and not owner.owns(one.tags)]
    if foreign:
        raise _conflict(foreign, owner.prefix, unfinished)
    return Plan(tuple(_step(one, observed.get(one.kind)) for one in wanted))


def fields_to_set(plan: Plan, kind: Kind) -> Collection[str]:
    """Which fields of this kind the plan sets: all of what it creates, some of what it changes."""
    step = next((one for one in plan.steps if one.wanted.kind is kind), None)
    if step is None:
        return ()
    if step.action is Action.CREATE:
        return tuple(field.name for field in fields(step.wanted.specification))
    return step.fields


def make_removal_plan(observed: Mapping[Kind, Observed[Any] | None], *, owner: Owner) -> RemovalPlan:
    """Say what to remove, in the order opposite to that of making.

    Args:
        observed: What is there.
        owner: Whose tags make a resource ours.
    """
    present = [(kind, one) for kind in reversed(Kind) if (one := observed.get(kind))]
    return RemovalPlan(
        remove=tuple((kind, one) for kind, one in present if owner.owns(one.tags)),
        foreign=tuple((kind, one) for kind, one in present if not owner.owns(one.tags)),
    )


def make_adoption_plan(
    observed: Mapping[Kind, Observed[Any] | None], *, prefix: str, known: str | None, unfinished: Collection[Kind] = ()
) -> AdoptionPlan:
    """Say what could be taken over. Whether it is ours nobody here can know: whoever sees the plan has to say.

    Args:
        observed: What is there.
        prefix: Of all names, and on what may be ours.
        known: The nonce of the record; ``None`` where there is no record, and so nothing is known to be ours.
        unfinished: What an interrupted run was about to make, by the record.
    """
    present = [(kind, one) for kind in Kind if (one := observed.get(kind))]
    strange = [(kind, one) for kind, one in present if known is None or not Owner(prefix, known).owns(one.tags)]
    judged = [(kind, one, _reason(kind, one, prefix, unfinished)) for kind, one in strange]
    return AdoptionPlan(
        adopt=tuple(Adoption(kind, one, reason) for kind, one, reason in judged if reason),
        foreign=tuple((kind, one) for kind, one, reason in judged if not reason),
    )


def _reason(kind: Kind, observed: Observed[Any], prefix: str, unfinished: Collection[Kind]) -> str:
    """Why a resource may be ours and is not known to be; empty where it cannot be ours."""
    if not observed.bears(prefix):
        interrupted = kind in unfinished and not observed.tags
        return "has no tags; the record says that an interrupted run was making it" if interrupted else ""
    if nonce := observed.tags.get(NONCE_TAG):
        return f"has the tag of the prefix, and the nonce {nonce} of another record"
    return "has the tag of the prefix and no nonce, as earlier releases made it"


def _conflict(foreign: list[tuple[Kind, Observed[Any]]], prefix: str, unfinished: Collection[Kind]) -> ConflictError:
    listed = ", ".join(f"{kind.words} {one.name}" for kind, one in foreign)
    fix = "pass another --prefix, or remove what is listed"
    if any(one.bears(prefix) for _, one in foreign):
        fix = (
            "run this where the JSON file lies that the first run wrote (--config); or, if it is lost and what is "
            "listed is yours, take it over with `scaler-batch-provision adopt`; or pass another --prefix"
        )
    if all(kind in unfinished and not one.tags for kind, one in foreign):
        fix = (
            "the record says that an interrupted run was making it: if nobody else did, take it over with "
            "`scaler-batch-provision adopt`; or remove it"
        )
    if any(kind is Kind.BUCKET for kind, _ in foreign):
        fix += "; if the bucket is yours after all, see that you may look at it (s3:ListBucket, s3:GetBucketTagging)"
    return ConflictError(f"there already, and not known to be ours for prefix {prefix!r}: {listed}", fix=fix)


def _step(wanted: Wanted[Any], observed: Observed[Any] | None) -> Step:
    if observed is None or observed.phase is Phase.LEAVING:
        return Step(Action.CREATE, wanted)
    changes = (*_changes(wanted, observed), *_missing_tags(wanted, observed))
    if any(not change.obstacle for change in changes):
        return Step(Action.CHANGE, wanted, observed, changes)
    return Step(Action.KEEP if observed.phase is Phase.READY else Action.AWAIT, wanted, observed, changes)


def _changes(wanted: Wanted[Any], observed: Observed[Any]) -> tuple[Change, ...]:
    before, after = observed.specification, wanted.specification
    values = ((field.name, getattr(before, field.name), getattr(after, field.name)) for field in fields(after))
    compared = (Change(name, found, want, before.obstacle(name, want) or "") for name, found, want in values)
    return tuple(one for one in compared if one.before != one.after and Untold.UNTOLD not in (one.before, one.after))


def _missing_tags(wanted: Wanted[Any], observed: Observed[Any]) -> tuple[Change, ...]:
    missing = observed.lacks(wanted.tags)
    present = {key: observed.tags[key] for key in missing if key in observed.tags}
    return (Change(TAGS, present, missing),) if missing else ()
