"""What there is in an account: all of it, or all that bears the names of one prefix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from scaler_batch.aws import PREFIX_TAG
from scaler_batch.provision.naming import Names
from scaler_batch.provision.vocabulary import Kind

Client = Callable[[str], Any]


def everything(client: Client) -> dict[str, list[str]]:
    """Every resource of every service in use. The role that AWS Batch makes for itself belongs to the account."""
    batch, iam, ec2 = client("batch"), client("iam"), client("ec2")
    roles = [one for one in iam.list_roles()["Roles"] if not one["Path"].startswith("/aws-service-role/")]
    lists: dict[str, tuple[list[Any], str]] = {
        "repositories": (client("ecr").describe_repositories()["repositories"], "repositoryArn"),
        "buckets": (client("s3").list_buckets()["Buckets"], "Name"),
        "log groups": (client("logs").describe_log_groups()["logGroups"], "logGroupName"),
        "roles": (roles, "RoleName"),
        "policies": (iam.list_policies(Scope="Local")["Policies"], "Arn"),
        "instance profiles": (iam.list_instance_profiles()["InstanceProfiles"], "InstanceProfileName"),
        "definitions": (batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"], "jobDefinitionArn"),
        "environments": (batch.describe_compute_environments()["computeEnvironments"], "computeEnvironmentArn"),
        "queues": (batch.describe_job_queues()["jobQueues"], "jobQueueArn"),
        "vpcs": (ec2.describe_vpcs()["Vpcs"], "VpcId"),
        "subnets": (ec2.describe_subnets()["Subnets"], "SubnetId"),
        "security groups": (ec2.describe_security_groups()["SecurityGroups"], "GroupId"),
        "launch templates": (ec2.describe_launch_templates()["LaunchTemplates"], "LaunchTemplateName"),
        "scheduling policies": (batch.list_scheduling_policies()["schedulingPolicies"], "arn"),
        "instances": (ec2.describe_instances()["Reservations"], "ReservationId"),
    }
    return {kind: sorted(one[key] for one in found) for kind, (found, key) in lists.items()}


def keys(s3: Any, bucket: str) -> list[str]:
    """The keys of all objects in a bucket."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [one["Key"] for page in pages for one in page.get("Contents", ())]


def of_prefix(client: Client, names: Names) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Whatever bears a name that begins with the prefix, by kind; and what could not be looked at, and why.

    AWS's own lists are asked, page by page, and not the code that is to be judged by them.
    """
    found: dict[str, list[str]] = {}
    unseen: dict[str, str] = {}
    for kind, look in _looks(client, names).items():
        try:
            found[kind] = sorted(look())
        except (ClientError, BotoCoreError) as error:
            found[kind], unseen[kind] = [], str(error)
    return found, unseen


def _looks(client: Client, names: Names) -> Mapping[str, Callable[[], list[str]]]:
    batch, iam, ec2, s3 = client("batch"), client("iam"), client("ec2"), client("s3")
    prefix = f"{names.target.prefix}-"
    regional = f"{prefix}{names.target.region}-"

    def listed(
        service: Any, operation: str, key: str, name: str, begins: str = prefix, **arguments: Any
    ) -> Callable[[], list[str]]:
        def look() -> list[str]:
            pages = service.get_paginator(operation).paginate(**arguments)
            return [one[name] for page in pages for one in page[key] if one[name].startswith(begins)]

        return look

    tagged = [{"Name": f"tag:{PREFIX_TAG}", "Values": [names.target.prefix]}]
    return {
        "job queues": listed(batch, "describe_job_queues", "jobQueues", "jobQueueName"),
        "compute environments": listed(
            batch, "describe_compute_environments", "computeEnvironments", "computeEnvironmentName"
        ),
        "job definitions": listed(
            batch, "describe_job_definitions", "jobDefinitions", "jobDefinitionName", status="ACTIVE"
        ),
        "scheduling policies": listed(
            batch, "list_scheduling_policies", "schedulingPolicies", "arn", names.arn(Kind.SCHEDULING_POLICY)
        ),
        "buckets, with leases and data of tasks": lambda: [
            one["Name"] for one in s3.list_buckets()["Buckets"] if one["Name"] == names.of(Kind.BUCKET)
        ],
        "roles": listed(iam, "list_roles", "Roles", "RoleName", regional),
        "instance profiles": listed(iam, "list_instance_profiles", "InstanceProfiles", "InstanceProfileName", regional),
        "log groups": listed(
            client("logs"), "describe_log_groups", "logGroups", "logGroupName", names.of(Kind.LOG_GROUP)
        ),
        "repositories": listed(client("ecr"), "describe_repositories", "repositories", "repositoryName"),
        "launch templates": listed(ec2, "describe_launch_templates", "LaunchTemplates", "LaunchTemplateName"),
        "security groups": listed(ec2, "describe_security_groups", "SecurityGroups", "GroupName"),
        "clusters": lambda: _clusters(client("ecs"), prefix),
        "instances": lambda: [
            one["InstanceId"]
            for page in ec2.get_paginator("describe_instances").paginate(Filters=tagged)
            for reservation in page["Reservations"]
            for one in reservation["Instances"]
            if one["State"]["Name"] not in ("shutting-down", "terminated")
        ],
    }


def _clusters(ecs: Any, prefix: str) -> list[str]:
    """Names of the clusters that AWS Batch makes for compute environments, whose names they contain."""
    arns = [arn for page in ecs.get_paginator("list_clusters").paginate() for arn in page["clusterArns"]]
    ours = [arn for arn in arns if any(f"{prefix}{kind}" in arn for kind in ("compute", "spot"))]
    found = ecs.describe_clusters(clusters=ours)["clusters"] if ours else []
    return [one["clusterName"] for one in found if one["status"] == "ACTIVE"]
