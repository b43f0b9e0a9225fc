"""Networks of new accounts, and whether instances in them reach ECS.

An account of AWS has a default VPC in each region whose subnets give public addresses and lead to an internet gateway.
Organizations often take that away. The kinds of accounts here are what a provisioner may meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from moto.ec2.models import EC2Backend
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend, Zone

from ..accounts import PRIVATE_SUBNETS, PRIVATE_VPC, Account

ANYWHERE: Final = "0.0.0.0/0"
_PUBLIC, _PRIVATE = ("10.0.0.0/24",), ("10.0.1.0/24", "10.0.2.0/24")


def install(account: Account) -> None:
    """Have the networks of each region be those of such an account."""
    by_moto = EC2Backend.__init__

    def begin(ec2: EC2Backend, region_name: str, account_id: str) -> None:
        _add_zones(region_name)
        by_moto(ec2, region_name, account_id)
        _connect(ec2, ec2.default_vpc.id)
        if account != "usual":
            _harden(ec2)
            _add_private_vpc(ec2)
        if account == "hardened":
            _remove_default(ec2)

    EC2Backend.__init__ = begin  # type: ignore[method-assign,assignment]


def _add_zones(region: str) -> None:
    """Have zones in a region that moto does not know, such as those of the isolated partitions."""
    names = [f"{region}{letter}" for letter in "abc"]
    RegionsAndZonesBackend.zones.setdefault(region, [Zone(name, region, f"{region}-az-{name[-1]}") for name in names])


def connects(ec2: EC2Backend, subnet: str, groups: Sequence[str]) -> bool:
    """Whether an instance in a subnet, with these security groups, reaches ECS: by a way to the internet."""
    return _has_way_out(ec2, subnet) and any(_lets_out(ec2, group) for group in groups)


def _has_way_out(ec2: EC2Backend, subnet_id: str) -> bool:
    subnet = ec2.get_subnet(subnet_id)
    public = str(subnet.map_public_ip_on_launch).lower() == "true"
    routes = [route for route in _routes(ec2, subnet) if route.destination_cidr_block == ANYWHERE]
    return any(route.nat_gateway or (route.gateway and public) for route in routes)


def _routes(ec2: EC2Backend, subnet: Any) -> list[Any]:
    """The routes of a subnet: those of its own table, or else of the VPC's main one."""
    tables = [each for each in ec2.route_tables.values() if each.vpc_id == subnet.vpc_id]
    own = [each for each in tables if subnet.id in each._associations.values()]
    main = [each for each in tables if each.main_association_id]
    return [route for table in own or main for route in table.routes]


def _lets_out(ec2: EC2Backend, group_id: str) -> bool:
    group = ec2.get_security_group_from_id(group_id)
    return bool(group and group.egress_rules)


def _connect(ec2: EC2Backend, vpc_id: str) -> None:
    """Give a VPC an internet gateway, and its main table a route to it."""
    gateway = ec2.create_internet_gateway()
    ec2.attach_internet_gateway(gateway.id, vpc_id)
    ec2.create_route(_main_table(ec2, vpc_id), ANYWHERE, gateway_id=gateway.id)


def _main_table(ec2: EC2Backend, vpc_id: str) -> str:
    tables = ec2.route_tables.values()
    return next(each.id for each in tables if each.vpc_id == vpc_id and each.main_association_id)


def _harden(ec2: EC2Backend) -> None:
    """Take rules from the default group and public addresses from the subnets of the default VPC."""
    _empty_default_group(ec2, ec2.default_vpc.id)
    for subnet in _subnets(ec2, ec2.default_vpc.id):
        subnet.map_public_ip_on_launch = False


def _empty_default_group(ec2: EC2Backend, vpc_id: str) -> None:
    for group in ec2.groups[vpc_id].values():
        group.ingress_rules, group.egress_rules = [], []


def _add_private_vpc(ec2: EC2Backend) -> None:
    """Add a VPC whose subnets lead out by a NAT gateway, and whose default group is empty."""
    vpc = ec2.create_vpc("10.0.0.0/16", tags=[{"Key": "Name", "Value": PRIVATE_VPC}])
    _empty_default_group(ec2, vpc.id)
    _connect(ec2, vpc.id)
    zones = [zone.name for zone in ec2.describe_availability_zones()]
    public = ec2.create_subnet(vpc.id, _PUBLIC[0], availability_zone=zones[0])
    address = ec2.allocate_address("vpc")
    nat = ec2.create_nat_gateway(public.id, str(address.allocation_id))
    table = ec2.create_route_table(vpc.id)
    ec2.create_route(table.id, ANYWHERE, nat_gateway_id=nat.id)
    for block, zone in zip(_PRIVATE, zones, strict=False):
        subnet = ec2.create_subnet(vpc.id, block, availability_zone=zone)
        subnet.add_tags({"Name": PRIVATE_SUBNETS})
        ec2.associate_route_table(table.id, subnet_id=subnet.id)


def _remove_default(ec2: EC2Backend) -> None:
    """Have no default VPC. moto takes ``default_vpc`` where a request names none, so that becomes the private one."""
    default = ec2.default_vpc
    for subnet in _subnets(ec2, default.id):
        ec2.delete_subnet(subnet.id)
    ec2.vpcs.pop(default.id)
    ec2.groups.pop(default.id)
    for table in [each for each in ec2.route_tables.values() if each.vpc_id == default.id]:
        ec2.route_tables.pop(table.id)
    ec2.internet_gateways.pop(next(iter(ec2.internet_gateways)))  # the one that was made first
    ec2.default_vpc = next(iter(ec2.vpcs.values()))


def _subnets(ec2: EC2Backend, vpc_id: str) -> list[Any]:
    return [each for zone in list(ec2.subnets.values()) for each in list(zone.values()) if each.vpc_id == vpc_id]
