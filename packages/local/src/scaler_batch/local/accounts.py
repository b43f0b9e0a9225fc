"""Kinds of accounts, by the networks that they begin with."""

from __future__ import annotations

from typing import Final, Literal, get_args

Account = Literal["usual", "hardened", "hardened-default-vpc"]

ACCOUNTS: Final = get_args(Account)

PRIVATE_VPC: Final = "workloads"
"""Name of the VPC of hardened accounts in which instances reach ECS, by way of a NAT gateway."""

PRIVATE_SUBNETS: Final = "private"
"""Name of the subnets of that VPC that lead to the gateway."""
