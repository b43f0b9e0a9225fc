"""The network that instances go into: chosen by the user, or found. Looked at, never changed.

::

    --subnets ──────────────────────────────────────────────┐
    --vpc, or the default one ─► its subnets that lead out ─┴─► those whose zones have the instance types
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from scaler_batch.aws import code_of
from scaler_batch.provision.errors import ConflictError
from scaler_batch.provision.instance_types import patterns
from scaler_batch.provision.resources.security_group import id_of
from scaler_batch.provision.ways_out import way_out

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mypy_boto3_ec2 import EC2Client

    from scaler_batch.provision.resources.security_group import SecurityGroupSpecification
    from scaler_batch.provision.settings import Settings
    from scaler_batch.provision.vocabulary import Observed

    Group = Observed[SecurityGroupSpecification]

_CHOOSE_SUBNETS: Final = (
    "pass --subnets with subnets that have a way out: a NAT gateway, public addresses and an internet gateway, or "
    "endpoints of ECS, ECR, S3 and CloudWatch Logs"
)


@dataclass(frozen=True, slots=True)
class Network:
    """Where instances go.

    Attributes:
        subnets: Ids, sorted; in several zones, so that an instance type short in one may be had in another.
        security_groups: Ids, sorted; the name of a group of our own that is still to be made.
        vpc: Id of the VPC that they are in.
    """

    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    vpc: str = ""


def find_network(ec2: EC2Client, settings: Settings, own: Group | None, own_name: str) -> Network:
    """Find the network.

    Args:
        ec2: Reaches the service.
        settings: What the user chose.
        own: The security group of our own, as it was found; taken where the user names none.
        own_name: What it is called, and will be where it is still to be made.

    Raises:
        ConflictError: There is no such network, or instances could not work in it.
    """
    subnets = _chosen(ec2, settings) if settings.subnets else _found(ec2, settings)
    vpc = subnets[0]["VpcId"]
    suitable = _with_types(ec2, subnets, settings)
    groups = _chosen_groups(ec2, settings, vpc) if settings.security_groups else (_own_group(own, own_name, vpc),)
    return Network(tuple(sorted(one["SubnetId"] for one in suitable)), groups, vpc)


def _chosen(ec2: EC2Client, settings: Settings) -> list[Mapping[str, Any]]:
    """The subnets that the user named. Whether they lead out is left to the user, and to ``doctor``."""
    try:
        found: list[Any] = list(ec2.describe_subnets(SubnetIds=settings.subnets)["Subnets"])
    except Exception as error:
        if code_of(error) not in ("InvalidSubnetID.NotFound", "InvalidSubnetId.Malformed"):
            raise
        raise ConflictError(f"not all --subnets are in {settings.region}: {error}", fix="check their ids") from error
    vpcs = sorted({one["VpcId"] for one in found} | ({settings.vpc} if settings.vpc else set()))
    if len(vpcs) > 1:
        fix = "pass --subnets of one VPC, and leave --vpc out"
        raise ConflictError(f"the subnets are in more than one VPC: {', '.join(vpcs)}", fix=fix)
    return found


def _found(ec2: EC2Client, settings: Settings) -> list[Mapping[str, Any]]:
    """The subnets of the VPC that lead out."""
    vpc = settings.vpc or _default_vpc(ec2)
    filters = [{"Name": "vpc-id", "Values": [vpc]}]
    if not settings.vpc:
        filters.append({"Name": "default-for-az", "Values": ["true"]})
    subnets = _all(ec2, "describe_subnets", "Subnets", filters)
    if not subnets:
        raise ConflictError(f"VPC {vpc} has no subnets for instances to go into", fix=_CHOOSE_SUBNETS)
    tables = _all(ec2, "describe_route_tables", "RouteTables", filters[:1])
    endpoints = _all(ec2, "describe_vpc_endpoints", "VpcEndpoints", filters[:1])
    ways = [(subnet, way_out(subnet, tables, endpoints)) for subnet in subnets]
    if not any(way.leads_out for _, way in ways):
        listed = "; ".join(str(way) for _, way in ways)
        message = f"instances in VPC {vpc} could not reach AWS, so no job would ever start: {listed}"
        raise ConflictError(message, fix=_CHOOSE_SUBNETS)
    return [subnet for subnet, way in ways if way.leads_out]


def _default_vpc(ec2: EC2Client) -> str:
    vpcs = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    if not vpcs:
        raise ConflictError(
            "this region has no default VPC for instances to go into",
            fix="pass --vpc, or --subnets and perhaps --security-groups; or pass another --region, or make a default "
            "VPC with `aws ec2 create-default-vpc`",
        )
    return vpcs[0].get("VpcId", "")


def _with_types(ec2: EC2Client, subnets: Sequence[Mapping[str, Any]], settings: Settings) -> list[Mapping[str, Any]]:
    """The subnets in zones that have some of the instance types; all, where EC2 tells nothing of the types."""
    zones = _zones_with(ec2, patterns(settings.instance_types))
    suitable = [one for one in subnets if one["AvailabilityZone"] in zones or not zones]
    if not suitable:
        there = ", ".join(sorted({one["AvailabilityZone"] for one in subnets}))
        raise ConflictError(
            f"the subnets' zones ({there}) have no instances of the types {', '.join(settings.instance_types)}; "
            f"{', '.join(sorted(zones))} have",
            fix="pass --subnets in those zones, or other --instance-types",
        )
    return suitable


def _zones_with(ec2: EC2Client, types: Sequence[str]) -> set[str]:
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": types}]
    )
    return {one.get("Location", "") for page in pages for one in page["InstanceTypeOfferings"]}


def _own_group(own: Group | None, name: str, vpc: str) -> str:
    if own is None:
        return name
    if own.specification.vpc != vpc:
        raise ConflictError(
            f"security group {name} is in VPC {own.specification.vpc} for good, and the subnets are in {vpc}",
            fix="pass --security-groups of that VPC, or another --prefix, or clean up first",
        )
    return id_of(own)


def _chosen_groups(ec2: EC2Client, settings: Settings, vpc: str) -> tuple[str, ...]:
    try:
        found = ec2.describe_security_groups(GroupIds=settings.security_groups)["SecurityGroups"]
    except Exception as error:
        if code_of(error) not in ("InvalidGroup.NotFound", "InvalidGroupId.Malformed"):
            raise
        message = f"not all --security-groups are in {settings.region}: {error}"
        raise ConflictError(message, fix="check their ids") from error
    elsewhere = [one.get("GroupId", "") for one in found if one.get("VpcId") != vpc]
    if elsewhere:
        message = f"security groups of another VPC than the subnets' ({vpc}): {', '.join(elsewhere)}"
        raise ConflictError(message, fix="pass --security-groups of the subnets' VPC, or none: then one is made")
    return tuple(sorted(settings.security_groups))


def _all(ec2: EC2Client, operation: Any, key: str, filters: Any) -> list[Mapping[str, Any]]:
    return [one for page in ec2.get_paginator(operation).paginate(Filters=filters) for one in page[key]]
