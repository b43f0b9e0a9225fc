"""Whether instances in a subnet reach AWS: without it they never join their cluster, and bill all the same. Pure.

Three ways lead out: an internet gateway, for instances that have public addresses; another default route, such as one
to a NAT gateway; endpoints of the services that an instance and its jobs need. Source: AWS Batch user guide, "VPC
considerations"; Amazon ECS developer guide, "Amazon ECS interface VPC endpoints".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NEEDED_SERVICES: Final = ("ecr.api", "ecr.dkr", "ecs", "ecs-agent", "ecs-telemetry", "logs", "s3")
"""What instances and jobs call where nothing leads to the internet, by the last part of the endpoints' names."""

_EVERYWHERE: Final = ("0.0.0.0/0", "::/0")
_INTERNET_GATEWAY: Final = "igw-"


@dataclass(frozen=True, slots=True)
class WayOut:
    """How a subnet leads out, or why it does not.

    Attributes:
        subnet: Its id.
        leads_out: Whether instances in it reach AWS.
        words: By which way, or what is missing.
    """

    subnet: str
    leads_out: bool
    words: str

    def __str__(self) -> str:
        """As it is shown."""
        return f"{self.subnet} {self.words}"


def way_out(
    subnet: Mapping[str, Any], tables: Sequence[Mapping[str, Any]], endpoints: Sequence[Mapping[str, Any]] = ()
) -> WayOut:
    """Judge a subnet, as EC2 describes it.

    Args:
        subnet: The subnet.
        tables: Route tables, at least those of its VPC.
        endpoints: Endpoints of its VPC.
    """
    name = subnet["SubnetId"]
    targets = [_target(route) for route in _default_routes(_table_of(subnet, tables))]
    others = [target for target in targets if not target.startswith(_INTERNET_GATEWAY)]
    if others:
        return WayOut(name, True, f"leads out by {others[0]}")
    if targets and subnet.get("MapPublicIpOnLaunch"):
        return WayOut(name, True, f"leads out by {targets[0]}, with public addresses")
    missing = _missing_services(endpoints)
    if not missing:
        return WayOut(name, True, "has endpoints of all services")
    why = (
        "leads to an internet gateway, but gives instances no public addresses"
        if targets
        else "has no route to the internet"
    )
    partly = f"; endpoints are missing for {', '.join(missing)}" if endpoints else ""
    return WayOut(name, False, why + partly)


def lets_out(group: Mapping[str, Any]) -> bool:
    """Whether a security group lets anything out."""
    return bool(group.get("IpPermissionsEgress"))


def _table_of(subnet: Mapping[str, Any], tables: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The route table of a subnet: one of its own, else the main one of its VPC."""
    own_vpc = [table for table in tables if table.get("VpcId") == subnet["VpcId"]]
    associated = [(table, one) for table in own_vpc for one in table.get("Associations", ())]
    own = [table for table, one in associated if one.get("SubnetId") == subnet["SubnetId"]]
    main = [table for table, one in associated if one.get("Main")]
    return next(iter(own or main), {})


def _default_routes(table: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [
        route
        for route in table.get("Routes", ())
        if (route.get("DestinationCidrBlock") or route.get("DestinationIpv6CidrBlock")) in _EVERYWHERE
        and route.get("State") != "blackhole"
    ]


def _target(route: Mapping[str, Any]) -> str:
    """Where a route leads: the id of a gateway, network interface, or whatever EC2 will name next."""
    known = ("NatGatewayId", "TransitGatewayId", "GatewayId", "NetworkInterfaceId", "InstanceId")
    return next((str(route[key]) for key in known if route.get(key)), "another route")


def _missing_services(endpoints: Sequence[Mapping[str, Any]]) -> list[str]:
    """The needed services without an endpoint; names end with that of the service, after the region's."""
    present = [str(one.get("ServiceName", "")) for one in endpoints if one.get("State", "available") == "available"]
    return [service for service in NEEDED_SERVICES if not any(name.endswith(f".{service}") for name in present)]
