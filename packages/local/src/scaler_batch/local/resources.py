"""What ``up`` makes unless told not to: a bucket, a queue with its compute environment, a definition of the runner's.

Made through the same API that everybody uses, so they are as real as any. Whoever wants roles, networks, images and a
plan takes the provisioner instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import boto3

from scaler_batch.payload.contract import RUNNER_COMMAND

from .accounts import PRIVATE_SUBNETS

VCPUS: Final = "1"
MEMORY_MIB: Final = "2048"
FLEET_VCPUS: Final = 256
"""More than any one machine has: the slots decide how many jobs run."""

IMAGE: Final = "scaler-batch-runner"
"""The image that `nox -s image` builds, for jobs as containers; without an engine nobody looks at it."""

_DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True)
class Wanted:
    """Names of what is to be there; None for what is not.

    Attributes:
        bucket: An S3 bucket.
        queue: A Batch job queue. Its compute environment has the same name.
        definition: A Batch job definition whose command is that of scaler-batch's runner.
    """

    bucket: str | None = None
    queue: str | None = None
    definition: str | None = None

    def variables(self, region: str) -> dict[str, str]:
        """What tells scaler-batch's adapter of them, and of the region that they are in; nothing if there are none."""
        named = {
            "SCALER_S3_BUCKET": self.bucket,
            "SCALER_JOB_QUEUE": self.queue,
            "SCALER_JOB_DEFINITION": self.definition,
        }
        there = {name: value for name, value in named.items() if value is not None}
        return {"SCALER_AWS_REGION": region, **there} if there else {}

    def over(self, others: Wanted) -> Wanted:
        """These, and the others where nothing is wanted here."""
        return Wanted(*(getattr(self, each.name) or getattr(others, each.name) for each in fields(self)))


USUAL: Final = Wanted(bucket="local-bucket", queue="local-queue", definition="local-runner")
"""Other names than the provisioner's, so that both may be used on one local AWS."""


def make(wanted: Wanted, environment: Mapping[str, str]) -> None:
    """Make what is wanted.

    Args:
        wanted: What is to be made.
        environment: The variables that lead to the local AWS.

    Raises:
        botocore.exceptions.ClientError: A name is not one that AWS would take.
    """
    if wanted.bucket is not None:
        _make_bucket(_client("s3", environment), wanted.bucket, environment["AWS_REGION"])
    if wanted.queue is not None:
        _make_queue(environment, wanted.queue)
    if wanted.definition is not None:
        _make_definition(_client("batch", environment), wanted.definition)


def _client(service: str, environment: Mapping[str, str]) -> Any:
    return boto3.session.Session(
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_REGION"],
    ).client(service, endpoint_url=environment["AWS_ENDPOINT_URL"])


def _make_bucket(s3: Any, name: str, region: str) -> None:
    place = {} if region == _DEFAULT_REGION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    s3.create_bucket(Bucket=name, **place)


def _make_queue(environment: Mapping[str, str], name: str) -> None:
    batch, ec2, iam = (_client(service, environment) for service in ("batch", "ec2", "iam"))
    profile = iam.create_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Arn"]
    subnets = _subnets(ec2)
    batch.create_compute_environment(
        computeEnvironmentName=name,
        type="MANAGED",
        computeResources={
            "type": "EC2",
            "minvCpus": 0,
            "maxvCpus": FLEET_VCPUS,
            "instanceTypes": ["default_x86_64"],
            "subnets": [each["SubnetId"] for each in subnets],
            "securityGroupIds": [_make_group(ec2, name, subnets[0]["VpcId"])],
            "instanceRole": profile,
        },
    )
    order = [{"order": 1, "computeEnvironment": name}]
    batch.create_job_queue(jobQueueName=name, priority=1, computeEnvironmentOrder=order)


def _subnets(ec2: Any) -> list[Any]:
    """The subnets that lead out of a hardened account, or else all."""
    named = [{"Name": "tag:Name", "Values": [PRIVATE_SUBNETS]}]
    return list(ec2.describe_subnets(Filters=named)["Subnets"] or ec2.describe_subnets()["Subnets"])


def _make_group(ec2: Any, name: str, vpc: str) -> str:
    """A security group that lets everything out, because the default one may not."""
    return str(ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"])


def _make_definition(batch: Any, name: str) -> None:
    batch.register_job_definition(
        jobDefinitionName=name,
        type="container",
        containerProperties={
            "image": IMAGE,
            "command": list(RUNNER_COMMAND),
            "resourceRequirements": [{"type": "VCPU", "value": VCPUS}, {"type": "MEMORY", "value": MEMORY_MIB}],
        },
    )
