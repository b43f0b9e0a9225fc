"""Accounts whose networks are hardened, and what a doctor can see there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from scaler_batch.local import LocalAWS, LocalSettings
from scaler_batch.local.resources import Wanted, make

pytestmark = pytest.mark.long

PRIVATE = [{"Name": "tag:Name", "Values": ["private"]}]


class Hardened:
    def __init__(self, aws: LocalAWS) -> None:
        self.aws = aws
        self.ec2, self.ecs, self.batch, self.iam = map(aws.client, ("ec2", "ecs", "batch", "iam"))
        self.profile = self.iam.create_instance_profile(InstanceProfileName="p")["InstanceProfile"]["Arn"]

    def group(self, vpc: str) -> str:
        return str(self.ec2.create_security_group(GroupName="ours", Description="ours", VpcId=vpc)["GroupId"])

    def environment(self, name: str, subnets: list[str], groups: list[str], types: tuple[str, ...] = ("m5",)) -> None:
        self.batch.create_compute_environment(
            computeEnvironmentName=name,
            type="MANAGED",
            computeResources={
                "type": "EC2",
                "minvCpus": 0,
                "maxvCpus": 16,
                "instanceTypes": list(types),
                "subnets": subnets,
                "securityGroupIds": groups,
                "instanceRole": self.profile,
            },
        )
        order = [{"order": 1, "computeEnvironment": name}]
        self.batch.create_job_queue(jobQueueName=name, priority=1, computeEnvironmentOrder=order)
        self.batch.register_job_definition(
            jobDefinitionName=name,
            type="container",
            containerProperties={"image": "x", "command": ["true"], "vcpus": 1, "memory": 64},
        )

    def submit(self, name: str) -> str:
        return str(self.batch.submit_job(jobName="job", jobQueue=name, jobDefinition=name)["jobId"])

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(self.batch.describe_jobs(jobs=[job_id])["jobs"][0])

    def instances(self) -> list[dict[str, Any]]:
        found = self.ec2.describe_instances()["Reservations"]
        return [instance for reservation in found for instance in reservation["Instances"]]

    def container_instances(self, name: str) -> list[dict[str, Any]]:
        shown = self.batch.describe_compute_environments(computeEnvironments=[name])["computeEnvironments"][0]
        cluster = shown["ecsClusterArn"]
        arns = self.ecs.list_container_instances(cluster=cluster)["containerInstanceArns"]
        if not arns:
            return []
        found = self.ecs.describe_container_instances(cluster=cluster, containerInstances=arns)
        return list(found["containerInstances"])

    def close(self) -> None:
        for client in (self.ec2, self.ecs, self.batch, self.iam):
            client.close()


@pytest.fixture(params=["hardened", "hardened-default-vpc"])
def hardened(request: pytest.FixtureRequest) -> Iterator[Hardened]:
    with LocalAWS(LocalSettings(account=request.param)) as aws:
        account = Hardened(aws)
        yield account
        account.close()


def test_networks_are_as_organizations_leave_them(hardened: Hardened) -> None:
    vpcs = hardened.ec2.describe_vpcs()["Vpcs"]
    has_default = hardened.aws.settings.account == "hardened-default-vpc"
    assert sorted(vpc["IsDefault"] for vpc in vpcs) == ([False, True] if has_default else [False])
    groups = hardened.ec2.describe_security_groups()["SecurityGroups"]
    assert [(group["IpPermissions"], group["IpPermissionsEgress"]) for group in groups] == [([], [])] * len(vpcs)
    subnets = hardened.ec2.describe_subnets()["Subnets"]
    assert subnets
    assert not any(subnet["MapPublicIpOnLaunch"] for subnet in subnets)


def test_jobs_run_in_private_subnets_with_a_group_that_lets_out_and_the_instance_is_seen(
    hardened: Hardened, until: Callable[..., Any]
) -> None:
    subnets = hardened.ec2.describe_subnets(Filters=PRIVATE)["Subnets"]
    group = hardened.group(subnets[0]["VpcId"])
    hardened.environment("good", [subnet["SubnetId"] for subnet in subnets], [group])
    job_id = hardened.submit("good")
    job = until(lambda: hardened.job(job_id), lambda job: job["status"] == "SUCCEEDED")
    (instance,), (registered,) = hardened.instances(), hardened.container_instances("good")
    assert registered["ec2InstanceId"] == instance["InstanceId"]
    assert registered["agentConnected"] is True
    assert instance["InstanceId"].removeprefix("i-") in job["container"]["containerInstanceArn"]
    assert instance["InstanceType"] == "m5.large"


def test_behind_an_empty_group_an_instance_runs_but_never_registers(
    hardened: Hardened, until: Callable[..., Any]
) -> None:
    subnets = hardened.ec2.describe_subnets(Filters=PRIVATE)["Subnets"]
    filters = [{"Name": "vpc-id", "Values": [subnets[0]["VpcId"]]}]
    (group,) = hardened.ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    hardened.environment("empty", [subnet["SubnetId"] for subnet in subnets], [group["GroupId"]])
    job_id = hardened.submit("empty")
    until(hardened.instances, bool)
    assert hardened.container_instances("empty") == []
    assert hardened.job(job_id)["status"] == "RUNNABLE"


def test_what_up_makes_is_usable_there(hardened: Hardened, until: Callable[..., Any]) -> None:
    make(Wanted(queue="local-queue"), hardened.aws.environment)
    container = {"image": "x", "command": ["true"], "vcpus": 1, "memory": 64}
    hardened.batch.register_job_definition(jobDefinitionName="d", type="container", containerProperties=container)
    job_id = hardened.batch.submit_job(jobName="j", jobQueue="local-queue", jobDefinition="d")["jobId"]
    until(lambda: hardened.job(job_id)["status"], lambda status: status == "SUCCEEDED")


def test_the_default_vpc_of_a_usual_account_leads_to_the_internet(aws: LocalAWS) -> None:
    ec2 = aws.client("ec2", region_name="eu-west-3")
    (vpc,) = ec2.describe_vpcs()["Vpcs"]
    tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["RouteTables"]
    targets = [route.get("GatewayId", "") for table in tables for route in table["Routes"]]
    assert any(target.startswith("igw-") for target in targets)
    ec2.close()


def test_a_zone_without_newer_types_is_told_by_offerings(aws: LocalAWS) -> None:
    ec2 = aws.client("ec2", region_name="us-east-1")
    found = ec2.describe_instance_type_offerings(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["m5.large", "m6i.large"]}]
    )["InstanceTypeOfferings"]
    assert "us-east-1e" not in {each["Location"] for each in found}
    assert "us-east-1a" in {each["Location"] for each in found}
    ec2.close()
