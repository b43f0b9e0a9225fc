"""Whether instances reach AWS from the subnets that they go into, and through their security groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from scaler_batch.provision.finding import Finding, ok, problem, skipped, warning
from scaler_batch.provision.ways_out import WayOut, lets_out, way_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaler_batch.provision.checks.scene import Found, Scene

SUBJECT: Final = "network"
_FIX: Final = (
    "give provision --subnets with a way out (a NAT gateway, public addresses and an internet gateway, or endpoints of "
    "ECS, ECR, S3 and CloudWatch Logs)"
)


def check(found: Found, scene: Scene) -> list[Finding]:
    """Look at subnets and security groups of all compute environments."""
    ec2 = scene.clients.ec2
    subnets = sorted({one for compute in found.compute for one in compute.get("subnets", ())})
    groups = sorted({one for compute in found.compute for one in compute.get("securityGroupIds", ())})
    if not subnets:
        return [skipped(SUBJECT, "there is no compute environment with subnets")]
    described: list[Any] = list(ec2.describe_subnets(SubnetIds=subnets)["Subnets"])
    filters: Any = [{"Name": "vpc-id", "Values": sorted({one["VpcId"] for one in described})}]
    tables: list[Any] = list(ec2.describe_route_tables(Filters=filters)["RouteTables"])
    endpoints: list[Any] = list(ec2.describe_vpc_endpoints(Filters=filters)["VpcEndpoints"])
    ways = [way_out(one, tables, endpoints) for one in described]
    return [judge(ways, _closed(scene, groups))]


def judge(ways: Sequence[WayOut], closed: Sequence[str]) -> Finding:
    """Say whether instances reach AWS.

    Args:
        ways: How each subnet leads out.
        closed: The security groups, where none of them lets anything out.
    """
    dead = [way for way in ways if not way.leads_out]
    listed = "; ".join(map(str, dead))
    if closed:
        message = f"nothing gets out through {', '.join(closed)}: instances cannot join, and no job starts"
        return problem(SUBJECT, message, "give provision other --security-groups, or none: then one is made")
    if len(dead) == len(ways):
        return problem(SUBJECT, f"instances cannot reach AWS, and no job starts: {listed}", _FIX)
    if dead:
        return warning(SUBJECT, f"instances in some subnets cannot reach AWS: {listed}", _FIX)
    return ok(SUBJECT, "; ".join(map(str, ways)))


def _closed(scene: Scene, groups: Sequence[str]) -> Sequence[str]:
    """The groups, if none of them lets anything out. Without any, a launch template brings them."""
    if not groups:
        return ()
    found: list[Any] = list(scene.clients.ec2.describe_security_groups(GroupIds=groups)["SecurityGroups"])
    return () if any(map(lets_out, found)) else groups
