"""All kinds of resources behind one door, through which no exception of botocore's leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaler_batch.provision.plan import TAGS
from scaler_batch.provision.resources.bucket import BucketHandler
from scaler_batch.provision.resources.clients import translated
from scaler_batch.provision.resources.compute_environment import ComputeEnvironmentHandler
from scaler_batch.provision.resources.instance_profile import InstanceProfileHandler
from scaler_batch.provision.resources.job_definition import JobDefinitionHandler
from scaler_batch.provision.resources.job_queue import JobQueueHandler
from scaler_batch.provision.resources.launch_template import LaunchTemplateHandler
from scaler_batch.provision.resources.log_group import LogGroupHandler
from scaler_batch.provision.resources.payload_key import PayloadKeyHandler
from scaler_batch.provision.resources.repository import RepositoryHandler
from scaler_batch.provision.resources.role import RoleHandler
from scaler_batch.provision.resources.scheduling_policy import SchedulingPolicyHandler
from scaler_batch.provision.resources.security_group import SecurityGroupHandler
from scaler_batch.provision.vocabulary import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from scaler_batch.provision.naming import Names
    from scaler_batch.provision.resources.clients import Clients
    from scaler_batch.provision.resources.handler import Handler
    from scaler_batch.provision.resources.repository import ImageSource
    from scaler_batch.provision.vocabulary import Observed, Owner, Wanted
    from scaler_batch.provision.waiting import Waiter


class Catalogue:
    """Observes, makes, changes and removes resources of every kind.

    Each method raises :class:`~scaler_batch.provision.errors.AwsError` when AWS refuses,
    :class:`~scaler_batch.provision.errors.WaitError` when a wait runs out of time, and
    :class:`~scaler_batch.provision.errors.BrokenError` when AWS finds a resource invalid.
    """

    def __init__(
        self, clients: Clients, waiter: Waiter, names: Names, owner: Owner | None, image: ImageSource | None = None
    ) -> None:
        self._names = names
        self._handlers = _handlers(clients, waiter, names, owner, image)

    def observe_all(self) -> dict[Kind, Observed[Any] | None]:
        """Look at every resource, in the order of making."""
        return {kind: self.observe(kind) for kind in Kind}

    def observe(self, kind: Kind) -> Observed[Any] | None:
        """Look at one resource; ``None`` when there is none of its name."""
        name = self._names.of(kind)
        with translated(f"look at {kind.words} {name}"):
            return self._handlers[kind].observe(name)

    def create(self, wanted: Wanted[Any]) -> str:
        """Make one, and return its ARN."""
        with translated(f"make {wanted.kind.words} {wanted.name}"):
            return self._handlers[wanted.kind].create(wanted) or wanted.arn

    def change(self, wanted: Wanted[Any], fields: Collection[str], arn: str) -> str:
        """Change these fields of one whose ARN is known, and return its ARN, which may be another."""
        with translated(f"change {wanted.kind.words} {wanted.name}"):
            return self._change(wanted, fields, arn) or arn

    def _change(self, wanted: Wanted[Any], fields: Collection[str], arn: str) -> str | None:
        handler = self._handlers[wanted.kind]
        if TAGS in fields:
            handler.tag(arn, wanted.tags)
        others = [field for field in fields if field != TAGS]
        return handler.change(wanted, others) if others else None

    def adopt(self, kind: Kind, observed: Observed[Any], owner: Owner) -> None:
        """Put the owner's tags on one."""
        with translated(f"tag {kind.words} {observed.name}"):
            self._handlers[kind].adopt(observed, owner)

    def settle(self, wanted: Wanted[Any]) -> None:
        """Wait until one can be relied on."""
        with translated(f"look at {wanted.kind.words} {wanted.name}"):
            self._handlers[wanted.kind].settle(wanted.name)

    def remove(self, kind: Kind, observed: Observed[Any]) -> None:
        """Remove one, and wait until it is gone."""
        with translated(f"remove {kind.words} {observed.name}"):
            self._handlers[kind].remove(observed)


def _handlers(
    clients: Clients, waiter: Waiter, names: Names, owner: Owner | None, image: ImageSource | None
) -> Mapping[Kind, Handler[Any]]:
    role = RoleHandler(clients.iam, waiter)
    group = SecurityGroupHandler(clients.ec2, waiter, names, owner)
    environment = ComputeEnvironmentHandler(clients.batch, waiter, group.ids_of)
    return {
        Kind.REPOSITORY: RepositoryHandler(clients.ecr, image),
        Kind.LOG_GROUP: LogGroupHandler(clients.logs, waiter),
        Kind.BUCKET: BucketHandler(clients.s3, waiter, account=names.account.number, region=names.target.region),
        Kind.PAYLOAD_KEY: PayloadKeyHandler(clients.ssm, lambda name: names.regional("ssm", f"parameter{name}")),
        Kind.JOB_ROLE: role,
        Kind.EXECUTION_ROLE: role,
        Kind.INSTANCE_ROLE: role,
        Kind.INSTANCE_PROFILE: InstanceProfileHandler(clients.iam, waiter),
        Kind.SECURITY_GROUP: group,
        Kind.LAUNCH_TEMPLATE: LaunchTemplateHandler(clients.ec2, waiter, names),
        Kind.JOB_DEFINITION: JobDefinitionHandler(clients.batch),
        Kind.SPOT_ENVIRONMENT: environment,
        Kind.COMPUTE_ENVIRONMENT: environment,
        Kind.SCHEDULING_POLICY: SchedulingPolicyHandler(
            clients.batch, waiter, lambda name: names.regional("batch", f"scheduling-policy/{name}")
        ),
        Kind.JOB_QUEUE: JobQueueHandler(clients.batch, waiter),
    }
