"""The instance profile: how an EC2 instance comes by its role."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaler_batch.aws import unless_missing
from scaler_batch.provision.resources.clients import once_accepted
from scaler_batch.provision.resources.handler import Handler
from scaler_batch.provision.resources.role import MISSING, PASSING, tag_list
from scaler_batch.provision.vocabulary import Observed, Specification, Wanted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mypy_boto3_iam import IAMClient

    from scaler_batch.provision.waiting import Waiter


@dataclass(frozen=True, slots=True)
class InstanceProfileSpecification(Specification):
    """An instance profile.

    Attributes:
        role: Name of the role that it hands to instances; ``None`` where it holds none.
    """

    role: str | None


class InstanceProfileHandler(Handler[InstanceProfileSpecification]):
    """Looks after the instance profile."""

    def __init__(self, iam: IAMClient, waiter: Waiter) -> None:
        self._iam = iam
        self._waiter = waiter

    def observe(self, name: str) -> Observed[InstanceProfileSpecification] | None:
        """Look at the profile and at the one role that it can hold."""
        found = unless_missing(lambda: self._iam.get_instance_profile(InstanceProfileName=name), MISSING)
        if found is None:
            return None
        profile = found["InstanceProfile"]
        role = next((role["RoleName"] for role in profile["Roles"]), None)
        tags = {tag["Key"]: tag["Value"] for tag in profile.get("Tags", [])}
        return Observed(name, profile["Arn"], InstanceProfileSpecification(role), tags)

    def create(self, wanted: Wanted[InstanceProfileSpecification]) -> None:
        """Make it, and put the role in."""
        self._iam.create_instance_profile(
            InstanceProfileName=wanted.name,
            Tags=tag_list(wanted.tags),
        )
        self._put(wanted.name, wanted.specification.role)

    def change(self, wanted: Wanted[InstanceProfileSpecification], fields: Collection[str]) -> None:
        """Exchange the role."""
        if "role" in fields:
            self._take_out(wanted.name)
            self._put(wanted.name, wanted.specification.role)

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Tag it; IAM calls it by its name, the last part of its ARN."""
        self._iam.tag_instance_profile(InstanceProfileName=arn.rpartition("/")[2], Tags=tag_list(tags))

    def remove(self, observed: Observed[InstanceProfileSpecification]) -> None:
        """Take the role out, and remove the profile."""
        name = observed.name
        self._take_out(name)
        unless_missing(lambda: self._iam.delete_instance_profile(InstanceProfileName=name), MISSING)

    def _put(self, name: str, role: str | None) -> None:
        if role is not None:
            once_accepted(
                self._waiter,
                f"instance profile {name}",
                lambda: self._iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role),
                *PASSING,
            )

    def _take_out(self, name: str) -> None:
        observed = self.observe(name)
        role = observed.specification.role if observed else None
        if role is not None:
            self._iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=role)
