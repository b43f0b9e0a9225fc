from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from scaler_batch.local import LocalAWS


def put_policy(aws: LocalAWS, bucket: str, **statement: Any) -> Any:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=bucket)
    whole = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/*", **statement}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [whole]}))
    return s3


def test_a_bucket_that_denies_insecure_transport_can_be_used(aws: LocalAWS) -> None:
    s3 = put_policy(aws, "secure-only", Condition={"Bool": {"aws:SecureTransport": "false"}})
    s3.put_object(Bucket="secure-only", Key="k", Body=b"v")
    assert s3.get_object(Bucket="secure-only", Key="k")["Body"].read() == b"v"


def test_a_bucket_that_denies_everything_still_does(aws: LocalAWS) -> None:
    s3 = put_policy(aws, "closed")
    with pytest.raises(ClientError, match=r"403|AccessDenied|Forbidden"):
        s3.get_object(Bucket="closed", Key="k")


def test_a_policy_of_aws_can_be_attached(aws: LocalAWS) -> None:
    iam = aws.client("iam")
    iam.create_role(RoleName="role", AssumeRolePolicyDocument="{}")
    arn = "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
    iam.attach_role_policy(RoleName="role", PolicyArn=arn)
    attached = iam.list_attached_role_policies(RoleName="role")["AttachedPolicies"]
    assert [policy["PolicyArn"] for policy in attached] == [arn]


def test_a_policy_that_aws_does_not_have_cannot_be_attached(aws: LocalAWS) -> None:
    iam = aws.client("iam")
    iam.create_role(RoleName="other", AssumeRolePolicyDocument="{}")
    with pytest.raises(ClientError, match="does not exist"):
        iam.attach_role_policy(RoleName="other", PolicyArn="arn:aws:iam::aws:policy/Nothing")
