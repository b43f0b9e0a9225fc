"""Where instances go: in accounts as AWS makes them, and in those that an organization has hardened."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from scaler_batch.provision import ConflictError, Kind, Patience, Settings, Target, cleanup, plan_provision, provision
from scaler_batch.provision.checks import network
from scaler_batch.provision.finding import Verdict
from scaler_batch.provision.naming import Account, Names
from scaler_batch.provision.resources.security_group import SecurityGroupHandler
from scaler_batch.provision.waiting import Waiter
from scaler_batch.provision.ways_out import NEEDED_SERVICES, WayOut, way_out

if TYPE_CHECKING:
    import boto3

pytestmark = pytest.mark.long

SUBNET = {"SubnetId": "subnet-1", "VpcId": "vpc-1", "MapPublicIpOnLaunch": False}
BLOCK = IPv4Network((10 << 24, 16))
"""Private addresses."""

NAMES = Names(Target(), Account("123456789012", "aws"))
PUBLIC = {**SUBNET, "MapPublicIpOnLaunch": True}
TYPES = ("m6i.large",)
"""Offered in all zones of us-east-1 but us-east-1e."""


@pytest.fixture
def ec2(aws: boto3.Session) -> Any:
    return aws.client("ec2", region_name="us-east-1")


def environment_of(aws: boto3.Session) -> dict[str, Any]:
    batch = aws.client("batch", region_name="us-east-1")
    (environment,) = batch.describe_compute_environments()["computeEnvironments"]
    return environment["computeResources"]  # type: ignore[no-any-return]


def zones_of(ec2: Any, subnets: list[str]) -> set[str]:
    return {one["AvailabilityZone"][-1] for one in ec2.describe_subnets(SubnetIds=subnets)["Subnets"]}


def table(target: dict[str, str], **association: Any) -> dict[str, Any]:
    routes = [{"DestinationCidrBlock": str(BLOCK), "GatewayId": "local"}, target]
    return {"VpcId": "vpc-1", "Routes": routes, "Associations": [association or {"Main": True}]}


INTERNET = {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1", "State": "active"}
NAT = {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1", "State": "active"}
ALL_ENDPOINTS = [{"ServiceName": f"com.amazonaws.us-east-1.{one}", "State": "available"} for one in NEEDED_SERVICES]


@pytest.mark.parametrize(
    ("subnet", "tables", "endpoints", "leads_out", "words"),
    [
        (PUBLIC, [table(INTERNET)], [], True, "public addresses"),
        (SUBNET, [table(INTERNET)], [], False, "no public addresses"),
        (SUBNET, [table(NAT)], [], True, "nat-1"),
        (SUBNET, [table({**NAT, "State": "blackhole"})], [], False, "no route"),
        (SUBNET, [table({"DestinationIpv6CidrBlock": "::/0", "TransitGatewayId": "tgw-1"})], [], True, "tgw-1"),
        (SUBNET, [table({"DestinationCidrBlock": "0.0.0.0/0", "VpcPeeringConnectionId": "x"})], [], True, "another"),
        (PUBLIC, [table(INTERNET), table(NAT, SubnetId="subnet-1")], [], True, "nat-1"),
        (SUBNET, [table(NAT), table(INTERNET, SubnetId="subnet-1")], [], False, "no public addresses"),
        (SUBNET, [{**table(NAT), "VpcId": "vpc-2"}], [], False, "no route"),
        (SUBNET, [], ALL_ENDPOINTS, True, "endpoints of all"),
        (SUBNET, [], ALL_ENDPOINTS[1:], False, "missing for ecr.api"),
        (SUBNET, [], [{**ALL_ENDPOINTS[0], "State": "failed"}, *ALL_ENDPOINTS[1:]], False, "missing for ecr.api"),
        (SUBNET, [], [], False, "no route"),
    ],
)
def test_a_subnet_leads_out_by_gateway_other_routes_or_endpoints(
    subnet: Any, tables: Any, endpoints: Any, leads_out: bool, words: str
) -> None:
    way = way_out(subnet, tables, endpoints)
    assert (way.leads_out, words in way.words) == (leads_out, True), way


def test_a_group_of_our_own_lets_everything_out_and_nothing_in_and_goes_with_the_rest(
    aws: boto3.Session, ec2: Any, settings: Settings
) -> None:
    made = provision(settings, aws)
    (group,) = environment_of(aws)["securityGroupIds"]
    assert made.resources[Kind.SECURITY_GROUP].arn.endswith(f"security-group/{group}")
    (found,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert found["GroupName"] == "scaler-batch-instances"
    assert (found["IpPermissions"], len(found["IpPermissionsEgress"])) == ([], 1)
    assert {"Key": "scaler-batch:prefix", "Value": "scaler-batch"} in found["Tags"]
    assert cleanup(Target(), aws).complete
    assert [one["GroupName"] for one in ec2.describe_security_groups()["SecurityGroups"]] == ["default"]


def test_a_group_that_somebody_opened_or_closed_by_hand_is_changed_back(
    aws: boto3.Session, ec2: Any, settings: Settings
) -> None:
    provision(settings, aws)
    (group,) = environment_of(aws)["securityGroupIds"]
    anybody = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=anybody)
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=everything)
    assert provision(settings, aws).changed == (Kind.SECURITY_GROUP,)
    (found,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert (found["IpPermissions"], len(found["IpPermissionsEgress"])) == ([], 1)
    assert provision(settings, aws).changed == ()


def test_an_environment_of_an_older_release_gets_the_group_of_our_own(
    aws: boto3.Session, ec2: Any, settings: Settings
) -> None:
    (default,) = [one["GroupId"] for one in ec2.describe_security_groups()["SecurityGroups"]]
    provision(replace(settings, security_groups=(default,)), aws)
    assert environment_of(aws)["securityGroupIds"] == [default]
    assert provision(settings, aws).changed == (Kind.SECURITY_GROUP, Kind.COMPUTE_ENVIRONMENT)
    assert environment_of(aws)["securityGroupIds"] != [default]
    assert provision(settings, aws).changed == ()


def test_a_group_of_that_name_that_is_not_ours_is_a_conflict(aws: boto3.Session, ec2: Any, settings: Settings) -> None:
    ec2.create_security_group(GroupName="scaler-batch-instances", Description="mine")
    with pytest.raises(ConflictError, match="security group scaler-batch-instances"):
        provision(settings, aws)


def test_subnets_in_zones_without_the_instance_types_are_left_out(
    aws: boto3.Session, ec2: Any, settings: Settings
) -> None:
    provision(replace(settings, instance_types=TYPES), aws)
    assert zones_of(ec2, environment_of(aws)["subnets"]) == set("abcdf")


def test_families_are_looked_for_as_well_as_types(aws: boto3.Session, ec2: Any, settings: Settings) -> None:
    provision(replace(settings, instance_types=("m6i",)), aws)
    assert zones_of(ec2, environment_of(aws)["subnets"]) == set("abcdf")


def test_subnets_of_whose_zones_none_has_the_types_are_refused_with_the_zones_that_have(
    aws: boto3.Session, ec2: Any, settings: Settings, calls: Any
) -> None:
    (subnet,) = [one["SubnetId"] for one in subnets_of(ec2) if one["AvailabilityZone"] == "us-east-1e"]
    with pytest.raises(ConflictError, match=r"\(us-east-1e\) have no instances of the types m6i.large; us-east-1a"):
        provision(replace(settings, instance_types=TYPES, subnets=(subnet,)), aws)
    assert calls.made == []


def subnets_of(ec2: Any) -> list[Any]:
    return list(ec2.describe_subnets()["Subnets"])


def test_in_a_hardened_account_the_error_names_the_options(
    aws: boto3.Session, ec2: Any, settings: Settings, calls: Any
) -> None:
    for subnet in subnets_of(ec2):
        ec2.modify_subnet_attribute(SubnetId=subnet["SubnetId"], MapPublicIpOnLaunch={"Value": False})
    calls.made.clear()
    with pytest.raises(ConflictError, match=r"could not reach AWS.*no public addresses") as error:
        plan_provision(settings, aws)
    assert "--subnets" in error.value.fix
    for subnet in subnets_of(ec2):
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    for vpc in ec2.describe_vpcs()["Vpcs"]:
        ec2.delete_vpc(VpcId=vpc["VpcId"])
    with pytest.raises(ConflictError, match="no default VPC") as error:
        plan_provision(settings, aws)
    assert all(option in error.value.fix for option in ("--vpc", "--subnets", "--security-groups"))
    assert not [call for call in calls.made if call.startswith("Create")]


class Workloads:
    """A VPC with a public subnet that gives no addresses, and two private ones behind a NAT gateway."""

    def __init__(self, ec2: Any) -> None:
        self.vpc = ec2.create_vpc(CidrBlock=str(BLOCK))["Vpc"]["VpcId"]
        gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=self.vpc)
        self.public, *self.private = [
            ec2.create_subnet(VpcId=self.vpc, CidrBlock=str(block), AvailabilityZone=f"us-east-1{zone}")["Subnet"][
                "SubnetId"
            ]
            for block, zone in zip(BLOCK.subnets(new_prefix=24), "aab", strict=False)
        ]
        (main,) = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [self.vpc]}])["RouteTables"]
        anywhere = {"DestinationCidrBlock": "0.0.0.0/0"}
        ec2.create_route(RouteTableId=main["RouteTableId"], GatewayId=gateway, **anywhere)
        address = ec2.allocate_address(Domain="vpc")["AllocationId"]
        nat = ec2.create_nat_gateway(SubnetId=self.public, AllocationId=address)["NatGateway"]["NatGatewayId"]
        private = ec2.create_route_table(VpcId=self.vpc)["RouteTable"]["RouteTableId"]
        ec2.create_route(RouteTableId=private, NatGatewayId=nat, **anywhere)
        for subnet in self.private:
            ec2.associate_route_table(RouteTableId=private, SubnetId=subnet)


def test_of_a_vpc_the_subnets_that_lead_out_are_taken(aws: boto3.Session, ec2: Any, settings: Settings) -> None:
    there = Workloads(ec2)
    provision(replace(settings, vpc=there.vpc), aws)
    resources = environment_of(aws)
    assert sorted(resources["subnets"]) == sorted(there.private)
    (group,) = ec2.describe_security_groups(GroupIds=resources["securityGroupIds"])["SecurityGroups"]
    assert group["VpcId"] == there.vpc
    assert provision(replace(settings, vpc=there.vpc), aws).changed == ()
    with pytest.raises(ConflictError, match="for good"):
        provision(settings, aws)
    assert cleanup(Target(), aws).complete


def test_subnets_and_groups_that_are_named_are_taken_as_they_are(
    aws: boto3.Session, ec2: Any, settings: Settings
) -> None:
    there = Workloads(ec2)
    (group,) = [one["GroupId"] for one in ec2.describe_security_groups()["SecurityGroups"] if one["VpcId"] == there.vpc]
    named = replace(settings, subnets=(there.public,), security_groups=(group,), vpc=there.vpc)
    made = provision(named, aws)
    assert Kind.SECURITY_GROUP not in made.resources
    assert (environment_of(aws)["subnets"], environment_of(aws)["securityGroupIds"]) == ([there.public], [group])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"subnets": ("subnet-00000000",)}, "not all --subnets are in us-east-1"),
        ({"security_groups": ("sg-00000000",)}, "not all --security-groups are in us-east-1"),
    ],
)
def test_what_is_named_and_not_there_is_said(
    changes: dict[str, Any], words: str, aws: boto3.Session, settings: Settings
) -> None:
    with pytest.raises(ConflictError, match=words):
        plan_provision(replace(settings, **changes), aws)


def test_what_belongs_to_different_vpcs_is_refused(aws: boto3.Session, ec2: Any, settings: Settings) -> None:
    there, default = Workloads(ec2), subnets_of(ec2)[0]["SubnetId"]
    with pytest.raises(ConflictError, match="more than one VPC"):
        plan_provision(replace(settings, subnets=(default, there.public)), aws)
    with pytest.raises(ConflictError, match="more than one VPC"):
        plan_provision(replace(settings, subnets=(default,), vpc=there.vpc), aws)
    groups = {one["VpcId"]: one["GroupId"] for one in ec2.describe_security_groups()["SecurityGroups"]}
    with pytest.raises(ConflictError, match="another VPC than the subnets'"):
        plan_provision(replace(settings, subnets=(default,), security_groups=(groups[there.vpc],)), aws)


def test_a_group_is_removed_once_the_last_instance_has_let_go_of_it(
    aws: boto3.Session, ec2: Any, settings: Settings
) -> None:
    provision(settings, aws)
    busy, waits = Busy(aws, "DeleteSecurityGroup", "DependencyViolation", times=3), []  # type: ignore[var-annotated]
    waiter = Waiter(patience=Patience(propagation=0), sleep=waits.append)
    handler = SecurityGroupHandler(aws.client("ec2", region_name="us-east-1"), waiter, NAMES, None)
    observed = handler.observe("scaler-batch-instances")
    assert observed
    handler.remove(observed)
    assert (busy.left, len(waits), handler.observe("scaler-batch-instances")) == (0, 3, None)


class Busy:
    """AWS, when it refuses a call some times."""

    def __init__(self, session: boto3.Session, operation: str, code: str, times: int) -> None:
        self.left = times
        self._operation, self._code = operation, code
        session.events.register("before-call", self._before_call)

    def _before_call(self, model: Any, **_: Any) -> None:
        if model.name == self._operation and self.left:
            self.left -= 1
            raise ClientError({"Error": {"Code": self._code, "Message": "in use"}}, model.name)


GOOD, BAD = WayOut("subnet-1", True, "leads out by nat-1"), WayOut("subnet-2", False, "has no route to the internet")


@pytest.mark.parametrize(
    ("ways", "closed", "verdict", "words"),
    [
        ([GOOD], [], Verdict.OK, "nat-1"),
        ([GOOD, BAD], [], Verdict.WARNING, "subnet-2"),
        ([BAD], [], Verdict.PROBLEM, "no job starts"),
        ([GOOD], ["sg-1"], Verdict.PROBLEM, "sg-1"),
    ],
)
def test_the_doctor_tells_of_networks_without_a_way_out(
    ways: list[WayOut], closed: list[str], verdict: Verdict, words: str
) -> None:
    finding = network.judge(ways, closed)
    assert (finding.verdict, words in finding.message) == (verdict, True), finding
