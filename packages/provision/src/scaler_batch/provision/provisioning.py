"""The four commands as functions: provision, plan, show, cleanup.

Each opens its site, looks at what is there, decides, and, but for plan and show, acts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from scaler_batch.provision.apply import Audience, CleanupReport, Silent, apply, remove
from scaler_batch.provision.description import TASK_PREFIX, describe
from scaler_batch.provision.errors import ConflictError, DeclinedError, FileError
from scaler_batch.provision.handover import Handover, read_env, write_env
from scaler_batch.provision.plan import Plan, make_plan, make_removal_plan
from scaler_batch.provision.site import Site
from scaler_batch.provision.state import Journal, load
from scaler_batch.provision.vocabulary import Identity, Kind
from scaler_batch.provision.waiting import Patience, Waiter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import boto3

    from scaler_batch.provision.naming import Account, Names
    from scaler_batch.provision.settings import Files, Settings, Target
    from scaler_batch.provision.vocabulary import Observed


@dataclass(frozen=True, slots=True)
class ProvisionedResources:
    """What is there after provisioning.

    Attributes:
        target: Which set of resources it is.
        account: Whose they are.
        resources: Name and ARN of each.
        changed: What this run made or changed; empty when all was as wanted.
    """

    target: Target
    account: Account
    resources: Mapping[Kind, Identity]
    changed: tuple[Kind, ...]

    @property
    def region(self) -> str:
        """AWS region of all resources."""
        return self.target.region

    @property
    def bucket(self) -> str:
        """Name of the bucket for tasks."""
        return self.resources[Kind.BUCKET].name

    @property
    def task_prefix(self) -> str:
        """Key prefix in the bucket that jobs may use; the worker's ``--s3-prefix``."""
        return TASK_PREFIX

    @property
    def job_queue(self) -> str:
        """Name of the job queue."""
        return self.resources[Kind.JOB_QUEUE].name

    @property
    def job_definition(self) -> str:
        """Name of the job definition, which stands for its newest revision."""
        return self.resources[Kind.JOB_DEFINITION].name

    @property
    def handover(self) -> Handover:
        """What the worker adapter needs."""
        return Handover(self.region, self.bucket, self.job_queue, self.job_definition)

    def environment(self) -> dict[str, str]:
        """What the worker adapter needs, by the names of the variables in the env file."""
        return self.handover.environment()


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is there, without judging it.

    Attributes:
        observed: Each kind of resource; ``None`` where there is none of its name.
    """

    names: Names
    observed: Mapping[Kind, Observed[Any] | None]


def provision(
    settings: Settings,
    session: boto3.Session,
    *,
    endpoint_url: str | None = None,
    files: Files | None = None,
    audience: Audience | None = None,
    patience: Patience | None = None,
) -> ProvisionedResources:
    """Make whatever is missing, change whatever differs, and wait until all of it can be used.

    May be run again at any time: what is there and as wanted stays untouched, what was interrupted is completed.

    Args:
        settings: What is wanted.
        session: Brings the credentials; its region is not used.
        endpoint_url: Send all calls there instead of to AWS.
        files: Where to record the work and to write what the adapter needs; without it no file is written.
        audience: Is shown the plan and told of progress; by default nobody, and the plan is carried out.
        patience: How long waits may last.

    Raises:
        ConflictError: A name or a file is taken by something that is not ours; nothing was changed.
        DeclinedError: The audience did not agree; nothing was changed.
        AwsError: AWS refused a call, or could not be reached.
        BrokenError: AWS found a resource invalid.
        WaitError: Something did not come about within its time.
        FileError: A local file cannot be read or written.
    """
    audience = audience or Silent()
    site = _open(settings.target, session, endpoint_url, audience, patience)
    journal = Journal.open(files.config if files else None, site.names)
    handover = _handover(site.names)
    if files:
        _check_env_is_ours(files.env, handover)
    plan = _plan(settings, site, journal)
    if plan.pending and not audience.agrees_to(plan):
        raise DeclinedError
    journal.start(settings, complete=not plan.pending)
    resources = apply(plan, site.catalogue, journal, audience)
    if files:
        write_env(files.env, handover)
    changed = tuple(step.wanted.kind for step in plan.pending)
    return ProvisionedResources(settings.target, site.names.account, resources, changed)


def plan_provision(
    settings: Settings,
    session: boto3.Session,
    *,
    endpoint_url: str | None = None,
    files: Files | None = None,
) -> Plan:
    """Say what :func:`provision` would do with the same arguments; changes nothing.

    Raises:
        ConflictError: A name or the JSON file is taken by something that is not ours.
        AwsError: AWS refused a call, or could not be reached.
        FileError: The JSON file cannot be read.
    """
    site = _open(settings.target, session, endpoint_url, Silent(), None)
    return _plan(settings, site, Journal.open(files.config if files else None, site.names))


def show(target: Target, session: boto3.Session, *, endpoint_url: str | None = None) -> Inventory:
    """Look at what is there; needs no files, changes nothing.

    Raises:
        AwsError: AWS refused a call, or could not be reached.
    """
    site = _open(target, session, endpoint_url, Silent(), None)
    return Inventory(site.names, site.catalogue.observe_all())


def cleanup(
    target: Target,
    session: boto3.Session,
    *,
    endpoint_url: str | None = None,
    files: Files | None = None,
    audience: Audience | None = None,
    patience: Patience | None = None,
) -> CleanupReport:
    """Remove all that was made for the target, and then the local files that tell of it.

    Needs no files: resources are found by their names, and recognised by their tags. What cannot be removed is
    reported, and the rest is removed all the same.

    Args:
        target: Which set of resources.
        session: Brings the credentials; its region is not used.
        endpoint_url: Send all calls there instead of to AWS.
        files: Files to remove, as far as they are about this target; without it none is touched.
        audience: Is shown what is to be removed and told of progress.
        patience: How long waits may last.

    Raises:
        DeclinedError: The audience did not agree; nothing was changed.
        AwsError: What is there could not be looked at; nothing was changed.
        FileError: A local file cannot be read or removed.
    """
    audience = audience or Silent()
    site = _open(target, session, endpoint_url, audience, patience)
    own_files = _own_files(files, site.names)
    journal = Journal.open(files.config if files and files.config in own_files else None, site.names)
    plan = make_removal_plan(site.catalogue.observe_all(), prefix=target.prefix, unfinished=journal.state.unfinished)
    if plan.remove and not audience.agrees_to_removal(plan):
        raise DeclinedError
    report = remove(plan, site.catalogue, journal, audience)
    return replace(report, files=tuple(map(_delete_file, own_files))) if report.complete else report


def _own_files(files: Files | None, names: Names) -> list[Path]:
    """Tell which files are about these resources: one about others, or written by hand for others, is not ours."""
    if files is None:
        return []
    state = load(files.config)
    config_is_ours = state is not None and (state.target, state.account) == (names.target, names.account)
    env_is_ours = _reads_as(files.env, _handover(names))
    return [path for path, ours in ((files.config, config_is_ours), (files.env, env_is_ours)) if ours]


def _reads_as(path: Path, handover: Handover) -> bool:
    try:
        return read_env(path) == handover
    except FileError:
        # Whatever we cannot read, we did not write.
        return False


def _delete_file(path: Path) -> Path:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise FileError(f"cannot remove {path}: {error.strerror}", fix="remove the file by hand") from error
    return path


def _open(
    target: Target,
    session: boto3.Session,
    endpoint_url: str | None,
    audience: Audience,
    patience: Patience | None,
) -> Site:
    waiter = Waiter(patience=patience or Patience(), notify=audience.waiting)
    return Site.open(target, session, waiter, endpoint_url)


def _plan(settings: Settings, site: Site, journal: Journal) -> Plan:
    return make_plan(
        describe(settings, site.names, site.network()),
        site.catalogue.observe_all(),
        prefix=settings.prefix,
        unfinished=journal.state.unfinished,
    )


def _handover(names: Names) -> Handover:
    return Handover(
        region=names.target.region,
        bucket=names.of(Kind.BUCKET),
        job_queue=names.of(Kind.JOB_QUEUE),
        job_definition=names.of(Kind.JOB_DEFINITION),
    )


def _check_env_is_ours(path: Path, handover: Handover) -> None:
    found = read_env(path)
    if found not in (None, handover):
        raise ConflictError(
            f"{path} names other resources than these would be",
            fix="pass --env-file with another name, or move the file away",
        )
