"""Carrying plans out, step by step, each recorded before the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from scaler_batch.provision.errors import ProvisionError
from scaler_batch.provision.plan import Action
from scaler_batch.provision.vocabulary import Identity

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from scaler_batch.provision.plan import AdoptionPlan, Plan, RemovalPlan, Step
    from scaler_batch.provision.resources.catalogue import Catalogue
    from scaler_batch.provision.state import Journal
    from scaler_batch.provision.vocabulary import Kind, Observed


class Audience(Protocol):
    """Is told what goes on, and asked before anything is changed."""

    def agrees_to(self, plan: Plan) -> bool:
        """See the plan; whether to carry it out. Asked only when something is to be done."""

    def agrees_to_removal(self, plan: RemovalPlan) -> bool:
        """See what is to be removed; whether to do so. Asked only when there is something."""

    def agrees_to_adoption(self, plan: AdoptionPlan) -> bool:
        """See what is to be taken over; whether to do so. Asked only when there is something."""

    def doing(self, words: str) -> None:
        """Hear what begins now, such as ``create job queue scaler-batch-queue``."""

    def waiting(self, words: str) -> None:
        """Hear what is being waited for."""

    def done(self, words: str) -> None:
        """Hear that it is done."""

    def failed(self, words: str, error: ProvisionError) -> None:
        """Hear that it could not be done, and that the work goes on."""


class Silent:
    """An audience that agrees to everything and says nothing."""

    def agrees_to(self, plan: Plan) -> bool:
        """Agree."""
        return True

    def agrees_to_removal(self, plan: RemovalPlan) -> bool:
        """Agree."""
        return True

    def agrees_to_adoption(self, plan: AdoptionPlan) -> bool:
        """Agree."""
        return True

    def doing(self, words: str) -> None:
        """Say nothing."""

    def waiting(self, words: str) -> None:
        """Say nothing."""

    def done(self, words: str) -> None:
        """Say nothing."""

    def failed(self, words: str, error: ProvisionError) -> None:
        """Say nothing; the report names what is left."""


@dataclass(frozen=True, slots=True)
class Left:
    """What a cleanup could not remove.

    Attributes:
        error: Why.
    """

    kind: Kind
    name: str
    error: ProvisionError


@dataclass(frozen=True, slots=True)
class CleanupReport:
    """What a cleanup came to.

    Attributes:
        removed: What is gone, in the order of going.
        left: What could not be removed.
        foreign: What was left alone, because it lacks a tag that makes it ours.
        unproven: What of that may be ours all the same: it is there for our prefix, but lacks the nonce of our record.
        files: Local files that were removed; none while something is left.
    """

    removed: tuple[tuple[Kind, str], ...]
    left: tuple[Left, ...]
    foreign: tuple[tuple[Kind, str], ...]
    unproven: tuple[tuple[Kind, str], ...] = ()
    files: tuple[Path, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing of ours is left."""
        return not self.left and not self.unproven


def apply(plan: Plan, catalogue: Catalogue, journal: Journal, audience: Audience) -> Mapping[Kind, Identity]:
    """Carry out a plan; an error stops it, and the next run goes on from there.

    Returns:
        Every resource that is recorded.

    Raises:
        ProvisionError: A step failed; those before it are done and recorded.
    """
    for step in plan.steps:
        _take(step, catalogue, journal, audience)
    return journal.state.resources


def remove(plan: RemovalPlan, catalogue: Catalogue, journal: Journal, audience: Audience) -> CleanupReport:
    """Carry out a removal; what cannot be removed is reported, and the work goes on with the next."""
    removed: list[tuple[Kind, str]] = []
    left: list[Left] = []
    for kind, observed in plan.remove:
        words = f"remove {kind.words} {observed.name}"
        audience.doing(words)
        try:
            _remove_one(kind, observed, catalogue, journal)
        except ProvisionError as error:
            left.append(Left(kind, observed.name, error))
            audience.failed(words, error)
        else:
            removed.append((kind, observed.name))
            audience.done(words)
    foreign = tuple((kind, observed.name) for kind, observed in plan.foreign)
    prefix, begun = journal.state.target.prefix, journal.state.unfinished
    unproven = tuple((kind, one.name) for kind, one in plan.foreign if one.bears(prefix) or kind in begun)
    return CleanupReport(tuple(removed), tuple(left), foreign, unproven)


def _take(step: Step, catalogue: Catalogue, journal: Journal, audience: Audience) -> None:
    wanted = step.wanted
    if step.action is Action.KEEP and step.observed:
        journal.made(wanted.kind, step.observed.identity)
        return
    words = f"{step.action} {wanted.kind.words} {wanted.name}"
    audience.doing(words)
    journal.begin(wanted.kind)
    arn = _carry_out(step, catalogue)
    catalogue.settle(wanted)
    journal.made(wanted.kind, Identity(wanted.name, arn))
    audience.done(words)


def _carry_out(step: Step, catalogue: Catalogue) -> str:
    """Make or change the resource, and return its ARN."""
    if step.observed is None:
        return catalogue.create(step.wanted)
    if step.action is Action.CHANGE:
        return catalogue.change(step.wanted, step.fields, step.observed.arn)
    return step.observed.arn


def _remove_one(kind: Kind, observed: Observed[Any], catalogue: Catalogue, journal: Journal) -> None:
    journal.begin(kind)
    catalogue.remove(kind, observed)
    journal.removed(kind)
