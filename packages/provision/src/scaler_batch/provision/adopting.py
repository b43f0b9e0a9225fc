"""Taking over what is there for a prefix and not known to be ours: the only door through which that happens.

It serves three cases. An earlier release made the resources, when there was no nonce yet. The JSON file is lost, or
lies on another machine. An interrupted run left a bucket without tags, where S3 takes none at creation.

Nothing that a file says makes a resource ours, least of all one of an earlier release: of that, only what it is about
is looked at. Names follow from prefix, account and region. What bears another prefix stays as it is, and so does what
bears none. The rest is shown, and whoever sees it decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaler_batch.provision.apply import Audience, Silent
from scaler_batch.provision.errors import DeclinedError
from scaler_batch.provision.plan import make_adoption_plan
from scaler_batch.provision.results import AdoptionReport
from scaler_batch.provision.site import open_site
from scaler_batch.provision.state import NONCE, Journal, OldRecordError, State, check_about, load, new_nonce
from scaler_batch.provision.vocabulary import NONCE_TAG

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Any

    import boto3

    from scaler_batch.provision.naming import Names
    from scaler_batch.provision.plan import AdoptionPlan
    from scaler_batch.provision.resources.catalogue import Catalogue
    from scaler_batch.provision.settings import Files, Target
    from scaler_batch.provision.site import Site
    from scaler_batch.provision.vocabulary import Observed


def adopt(
    target: Target,
    session: boto3.Session,
    files: Files,
    *,
    endpoint_url: str | None = None,
    audience: Audience | None = None,
) -> AdoptionReport:
    """Give the nonce of the record to what is there for the target's prefix, and record it.

    Where there is no record, or one of version 1, one is written: with the nonce that the resources bear already, if
    all bear the same, else with a new one.

    Args:
        target: Which set of resources.
        session: Brings the credentials; its region is not used.
        files: Where the record lies.
        endpoint_url: Send all calls there instead of to AWS.
        audience: Is shown the plan and decides; without one, whoever calls this has decided.

    Raises:
        ConflictError: The record is about other resources.
        DeclinedError: The audience did not agree; nothing was changed.
        AwsError: AWS refused a call, or could not be reached. What was taken over until then is recorded.
        FileError: The record cannot be read, understood or written.
    """
    audience = audience or Silent()
    survey = _survey(open_site(target, session, endpoint_url, audience, None), files.config)
    plan, journal, owner = survey.plan, survey.journal, survey.journal.state.owner
    if plan.adopt and not audience.agrees_to_adoption(plan):
        raise DeclinedError
    journal.write()
    for one in plan.adopt:
        words = f"take over {one.kind.words} {one.observed.name}"
        audience.doing(words)
        survey.catalogue.adopt(one.kind, one.observed, owner)
        journal.made(one.kind, one.observed.identity)
        audience.done(words)
    adopted = tuple((one.kind, one.observed.name) for one in plan.adopt)
    return AdoptionReport(adopted, tuple((kind, one.name) for kind, one in plan.foreign))


def plan_adoption(
    target: Target, session: boto3.Session, files: Files, *, endpoint_url: str | None = None
) -> AdoptionPlan:
    """Say what :func:`adopt` would take over with the same arguments; changes nothing.

    Raises:
        ConflictError: The record is about other resources.
        AwsError: AWS refused a call, or could not be reached.
        FileError: The record cannot be read or understood.
    """
    return _survey(open_site(target, session, endpoint_url, Silent(), None), files.config).plan


@dataclass(frozen=True, slots=True)
class _Survey:
    """What is there, and what is known of it."""

    plan: AdoptionPlan
    journal: Journal
    catalogue: Catalogue


def _survey(site: Site, path: Path) -> _Survey:
    recorded = _recorded(path, site.names)
    catalogue = site.catalogue(recorded.owner if recorded else None)
    observed, prefix = catalogue.observe_all(), site.names.target.prefix
    known, unfinished = (recorded.nonce, recorded.unfinished) if recorded else (None, frozenset())
    plan = make_adoption_plan(observed, prefix=prefix, known=known, unfinished=unfinished)
    if recorded is None:
        nonce = _common_nonce(one.observed for one in plan.adopt) or new_nonce()
        recorded = State(site.names.target, site.names.account, nonce)
    return _Survey(plan, Journal(path, recorded), catalogue)


def _recorded(path: Path, names: Names) -> State | None:
    """The record; ``None`` where there is none yet, or one of version 1."""
    try:
        state = load(path)
    except OldRecordError as old:
        check_about(path, old.names, names)
        return None
    if state:
        check_about(path, state.names, names)
    return state


def _common_nonce(observed: Iterable[Observed[Any]]) -> str | None:
    """The nonce that all of these bear; ``None`` where they bear several, or what cannot be one."""
    nonces = {one.tags.get(NONCE_TAG, "") for one in observed} - {""}
    return next(iter(nonces)) if len(nonces) == 1 and all(map(NONCE.fullmatch, nonces)) else None
