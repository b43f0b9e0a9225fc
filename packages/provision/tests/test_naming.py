"""What things are called."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scaler_batch.provision import Kind, SettingsError, Target
from scaler_batch.provision.naming import Account, Names

RULES = {
    Kind.REPOSITORY: r"[a-z0-9]+(-[a-z0-9]+)*",
    Kind.LOG_GROUP: r"[A-Za-z0-9_/.#-]{1,512}",
    Kind.BUCKET: r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]",
    Kind.PAYLOAD_KEY: r"(/[a-zA-Z0-9_.-]+)+",
    Kind.JOB_ROLE: r"[\w+=,.@-]{1,64}",
    Kind.EXECUTION_ROLE: r"[\w+=,.@-]{1,64}",
    Kind.INSTANCE_ROLE: r"[\w+=,.@-]{1,64}",
    Kind.INSTANCE_PROFILE: r"[\w+=,.@-]{1,128}",
    Kind.LAUNCH_TEMPLATE: r"[A-Za-z0-9().\-/_]{3,128}",
    Kind.SECURITY_GROUP: r"(?!sg-)[\w .:/()#,@\[\]+=&;{}!$*-]{1,255}",
    Kind.JOB_DEFINITION: r"[A-Za-z0-9_-]{1,128}",
    Kind.SPOT_ENVIRONMENT: r"[A-Za-z0-9][A-Za-z0-9_-]{1,126}[A-Za-z0-9]",
    Kind.COMPUTE_ENVIRONMENT: r"[A-Za-z0-9][A-Za-z0-9_-]{1,126}[A-Za-z0-9]",
    Kind.SCHEDULING_POLICY: r"[A-Za-z0-9_-]{1,128}",
    Kind.JOB_QUEUE: r"[A-Za-z0-9_-]{1,128}",
}
"""What each service takes."""


@given(
    st.from_regex(r"[a-z][a-z0-9-]{0,45}", fullmatch=True),
    st.sampled_from(["us-east-1", "ap-southeast-4", "us-gov-west-1", "cn-northwest-1"]),
)
def test_every_target_that_is_taken_has_names_that_aws_takes(prefix: str, region: str) -> None:
    try:
        target = Target(prefix=prefix, region=region)
    except SettingsError:
        assume(False)
    names = Names(target, Account("123456789012", "aws"))
    for kind in Kind:
        assert re.fullmatch(RULES[kind], names.of(kind), re.ASCII), kind


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_arns_follow_from_names(partition: str) -> None:
    names = Names(Target(), Account("123456789012", partition))
    assert names.arn(Kind.BUCKET) == f"arn:{partition}:s3:::scaler-batch-123456789012-us-east-1"
    assert names.arn(Kind.JOB_ROLE) == f"arn:{partition}:iam::123456789012:role/scaler-batch-us-east-1-job"
    assert names.arn(Kind.JOB_QUEUE).startswith(f"arn:{partition}:batch:us-east-1:123456789012:job-queue/")
    assert {names.arn(kind).split(":")[1] for kind in Kind} == {partition}


def test_roles_of_two_regions_do_not_meet() -> None:
    account = Account("123456789012", "aws")
    here, there = (Names(Target(region=region), account) for region in ("us-east-1", "eu-west-1"))
    for kind in (Kind.JOB_ROLE, Kind.EXECUTION_ROLE, Kind.INSTANCE_ROLE, Kind.INSTANCE_PROFILE, Kind.BUCKET):
        assert here.of(kind) != there.of(kind)


@pytest.mark.parametrize(
    ("partition", "region", "host"),
    [
        ("aws", "us-east-1", "123456789012.dkr.ecr.us-east-1.amazonaws.com"),
        ("aws-us-gov", "us-gov-west-1", "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com"),
        ("aws-cn", "cn-north-1", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"),
        ("aws-eusc", "eusc-de-east-1", "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu"),
    ],
)
def test_an_image_lies_in_the_registry_of_its_partition(partition: str, region: str, host: str) -> None:
    names = Names(Target(region=region), Account("123456789012", partition))
    assert names.image("1") == f"{host}/scaler-batch-runner:1"
