"""Removing everything that was made for a target, and the local files that tell of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from scaler_batch.provision.apply import Audience, CleanupReport, Silent, remove
from scaler_batch.provision.errors import DeclinedError, FileError
from scaler_batch.provision.handover import read_env
from scaler_batch.provision.plan import make_removal_plan
from scaler_batch.provision.site import open_site
from scaler_batch.provision.state import Journal, load

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    import boto3

    from scaler_batch.provision.naming import Names
    from scaler_batch.provision.plan import RemovalPlan
    from scaler_batch.provision.settings import Files, Target
    from scaler_batch.provision.waiting import Patience


def cleanup(
    target: Target,
    session: boto3.Session,
    *,
    endpoint_url: str | None = None,
    files: Files | None = None,
    nonce: str | None = None,
    audience: Audience | None = None,
    patience: Patience | None = None,
) -> CleanupReport:
    """Remove all that was made for the target, and then the local files that tell of it.

    Resources are found by their names, and recognised by their tags: that of the prefix, and the nonce that the JSON
    file keeps. What cannot be removed is reported, and the rest is removed all the same.

    Args:
        target: Which set of resources.
        session: Brings the credentials; its region is not used.
        endpoint_url: Send all calls there instead of to AWS.
        files: Files to remove, as far as they are about this target; without it none is touched.
        nonce: That of what :func:`~scaler_batch.provision.provision` returned, where no file keeps it.
        audience: Is shown what is to be removed and told of progress.
        patience: How long waits may last.

    Raises:
        DeclinedError: The audience did not agree; nothing was changed.
        AwsError: What is there could not be looked at; nothing was changed.
        FileError: A local file cannot be read or removed, or is not one that this package has written.
    """
    audience = audience or Silent()
    site = open_site(target, session, endpoint_url, audience, patience)
    own_files = _own_files(files, site.names)
    journal = _own_journal(files, own_files, site.names, nonce)
    catalogue = site.catalogue(journal.state.owner)
    plan = make_removal_plan(catalogue.observe_all(), owner=journal.state.owner)
    if plan.remove and not audience.agrees_to_removal(plan):
        raise DeclinedError
    report = remove(plan, catalogue, journal, audience)
    return replace(report, files=tuple(map(_delete_file, own_files))) if report.complete else report


def plan_cleanup(
    target: Target,
    session: boto3.Session,
    *,
    endpoint_url: str | None = None,
    files: Files | None = None,
    nonce: str | None = None,
) -> RemovalPlan:
    """Say what :func:`cleanup` would remove with the same arguments; changes nothing.

    Raises:
        AwsError: AWS refused a call, or could not be reached.
        FileError: A local file cannot be read.
    """
    site = open_site(target, session, endpoint_url, Silent(), None)
    owner = _own_journal(files, _own_files(files, site.names), site.names, nonce).state.owner
    return make_removal_plan(site.catalogue(owner).observe_all(), owner=owner)


def _own_journal(files: Files | None, own_files: Collection[Path], names: Names, nonce: str | None) -> Journal:
    return Journal.open(files.config if files and files.config in own_files else None, names, nonce)


def _own_files(files: Files | None, names: Names) -> list[Path]:
    """Tell which files are about these resources: one about others, or written by hand for others, is not ours."""
    if files is None:
        return []
    state = load(files.config)
    config_is_ours = state is not None and state.names == names
    env_is_ours = _is_about(files.env, names)
    return [path for path, ours in ((files.config, config_is_ours), (files.env, env_is_ours)) if ours]


def _is_about(path: Path, names: Names) -> bool:
    try:
        found = read_env(path)
        return found is not None and found.is_about(names)
    except FileError:
        # Whatever we cannot read, we did not write.
        return False


def _delete_file(path: Path) -> Path:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise FileError(f"cannot remove {path}: {error.strerror}", fix="remove the file by hand") from error
    return path
