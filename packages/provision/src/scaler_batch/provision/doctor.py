"""The examination: is everything there, in order, and allowed, so that a task would run?

::

    credentials ─► names ─► queue, definition, environments ─► all other checks, at once
         └─ none: the rest is skipped

No part may hang, whatever it waits for: clients give up soon and try once, and every stage has its time
(:mod:`~scaler_batch.provision.bounded`). A check that fails to look is a finding of its own, and the others go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from scaler_batch.aws import DENIED, QUICK, NoCredentialsError, expiry_of, find_credentials
from scaler_batch.provision.bounded import OverdueError, call_all_within, call_within
from scaler_batch.provision.checks import (
    bucket,
    credentials,
    definition,
    image,
    instances,
    memory,
    network,
    queue,
    quotas,
    roles,
    scheduler,
)
from scaler_batch.provision.checks.scene import Scene, find
from scaler_batch.provision.description import TASK_PREFIX
from scaler_batch.provision.errors import AwsError, CredentialsError, ProvisionError
from scaler_batch.provision.finding import Finding, problem, skipped
from scaler_batch.provision.handover import Handover, read_env
from scaler_batch.provision.naming import Names
from scaler_batch.provision.resources.account import find_account
from scaler_batch.provision.resources.clients import Clients, open_session, translated
from scaler_batch.provision.settings import DEFAULT_PREFIX, DEFAULT_REGION, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    import boto3

    from scaler_batch.provision.bounded import Came
    from scaler_batch.provision.naming import Account

SECONDS: Final = 10.0
"""Longest that one stage may take."""

RESOURCES: Final = "resources"

Session: TypeAlias = "Callable[[], boto3.Session]"
"""Opens a session; may hang, or fail."""

Admission: TypeAlias = "tuple[Clients, Account, datetime | None]"
"""What credentials open: clients, the account, and until when."""

Check: TypeAlias = "Callable[[], list[Finding]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is to be examined.

    Attributes:
        prefix: Names the resources, as they were provisioned; ``None`` to take those of the env file, if there is one.
        region: AWS region; ``None`` for that of the env file, or the default.
        env: Where the env file lies.
        scheduler: Address of the scheduler; ``None`` not to look for it.
        task_prefix: Key prefix of tasks; the worker's ``--s3-prefix``.
        python: Version that clients run; ``None`` to compare with the one that runs this, and only warn.
        share: Share identifier of the worker; ``None`` for none.
        endpoint_url: Send all calls there instead of to AWS.
        seconds: Longest that one of the three stages may take.
    """

    env: Path
    prefix: str | None = None
    region: str | None = None
    scheduler: str | None = None
    task_prefix: str = TASK_PREFIX
    python: str | None = None
    share: str | None = None
    endpoint_url: str | None = None
    seconds: float = SECONDS


def examine(patient: Patient, open_: Session = open_session) -> Iterator[Finding]:
    """Look at everything, and say what was found as soon as it is known. Writes nothing but a probe into the bucket.

    Raises:
        SettingsError: Nothing could have such names.
        FileError: The env file cannot be read.
    """
    handed = names_in_file(patient)
    target = Target(prefix=patient.prefix or DEFAULT_PREFIX, region=patient.region or DEFAULT_REGION)
    if patient.scheduler:
        yield scheduler.check(patient.scheduler)
    region = handed.region if handed else target.region
    admitted = _admit(patient, region, open_)
    if isinstance(admitted, Finding):
        yield admitted
        yield skipped(RESOURCES, "nothing else can be looked at without credentials")
        return
    clients, account, expires = admitted
    yield credentials.judge(account, region, expires)
    names = handed or Handover.of(Names(target, account))
    yield from _look(
        Scene(clients, account, names, patient.task_prefix, patient.python, patient.share), patient.seconds
    )


def names_in_file(patient: Patient) -> Handover | None:
    """The names in the env file, unless the patient is called by prefix or region.

    Raises:
        FileError: The file is there, and cannot be read.
    """
    return None if patient.prefix or patient.region else read_env(patient.env)


def admit(patient: Patient, region: str, open_: Session) -> Admission:
    """Find credentials, and see that AWS takes them; to be called within a time limit.

    Raises:
        CredentialsError: There are none, or they do not serve.
        UnreachableError: No answer came.
    """
    with translated("find credentials"):
        session = open_()
        find_credentials(session)
        clients = Clients.of(session, region, patient.endpoint_url, config=QUICK)
        account = find_account(clients.sts)
    return clients, account, expiry_of(session)


def _admit(patient: Patient, region: str, open_: Session) -> Finding | Admission:
    try:
        return call_within(patient.seconds, lambda: admit(patient, region, open_))
    except OverdueError:
        return credentials.hanging(patient.seconds)
    except CredentialsError as error:
        absent = isinstance(error.__cause__, NoCredentialsError)
        return credentials.NONE if absent else credentials.refused(str(error))
    except AwsError as error:
        return problem(credentials.SUBJECT, str(error), error.fix)


def _look(scene: Scene, seconds: float) -> Iterator[Finding]:
    try:
        with translated("look at queue and job definition"):
            found = call_within(seconds, lambda: find(scene))
    except (OverdueError, ProvisionError) as error:
        yield _failed(RESOURCES, error, seconds)
        return
    yield queue.judge_queue(found, scene)
    if found.queue is not None:
        yield queue.judge_share(found.queue, scene.share)
    yield from queue.judge_environments(found)
    yield definition.judge(found, scene)
    checks: dict[str, Check] = {
        bucket.SUBJECT: lambda: [bucket.check(scene)],
        roles.JOB: lambda: roles.check(found, scene),
        image.SUBJECT: lambda: image.check(found, scene),
        network.SUBJECT: lambda: network.check(found, scene),
        instances.SUBJECT: lambda: instances.check(found, scene),
        memory.SUBJECT: lambda: [memory.check(found, scene)],
        quotas.SUBJECT: lambda: quotas.check(found, scene),
        queue.WAITING: lambda: queue.check_jobs(found, scene),
    }
    results = call_all_within(seconds, [_guarded(subject, check) for subject, check in checks.items()])
    for subject, came in zip(checks, results, strict=True):
        yield from _findings(subject, came, seconds)


def _guarded(subject: str, check: Check) -> Check:
    def run() -> list[Finding]:
        with translated(f"look at the {subject}"):
            return check()

    return run


def _findings(subject: str, came: Came[list[Finding]], seconds: float) -> list[Finding]:
    try:
        return came.get()
    except (OverdueError, ProvisionError) as error:
        return [_failed(subject, error, seconds)]


def _failed(subject: str, error: OverdueError | ProvisionError, seconds: float) -> Finding:
    """A look that failed: nothing is known of the thing itself."""
    if isinstance(error, OverdueError):
        return skipped(subject, f"no answer within {seconds:.0f} s", "look at the network, and try again")
    denied = isinstance(error, AwsError) and error.code in DENIED
    return skipped(subject, str(error), error.fix if denied else "")
