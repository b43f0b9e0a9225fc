"""The three roles; they differ in their documents only."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from scaler_batch.aws import unless_missing
from scaler_batch.provision.policies import canonical, parse
from scaler_batch.provision.resources.clients import once_accepted
from scaler_batch.provision.resources.handler import Handler
from scaler_batch.provision.vocabulary import Observed, Specification, Untold, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from mypy_boto3_iam import IAMClient
    from mypy_boto3_iam.type_defs import TagTypeDef

    from scaler_batch.provision.policies import Document
    from scaler_batch.provision.waiting import Waiter

MISSING: Final = "NoSuchEntity"
PASSING: Final = (MISSING, "ConcurrentModification")
"""What IAM says of a change that has not reached it everywhere yet."""


@dataclass(frozen=True, slots=True)
class RoleSpecification(Specification):
    """A role.

    Attributes:
        trust: Who may assume it.
        policies: What it allows, by name of the inline policy.
        managed: ARNs of policies that AWS keeps and that hold for it as well.
        boundary: ARN of the policy beyond which it may do nothing; untold where nobody asked for one, so that one that
            an organization has set stays.
    """

    trust: Document
    policies: Mapping[str, Document] = field(default_factory=dict)
    managed: frozenset[str] = frozenset()
    boundary: str | Untold = Untold.UNTOLD


class RoleHandler(Handler[RoleSpecification]):
    """Looks after one role."""

    def __init__(self, iam: IAMClient, waiter: Waiter) -> None:
        self._iam = iam
        self._waiter = waiter

    def observe(self, name: str) -> Observed[RoleSpecification] | None:
        """Look at the role with all that is attached to it."""
        found = unless_missing(lambda: self._iam.get_role(RoleName=name), MISSING)
        if found is None:
            return None
        role = found["Role"]
        specification = RoleSpecification(
            trust=canonical(parse(role["AssumeRolePolicyDocument"])),
            policies={policy: self._policy(name, policy) for policy in self._policy_names(name)},
            managed=frozenset(self._managed(name)),
            boundary=role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", ""),
        )
        return Observed(name, role["Arn"], specification, {tag["Key"]: tag["Value"] for tag in role.get("Tags", [])})

    def create(self, wanted: Wanted[RoleSpecification]) -> None:
        """Make it, then give it its policies."""
        self._iam.create_role(
            RoleName=wanted.name,
            AssumeRolePolicyDocument=json.dumps(wanted.specification.trust),
            Description="Made by scaler-batch-provision",
            Tags=tag_list(wanted.tags),
            **_bounded(wanted.specification),
        )
        self.change(wanted, ("policies", "managed"))

    def change(self, wanted: Wanted[RoleSpecification], fields: Collection[str]) -> None:
        """Set these fields; what is attached and not wanted goes."""
        setters = {
            "boundary": self._set_boundary,
            "trust": self._set_trust,
            "policies": self._set_policies,
            "managed": self._set_managed,
        }
        # The boundary comes first: under it alone the others may be allowed.
        for one, setter in setters.items():
            if one in fields:
                self._accepted(wanted.name, setter, wanted)

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Tag it; IAM calls it by its name, the last part of its ARN."""
        self._iam.tag_role(RoleName=arn.rpartition("/")[2], Tags=tag_list(tags))

    def remove(self, observed: Observed[RoleSpecification]) -> None:
        """Take everything off it, and remove it."""
        name = observed.name
        once_accepted(
            self._waiter,
            f"role {name} to be free",
            lambda: unless_missing(lambda: self._strip_and_delete(name), MISSING),
            "DeleteConflict",
            "ConcurrentModification",
        )

    def _accepted(
        self,
        name: str,
        setter: Callable[[Wanted[RoleSpecification]], None],
        wanted: Wanted[RoleSpecification],
    ) -> None:
        once_accepted(self._waiter, f"role {name}", lambda: setter(wanted), *PASSING)

    def _set_boundary(self, wanted: Wanted[RoleSpecification]) -> None:
        self._iam.put_role_permissions_boundary(RoleName=wanted.name, **_bounded(wanted.specification))

    def _set_trust(self, wanted: Wanted[RoleSpecification]) -> None:
        document = json.dumps(wanted.specification.trust)
        self._iam.update_assume_role_policy(RoleName=wanted.name, PolicyDocument=document)

    def _set_policies(self, wanted: Wanted[RoleSpecification]) -> None:
        for policy, document in wanted.specification.policies.items():
            self._iam.put_role_policy(RoleName=wanted.name, PolicyName=policy, PolicyDocument=json.dumps(document))
        self._drop_policies(wanted.name, keep=set(wanted.specification.policies))

    def _set_managed(self, wanted: Wanted[RoleSpecification]) -> None:
        for arn in sorted(wanted.specification.managed):
            self._iam.attach_role_policy(RoleName=wanted.name, PolicyArn=arn)
        self._detach(wanted.name, keep=set(wanted.specification.managed))

    def _strip_and_delete(self, name: str) -> None:
        self._drop_policies(name, keep=set())
        self._detach(name, keep=set())
        self._iam.delete_role(RoleName=name)

    def _drop_policies(self, name: str, *, keep: set[str]) -> None:
        for policy in set(self._policy_names(name)) - keep:
            self._iam.delete_role_policy(RoleName=name, PolicyName=policy)

    def _detach(self, name: str, *, keep: set[str]) -> None:
        for arn in set(self._managed(name)) - keep:
            self._iam.detach_role_policy(RoleName=name, PolicyArn=arn)

    def _policy_names(self, name: str) -> list[str]:
        pages = self._iam.get_paginator("list_role_policies").paginate(RoleName=name)
        return [policy for page in pages for policy in page["PolicyNames"]]

    def _policy(self, name: str, policy: str) -> Document:
        found = self._iam.get_role_policy(RoleName=name, PolicyName=policy)
        return canonical(parse(found["PolicyDocument"]))

    def _managed(self, name: str) -> list[str]:
        pages = self._iam.get_paginator("list_attached_role_policies").paginate(RoleName=name)
        return [policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"]]


def _bounded(specification: RoleSpecification) -> Any:
    """The boundary, as calls take it."""
    boundary = specification.boundary
    return {} if isinstance(boundary, Untold) else {"PermissionsBoundary": boundary}


def tag_list(tags: Mapping[str, str]) -> list[TagTypeDef]:
    """Tags as IAM takes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
