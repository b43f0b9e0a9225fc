"""Whose access key it is, and what policies they have: moto's users and roles, and the roles of jobs."""

from __future__ import annotations

from typing import Any, Final

from moto.ec2.models import EC2Backend, ec2_backends
from moto.iam.exceptions import NotFoundException
from moto.iam.models import IAMBackend, iam_backends
from moto.sts.models import sts_backends

from ..permissions.asked import ACCOUNT, Asked
from ..permissions.policies import Context, Principal, Requirement
from ..permissions.requirements import pass_role
from ..web.keys import Keys
from .backend import BATCH, SERVICE_ROLE

_ROLE_LESS: Final = "ecs-task-without-role"


class Principals:
    """Finds principals by access key.

    Args:
        partition: Of AWS, such as ``aws``.
        keys: The keys of the user and of jobs.
    """

    def __init__(self, partition: str, keys: Keys) -> None:
        self._partition = partition
        self._keys = keys

    def secret_of(self, key: str) -> str | None:
        """The secret of an access key of this server, or of one that was made with IAM or STS; None for others."""
        return self._keys.secret_of(key) or self._made(key)

    def _made(self, key: str) -> str | None:
        users = list(self._iam.users.values())
        made: list[Any] = [each for user in users for each in user.access_keys if each.status == "Active"]
        assumed: list[Any] = list(sts_backends[ACCOUNT][self._partition].assumed_roles)
        found = (str(each.secret_access_key) for each in (*made, *assumed) if each.access_key_id == key)
        return next(found, None)

    def principal_of(self, key: str) -> Principal | None:
        """Whose access key this is; None for a key that does not exist."""
        if key == self._keys.job.id:
            return Principal(self._session(_ROLE_LESS, "job"), ())
        if (arn := self._keys.role_of(key)) is not None:
            return self._role(arn, "job")
        for assumed in sts_backends[ACCOUNT][self._partition].assumed_roles:
            if assumed.access_key_id == key:
                return self._role(assumed.role_arn, assumed.session_name)
        return self._user(key)

    def execution_role(self, arn: str, task: str) -> Principal | None:
        """The role in which ECS prepares a container; None when there is none."""
        return self._role(arn, task)

    def besides(self, asked: Asked) -> list[Requirement]:
        """What else somebody needs who makes a compute environment.

        The role of its instances is passed to EC2, and the role of AWS Batch itself is made where it is not there.
        """
        if asked.call.name != "batch.CreateComputeEnvironment":
            return []
        resources = asked.parameters.get("computeResources") or {}
        return [*self._passing(str(resources.get("instanceRole") or "")), *self._service_linked(asked)]

    def context(self, asked: Asked, needed: Requirement) -> Context:
        """The boundary of the role that a request is about, and the tags of what EC2 is to change.

        The boundary of a role that is to be made is in the request.
        """
        if asked.call.service == "ec2":
            tags = self._ec2(asked).tags.get(needed.resources[0].rpartition("/")[2], {})
            return tuple((f"aws:resourcetag/{key}".lower(), value) for key, value in tags.items())
        if asked.call.service != "iam" or not asked.text("RoleName"):
            return ()
        role = next((each for each in self._iam.roles.values() if each.name == asked.text("RoleName")), None)
        boundary = role.permissions_boundary_arn if role is not None else None
        return (("iam:permissionsboundary", boundary),) if boundary else ()

    def _passing(self, profile: str) -> list[Requirement]:
        try:
            roles = self._iam.get_instance_profile(profile.rpartition("/")[2]).roles if profile else []
        except NotFoundException:
            return []
        return [pass_role(role.arn, "ec2.amazonaws.com") for role in roles]

    def _service_linked(self, asked: Asked) -> list[Requirement]:
        if asked.text("serviceRole") or any(role.name == SERVICE_ROLE for role in self._iam.roles.values()):
            return []
        arn = asked.arn("iam", f"role/aws-service-role/{BATCH}/{SERVICE_ROLE}", regional=False)
        return [Requirement("iam:CreateServiceLinkedRole", (arn,), (("iam:awsservicename", BATCH),))]

    @property
    def _iam(self) -> IAMBackend:
        return iam_backends[ACCOUNT][self._partition]

    def _ec2(self, asked: Asked) -> EC2Backend:
        return ec2_backends[ACCOUNT][asked.scope.region]

    def _role(self, arn: str, session: str) -> Principal | None:
        try:
            role = self._iam.get_role_by_arn(arn)
        except NotFoundException:
            return Principal(self._session(arn.rpartition("/")[2], session), ())
        policies = [*role.policies.values(), *_documents(role)]
        return Principal(self._session(role.name, session), policies, self._boundary(role.permissions_boundary_arn))

    def _user(self, key: str) -> Principal | None:
        for user in self._iam.users.values():
            if any(each.access_key_id == key for each in user.access_keys):
                groups = [group for group in self._iam.groups.values() if user in group.users]
                holders: list[Any] = [user, *groups]
                inline = [text for holder in holders for text in holder.policies.values()]
                return Principal(user.arn, [*inline, *(text for holder in holders for text in _documents(holder))])
        return None

    def _boundary(self, arn: str | None) -> str | None:
        if not arn:
            return None
        policy = self._iam.managed_policies.get(arn)
        return _document(policy) if policy is not None else '{"Statement": []}'

    def _session(self, role: str, session: str) -> str:
        return f"arn:{self._partition}:sts::{ACCOUNT}:assumed-role/{role}/{session}"


def _documents(holder: Any) -> list[str]:
    return [_document(policy) for policy in holder.managed_policies.values()]


def _document(policy: Any) -> str:
    return str(next(each.document for each in policy.versions if each.is_default))
