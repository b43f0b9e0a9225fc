"""Making what is wanted: the whole of it, the image alone, or only the plan; and a look at what is there.

Each function opens its site, looks at what is there, decides, and, but for plan and show, acts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scaler_batch.provision.apply import Audience, Silent, apply
from scaler_batch.provision.description import all_tags, describe, describe_repository
from scaler_batch.provision.errors import ConflictError, DeclinedError, SettingsError
from scaler_batch.provision.handover import Handover, read_env, write_env
from scaler_batch.provision.plan import Plan, fields_to_set, make_plan
from scaler_batch.provision.results import BuildReport, Inventory, ProvisionedResources
from scaler_batch.provision.site import Site, open_site
from scaler_batch.provision.state import Journal
from scaler_batch.provision.vocabulary import Kind, Untold

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import boto3

    from scaler_batch.provision.naming import Names
    from scaler_batch.provision.resources.catalogue import Catalogue
    from scaler_batch.provision.resources.repository import ImageSource, RepositorySpecification
    from scaler_batch.provision.settings import Files, Settings, Target
    from scaler_batch.provision.vocabulary import Observed
    from scaler_batch.provision.waiting import Patience


def provision(
    settings: Settings,
    session: boto3.Session,
    *,
    image: ImageSource | None = None,
    endpoint_url: str | None = None,
    files: Files | None = None,
    nonce: str | None = None,
    audience: Audience | None = None,
    patience: Patience | None = None,
) -> ProvisionedResources:
    """Make whatever is missing, change whatever differs, and wait until all of it can be used.

    May be run again at any time: what is there and as wanted stays untouched, what was interrupted is completed.

    Args:
        settings: What is wanted.
        session: Brings the credentials; its region is not used.
        image: Builds the image, where the settings name none.
        endpoint_url: Send all calls there instead of to AWS.
        files: Where to record the work and to write what the adapter needs; without it no file is written.
        nonce: That of what an earlier call returned, where no file keeps it: without it, what that call made is
            somebody else's.
        audience: Is shown the plan and told of progress; by default nobody, and the plan is carried out.
        patience: How long waits may last.

    Raises:
        SettingsError: Neither an image nor a way to build one was given.
        EngineError: The image cannot be built or pushed.
        ConflictError: A name or a file is taken by something that is not ours; nothing was changed.
        DeclinedError: The audience did not agree; nothing was changed.
        AwsError: AWS refused a call, or could not be reached.
        BrokenError: AWS found a resource invalid.
        WaitError: Something did not come about within its time.
        FileError: A local file cannot be read or written.
    """
    audience = audience or Silent()
    image = _needed(image, settings)
    site = open_site(settings.target, session, endpoint_url, audience, patience)
    journal = Journal.open(files.config if files else None, site.names, nonce)
    catalogue = site.catalogue(journal.state.owner, image)
    handover = Handover.of(site.names, payload_key=settings.payload_key)
    if files:
        _check_env_is_ours(files.env, site.names)
    plan = _plan(settings, site, catalogue, journal, image)
    pushes = "image_tag" in fields_to_set(plan, Kind.REPOSITORY)
    if image and pushes:
        image.check()
    if plan.pending and not audience.agrees_to(plan):
        raise DeclinedError
    changed = tuple(step.wanted.kind for step in plan.pending)
    journal.start(settings, complete=not plan.pending)
    if pushes:
        # What an image is, and so what the definition has to name, is known once it has been pushed.
        apply(plan.only(Kind.REPOSITORY), catalogue, journal, audience)
        plan = _plan(settings, site, catalogue, journal, image)
    resources = apply(plan, catalogue, journal, audience)
    journal.finish()
    if files:
        write_env(files.env, handover)
    obstacles = tuple((step.wanted.kind, change) for step in plan.steps for change in step.obstacles)
    account, nonce = site.names.account, journal.state.nonce
    key = handover.payload_key
    return ProvisionedResources(settings.target, account, resources, changed, obstacles, nonce, key)


def build_image(
    target: Target,
    session: boto3.Session,
    image: ImageSource,
    *,
    tags: Mapping[str, str] | None = None,
    endpoint_url: str | None = None,
    files: Files | None = None,
    audience: Audience | None = None,
    patience: Patience | None = None,
) -> BuildReport:
    """Build the image and push it to the repository of the target, which is made where it is missing.

    An image that is there already is not built again.

    Raises:
        EngineError: The image cannot be built or pushed.
        ConflictError: The repository is not ours.
        DeclinedError: The audience did not agree; nothing was changed.
        AwsError: AWS refused a call, or could not be reached.
    """
    audience = audience or Silent()
    site = open_site(target, session, endpoint_url, audience, patience)
    journal = Journal.open(files.config if files else None, site.names)
    owner = journal.state.owner
    catalogue = site.catalogue(owner, image)
    wanted = [describe_repository(site.names, all_tags(tags or {}, owner), image.tag)]
    plan = make_plan(wanted, {Kind.REPOSITORY: catalogue.observe(Kind.REPOSITORY)}, owner=owner)
    if plan.pending:
        image.check()
        if not audience.agrees_to(plan):
            raise DeclinedError
    apply(plan, catalogue, journal, audience)
    uri = site.names.image(image.tag, _digest(catalogue.observe(Kind.REPOSITORY)))
    return BuildReport(uri, image.tag, built="image_tag" in fields_to_set(plan, Kind.REPOSITORY))


def plan_provision(
    settings: Settings,
    session: boto3.Session,
    *,
    image: ImageSource | None = None,
    endpoint_url: str | None = None,
    files: Files | None = None,
    nonce: str | None = None,
) -> Plan:
    """Say what :func:`provision` would do with the same arguments; changes nothing.

    Raises:
        ConflictError: A name or the JSON file is taken by something that is not ours.
        AwsError: AWS refused a call, or could not be reached.
        FileError: The JSON file cannot be read.
    """
    image = _needed(image, settings)
    site = open_site(settings.target, session, endpoint_url, Silent(), None)
    journal = Journal.open(files.config if files else None, site.names, nonce)
    return _plan(settings, site, site.catalogue(journal.state.owner, image), journal, image)


def show(target: Target, session: boto3.Session, *, endpoint_url: str | None = None) -> Inventory:
    """Look at what is there; needs no files, changes nothing.

    Raises:
        AwsError: AWS refused a call, or could not be reached.
    """
    site = open_site(target, session, endpoint_url, Silent(), None)
    return Inventory(site.names, site.catalogue().observe_all())


def _needed(image: ImageSource | None, settings: Settings) -> ImageSource | None:
    """The source of the image, where one is needed."""
    if settings.image is not None:
        return None
    if image is None:
        raise SettingsError(
            "no container image was named, and none is to be built",
            fix="pass the URI of one that holds Python and scaler-batch-runner: --image registry/name:tag",
        )
    return image


def _plan(settings: Settings, site: Site, catalogue: Catalogue, journal: Journal, image: ImageSource | None) -> Plan:
    observed, owner = catalogue.observe_all(), journal.state.owner
    network = site.network(settings, observed[Kind.SECURITY_GROUP])
    tag, digest = image.tag if image else None, _digest(observed[Kind.REPOSITORY]) if image else ""
    wanted = describe(settings, site.names, network, nonce=owner.nonce, image_tag=tag, image_digest=digest)
    return make_plan(wanted, observed, owner=owner, unfinished=journal.state.unfinished)


def _digest(repository: Observed[RepositorySpecification] | None) -> str:
    """What the wanted image is; empty where it is not in the repository yet."""
    digest = repository.specification.image_digest if repository else Untold.UNTOLD
    return "" if isinstance(digest, Untold) else digest


def _check_env_is_ours(path: Path, names: Names) -> None:
    found = read_env(path)
    if found and not found.is_about(names):
        raise ConflictError(
            f"{path} names other resources than these would be",
            fix="pass --env-file with another name, or move the file away",
        )
