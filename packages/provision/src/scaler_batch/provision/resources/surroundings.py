"""What the account brings along: whose it is, and its default network. Looked at, never changed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scaler_batch.aws import service_errors
from scaler_batch.provision.errors import ConflictError
from scaler_batch.provision.naming import Account

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_sts import STSClient

_ARN = re.compile(r"arn:([a-z-]+):")


@dataclass(frozen=True, slots=True)
class Network:
    """Where instances go.

    Attributes:
        subnets: Ids, sorted: one in each zone, so that an instance type short in one may be had in another.
        security_groups: Ids, sorted.
    """

    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]


def find_account(sts: STSClient) -> Account:
    """Ask whose credentials these are. Needs no permission, so it also shows whether they serve at all."""
    with service_errors():
        caller = sts.get_caller_identity()
    match = _ARN.match(caller["Arn"])
    return Account(number=caller["Account"], partition=match[1] if match else "aws")


def find_default_network(ec2: EC2Client) -> Network:
    """Find the default VPC's subnets and security group.

    Raises:
        ConflictError: The region has no default VPC, or one without subnets.
    """
    vpcs = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    if not vpcs:
        raise ConflictError(
            "this region has no default VPC for instances to go into",
            fix="run `aws ec2 create-default-vpc` with the same --region, or pass another --region",
        )
    vpc = vpcs[0].get("VpcId", "")
    network = Network(subnets=_subnets(ec2, vpc), security_groups=_security_groups(ec2, vpc))
    if not network.subnets:
        raise ConflictError(
            f"the default VPC {vpc} has no subnets for instances to go into",
            fix="run `aws ec2 create-default-subnet --availability-zone …` for each zone, or pass another --region",
        )
    return network


def _subnets(ec2: EC2Client, vpc: str) -> tuple[str, ...]:
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "default-for-az", "Values": ["true"]}]
    pages = ec2.get_paginator("describe_subnets").paginate(Filters=filters)  # type: ignore[arg-type]
    return tuple(sorted(subnet.get("SubnetId", "") for page in pages for subnet in page["Subnets"]))


def _security_groups(ec2: EC2Client, vpc: str) -> tuple[str, ...]:
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "group-name", "Values": ["default"]}]
    pages = ec2.get_paginator("describe_security_groups").paginate(Filters=filters)  # type: ignore[arg-type]
    return tuple(sorted(group.get("GroupId", "") for page in pages for group in page["SecurityGroups"]))
