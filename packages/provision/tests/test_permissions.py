"""What IAM documents allow: by our own evaluator, and where moto judges too, by moto's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from moto.core.authorization import ActionAuthenticatorMixin

from scaler_batch.provision import Kind, Settings, policies, provision
from scaler_batch.provision.checks.roles import ECS_TASKS
from scaler_batch.provision.permissions import Request, allowed, trusts

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3

FLAGS = ("true", "false")
BUCKET = "arn:aws:s3:::bucket"
JOB = policies.run_tasks(BUCKET, "scaler-tasks")


def listing(prefix: str | None) -> Request:
    return Request("s3:ListBucket", BUCKET, {} if prefix is None else {"s3:prefix": prefix})


@pytest.mark.parametrize(
    "request_",
    [
        Request("s3:GetObject", f"{BUCKET}/scaler-tasks/run/packs/0"),
        Request("s3:GetObject", f"{BUCKET}/scaler-tasks/run/objects/0"),
        Request("s3:GetObject", f"{BUCKET}/scaler-tasks/run/letters/1/0"),
        Request("s3:GetObject", f"{BUCKET}/scaler-tasks/run/outcomes/1/0"),
        Request("s3:PutObject", f"{BUCKET}/scaler-tasks/run/outcomes/1/0"),
        listing("scaler-tasks/run/outcomes/1/"),
    ],
    ids=lambda one: f"{one} {one.context}",
)
def test_a_job_may_do_its_work(request_: Request) -> None:
    assert allowed([JOB], request_)


@pytest.mark.parametrize(
    "request_",
    [
        Request("s3:GetObject", f"{BUCKET}/other/secret"),
        Request("s3:GetObject", f"{BUCKET}/scaler-tasks-of-others/run/packs/0"),
        Request("s3:GetObject", "arn:aws:s3:::another/scaler-tasks/run/packs/0"),
        Request("s3:PutObject", f"{BUCKET}/other/x"),
        Request("s3:DeleteObject", f"{BUCKET}/scaler-tasks/run/packs/0"),
        Request("s3:DeleteObject", f"{BUCKET}/scaler-tasks/run/outcomes/1/0"),
        *(Request("s3:PutObject", f"{BUCKET}/scaler-tasks/run/{each}/0") for each in ("packs", "objects", "letters")),
        *(
            Request(action, f"{BUCKET}/scaler-tasks/leases/{worker}/run")
            for action in ("s3:GetObject", "s3:PutObject")
            for worker in ("worker", "outcomes", "packs", "x/outcomes")
        ),
        Request("s3:GetBucketPolicy", BUCKET),
        Request("iam:PassRole", "*"),
        Request("batch:SubmitJob", "*"),
        listing(None),
        listing(""),
        listing("other/"),
        listing("scaler-tasks"),
        listing("scaler-tasks/"),
        listing("scaler-tasks/run/"),
        listing("scaler-tasks/run/packs/"),
        listing("scaler-tasks/leases/worker/"),
    ],
    ids=lambda one: f"{one} {one.context}",
)
def test_a_job_may_do_nothing_else(request_: Request) -> None:
    assert not allowed([JOB], request_)


def test_by_motos_own_judgement_the_role_that_is_made_reads_its_prefix_and_no_other(
    aws: boto3.Session, settings: Settings
) -> None:
    made = provision(settings, aws)
    s3, sts = aws.client("s3", region_name="us-east-1"), aws.client("sts", region_name="us-east-1")
    mine, others = "scaler-tasks/run/packs/0", "other/secret"
    for key in (mine, others):
        s3.put_object(Bucket=made.bucket, Key=key, Body=b"x")
    granted = sts.assume_role(RoleArn=made.resources[Kind.JOB_ROLE].arn, RoleSessionName="job")["Credentials"]
    runner = aws.client(
        "s3",
        region_name="us-east-1",
        aws_access_key_id=granted["AccessKeyId"],
        aws_secret_access_key=granted["SecretAccessKey"],
        aws_session_token=granted["SessionToken"],
    )
    calls = {
        "get mine": lambda: runner.get_object(Bucket=made.bucket, Key=mine),
        "put mine": lambda: runner.put_object(Bucket=made.bucket, Key="scaler-tasks/run/outcomes/0", Body=b"y"),
        "list": lambda: runner.list_objects_v2(Bucket=made.bucket, Prefix="scaler-tasks/run/"),
        "get others": lambda: runner.get_object(Bucket=made.bucket, Key=others),
        "put others": lambda: runner.put_object(Bucket=made.bucket, Key=others, Body=b"y"),
        "remove mine": lambda: runner.delete_object(Bucket=made.bucket, Key=mine),
    }
    enforced = ActionAuthenticatorMixin.set_initial_no_auth_action_count(0)
    denied = enforced(lambda: {name for name, call in calls.items() if is_denied(call)})()
    assert denied == {"get others", "put others", "remove mine"}


def is_denied(call: Callable[[], object]) -> bool:
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"] == "AccessDenied"
    return False


def test_a_denial_goes_over_every_permission() -> None:
    deny = {"Statement": {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}}
    request = Request("s3:GetObject", f"{BUCKET}/scaler-tasks/run/packs/0")
    assert allowed([JOB], request)
    assert not allowed([JOB, deny], request)


def test_the_bucket_refuses_what_does_not_come_over_tls() -> None:
    documents = [JOB, policies.encrypted_transport_only(BUCKET)]
    over = {
        flag: Request("s3:GetObject", f"{BUCKET}/scaler-tasks/run/packs/0", {"aws:SecureTransport": flag})
        for flag in FLAGS
    }
    assert (allowed(documents, over["true"]), allowed(documents, over["false"])) == (True, False)


@pytest.mark.parametrize(
    ("condition", "context", "holds"),
    [
        ({"StringEquals": {"k": ["a", "b"]}}, {"k": "b"}, True),
        ({"StringEquals": {"k": "a"}}, {}, False),
        ({"StringEqualsIfExists": {"k": "a"}}, {}, True),
        ({"StringNotEquals": {"k": ["a", "b"]}}, {"k": "b"}, False),
        ({"StringNotLike": {"k": "a*"}}, {}, True),
        ({"StringLike": {"k": "a?c"}}, {"k": "abc"}, True),
        ({"StringEqualsIgnoreCase": {"k": "A"}}, {"k": "a"}, True),
        ({"StringEquals": {"k": "a"}, "Bool": {"b": "true"}}, {"k": "a", "b": "false"}, False),
    ],
)
def test_conditions_hold_as_iam_says(condition: dict[str, Any], context: dict[str, str], holds: bool) -> None:
    statement = {"Effect": "Allow", "Action": "a:b", "Resource": "*", "Condition": condition}
    assert allowed([{"Statement": [statement]}], Request("a:b", "r", context)) is holds


@pytest.mark.parametrize("effect", ["Allow", "Deny"])
def test_a_condition_that_is_not_understood_never_lets_through(effect: str) -> None:
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    odd = {"Effect": effect, "Action": "*", "Resource": "*", "Condition": {"DateGreaterThan": {"k": "2030"}}}
    statements = [odd] if effect == "Allow" else [everything, odd]
    assert not allowed([{"Statement": statements}], Request("a:b", "r", {"k": "x"}))


def test_all_but_what_is_named() -> None:
    document = {"Statement": {"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:x"}}
    assert allowed([document], Request("s3:GetObject", "arn:y"))
    assert not allowed([document], Request("IAM:PassRole", "arn:y"))
    assert not allowed([document], Request("s3:GetObject", "arn:x"))


def test_trust_is_for_the_named_service_only() -> None:
    assert trusts(policies.trust(ECS_TASKS), ECS_TASKS)
    ours = policies.trust(ECS_TASKS, "123456789012")
    assert trusts(ours, ECS_TASKS, "123456789012")
    assert not trusts(ours, ECS_TASKS, "210987654321")
    assert not trusts(ours, ECS_TASKS)
    assert not trusts(policies.trust("lambda.amazonaws.com"), ECS_TASKS)
    assert not trusts({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}}, ECS_TASKS)
