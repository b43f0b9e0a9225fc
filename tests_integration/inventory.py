"""What there is in an account: every resource of every service in use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
