"""The security group of instances, where the user names none: it lets everything out and nothing in.

That is all that jobs need: instances ask for their work, and nobody ever speaks to them. The default group of a VPC
will not do, as organizations often take its rules away. EC2 gives a new group exactly this one rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from scaler_batch.aws import unless_missing
from scaler_batch.provision.resources.clients import once_accepted
from scaler_batch.provision.resources.handler import Handler
from scaler_batch.provision.vocabulary import Observed, Specification, Wanted
from scaler_batch.provision.ways_out import lets_out

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import SecurityGroupTypeDef

    from scaler_batch.provision.naming import Names
    from scaler_batch.provision.vocabulary import Owner
    from scaler_batch.provision.waiting import Waiter

_MISSING: Final = ("InvalidGroup.NotFound", "InvalidGroupId.NotFound")
_ID: Final = "sg-"
"""Begins the ids of groups, and no name."""

_EVERYTHING: Final[Any] = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]


@dataclass(frozen=True, slots=True)
class SecurityGroupSpecification(Specification):
    """A security group.

    Attributes:
        vpc: Id of its VPC.
        lets_out: Whether it lets anything out.
        lets_in: Whether it lets anything in.
    """

    vpc: str
    lets_out: bool = True
    lets_in: bool = False


class SecurityGroupHandler(Handler[SecurityGroupSpecification]):
    """Looks after the security group.

    Args:
        ec2: Reaches the service.
        waiter: Bounds waits.
        names: Make ARNs of ids.
        owner: Whose tags ours bears: names are unique within a VPC only. ``None`` where anybody's will do.
    """

    def __init__(self, ec2: EC2Client, waiter: Waiter, names: Names, owner: Owner | None) -> None:
        self._ec2 = ec2
        self._waiter = waiter
        self._names = names
        self._owner = owner

    def observe(self, name: str) -> Observed[SecurityGroupSpecification] | None:
        """Look at the group; of several in different VPCs, at ours, or at least at one for our prefix."""
        found = [self._observed(group) for group in self._groups(name)]
        return max(found, key=lambda one: (self._is_ours(one), one.bears(self._names.target.prefix)), default=None)

    def create(self, wanted: Wanted[SecurityGroupSpecification]) -> str:
        """Make it; its ARN carries its id."""
        made: Any = self._ec2.create_security_group(
            GroupName=wanted.name,
            Description="Instances of AWS Batch: everything out, nothing in",
            VpcId=wanted.specification.vpc,
            TagSpecifications=[{"ResourceType": "security-group", "Tags": _tag_list(wanted.tags)}],
        )
        return self._arn(made["GroupId"])

    def change(self, wanted: Wanted[SecurityGroupSpecification], fields: Collection[str]) -> None:
        """Open it to the outside, and close it from there."""
        (group,) = [one for one in self._groups(wanted.name) if self._is_ours(self._observed(one))]
        if "lets_out" in fields:
            self._ec2.authorize_security_group_egress(GroupId=group["GroupId"], IpPermissions=_EVERYTHING)
        if "lets_in" in fields:
            permissions: Any = group.get("IpPermissions", [])
            self._ec2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=permissions)

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Tag it; EC2 calls it by its id, the last part of its ARN."""
        self._ec2.create_tags(Resources=[arn.rpartition("/")[2]], Tags=_tag_list(tags))

    def remove(self, observed: Observed[SecurityGroupSpecification]) -> None:
        """Remove it, once the last instance has let go of it."""
        once_accepted(
            self._waiter,
            f"security group {observed.name} to be free",
            lambda: unless_missing(lambda: self._ec2.delete_security_group(GroupId=id_of(observed)), *_MISSING),
            "DependencyViolation",
            seconds=self._waiter.patience.gone,
        )

    def ids_of(self, groups: Sequence[str]) -> list[str]:
        """Exchange the name of our group, which has been made meanwhile, for its id."""
        return [self._id(one) if not one.startswith(_ID) else one for one in groups]

    def _observed(self, group: SecurityGroupTypeDef) -> Observed[SecurityGroupSpecification]:
        specification = SecurityGroupSpecification(
            vpc=group.get("VpcId", ""), lets_out=lets_out(group), lets_in=bool(group.get("IpPermissions"))
        )
        tags = {tag.get("Key", ""): tag.get("Value", "") for tag in group.get("Tags", [])}
        return Observed(group.get("GroupName", ""), self._arn(group.get("GroupId", "")), specification, tags)

    def _is_ours(self, observed: Observed[SecurityGroupSpecification]) -> bool:
        return self._owner is not None and self._owner.owns(observed.tags)

    def _arn(self, group: str) -> str:
        return self._names.regional("ec2", f"security-group/{group}")

    def _id(self, name: str) -> str:
        observed = self.observe(name)
        return id_of(observed) if observed else name

    def _groups(self, name: str) -> list[SecurityGroupTypeDef]:
        pages = self._ec2.get_paginator("describe_security_groups").paginate(
            Filters=[{"Name": "group-name", "Values": [name]}]
        )
        return [group for page in pages for group in page["SecurityGroups"]]


def id_of(observed: Observed[SecurityGroupSpecification]) -> str:
    """The id of a group that is there."""
    return observed.arn.rpartition("/")[2]


def _tag_list(tags: Mapping[str, str]) -> list[Any]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
