"""IAM, enforced on request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from scaler_batch.local import LocalAWS, LocalSettings
from scaler_batch.local.permissions.policies import Decision, Principal, Requirement, decide, evaluate

pytestmark = pytest.mark.long

ACCOUNT = "123456789012"
QUEUE = f"arn:aws:batch:us-east-1:{ACCOUNT}:job-queue/queue"
LOGS = f"arn:aws:logs:us-east-1:{ACCOUNT}"
DEFINITION = f"arn:aws:batch:us-east-1:{ACCOUNT}:job-definition/work"


def policy(*statements: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions: str, resource: Any = "*", effect: str = "Allow", **condition: Any) -> dict[str, Any]:
    statement = {"Effect": effect, "Action": list(actions), "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


@pytest.mark.parametrize(
    ("statements", "decision"),
    [
        ([], Decision.NOT_ALLOWED),
        ([allow("s3:GetObject")], Decision.ALLOWED),
        ([allow("s3:get*")], Decision.ALLOWED),
        ([allow("s3:PutObject")], Decision.NOT_ALLOWED),
        ([allow("*", resource="arn:aws:s3:::b/runs/*")], Decision.ALLOWED),
        ([allow("*", resource="arn:aws:s3:::b/other/*")], Decision.NOT_ALLOWED),
        ([allow("*"), allow("s3:*", effect="Deny")], Decision.DENIED),
        ([{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}], Decision.ALLOWED),
        ([{"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::b/*"}], Decision.NOT_ALLOWED),
        ([allow("*", StringLike={"s3:prefix": "runs/*"})], Decision.ALLOWED),
        ([allow("*", StringLike={"s3:prefix": "other/*"})], Decision.NOT_ALLOWED),
        ([allow("*", StringNotLike={"s3:prefix": ["other/*"]})], Decision.ALLOWED),
        ([allow("*", StringEquals={"s3:missing": "x"})], Decision.NOT_ALLOWED),
        ([allow("*", StringEqualsIfExists={"s3:missing": "x"})], Decision.ALLOWED),
        ([allow("*", Null={"s3:missing": "true"})], Decision.ALLOWED),
        ([allow("*", Null={"s3:prefix": "true"})], Decision.NOT_ALLOWED),
        ([allow("*", NumericLessThan={"s3:max-keys": "10"})], Decision.ALLOWED),
        ([allow("*", Bogus={"s3:prefix": "runs/1"})], Decision.NOT_ALLOWED),
    ],
)
def test_statements_are_evaluated_as_aws_does(statements: list[Any], decision: Decision) -> None:
    context = (("s3:prefix", "runs/1"), ("s3:max-keys", "9"))
    wanted = Requirement("s3:GetObject", ("arn:aws:s3:::b/runs/1",), context)
    assert evaluate([policy(*statements)], wanted) is decision


def test_a_boundary_has_to_allow_too() -> None:
    principal = Principal("arn:x", [policy(allow("*"))], policy(allow("s3:*")))
    assert decide(principal, Requirement("s3:GetObject")) is Decision.ALLOWED
    assert decide(principal, Requirement("iam:CreateRole")) is Decision.NOT_ALLOWED


class Guarded:
    """An account in which permissions count, its owner, and users with policies."""

    def __init__(self, aws: LocalAWS, account: Any) -> None:
        self.aws, self.account = aws, account
        self.iam, self.s3 = aws.client("iam"), aws.client("s3")
        self._clients: list[Any] = [self.iam, self.s3]

    def user(self, name: str, *statements: Any) -> Callable[[str], Any]:
        """Clients of a user that has exactly this policy."""
        self.iam.create_user(UserName=name)
        if statements:
            self.iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(*statements))
        key = self.iam.create_access_key(UserName=name)["AccessKey"]

        def client(service: str) -> Any:
            session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name="us-east-1")
            self._clients.append(session.client(service, endpoint_url=self.aws.endpoint_url))
            return self._clients[-1]

        return client

    def role(self, name: str, *statements: Any) -> str:
        trust = policy(
            {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}
        )
        arn = str(self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"])
        self.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy(*statements))
        return arn

    def close(self) -> None:
        for client in self._clients:
            client.close()


@pytest.fixture(scope="module")
def server() -> Iterator[LocalAWS]:
    with LocalAWS(LocalSettings(enforce_iam=True, stop_grace=0.5)) as aws:
        yield aws


@pytest.fixture
def guarded(server: LocalAWS, open_account: Callable[[LocalAWS], Any]) -> Iterator[Guarded]:
    server.reset()
    guarded = Guarded(server, open_account(server))
    guarded.s3.create_bucket(Bucket="bucket")
    guarded.s3.put_object(Bucket="bucket", Key="runs/1", Body=b"x")
    yield guarded
    guarded.close()


def test_the_owner_may_do_everything(guarded: Guarded) -> None:
    assert guarded.s3.get_object(Bucket="bucket", Key="runs/1")["Body"].read() == b"x"


DENIED = "AccessDeniedException"
REFUSALS = [
    ("s3", "get_object", {"Bucket": "b", "Key": "runs/1"}, "AccessDenied", "arn:aws:s3:::b/runs/1"),
    ("s3", "list_objects_v2", {"Bucket": "b"}, "AccessDenied", "arn:aws:s3:::b"),
    ("batch", "submit_job", {"jobName": "j", "jobQueue": "queue", "jobDefinition": "work"}, DENIED, QUEUE),
    ("batch", "describe_jobs", {"jobs": ["x"]}, DENIED, "*"),
    ("iam", "get_role", {"RoleName": "r"}, "AccessDenied", f"arn:aws:iam::{ACCOUNT}:role/r"),
    ("ec2", "describe_vpcs", {}, "UnauthorizedOperation", "*"),
    ("logs", "get_log_events", {"logGroupName": "g", "logStreamName": "s"}, DENIED, f"{LOGS}:log-group:g:log-stream:s"),
    ("ssm", "get_parameter", {"Name": "/a/b"}, DENIED, f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/a/b"),
    ("ecr", "describe_images", {"repositoryName": "rr"}, DENIED, f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/rr"),
]


@pytest.mark.parametrize(("service", "operation", "request_", "code", "resource"), REFUSALS)
def test_a_user_without_policy_is_told_who_may_not_do_what_on_which_resource(
    guarded: Guarded, service: str, operation: str, request_: dict[str, Any], code: str, resource: str
) -> None:
    with pytest.raises(ClientError) as refused:
        getattr(guarded.user("ann")(service), operation)(**request_)
    error = refused.value.response["Error"]
    assert error["Code"] == code
    assert error["Message"].startswith(
        f"User: arn:aws:iam::{ACCOUNT}:user/ann is not authorized to perform: {service}:"
    )
    assert f" on resource: {resource} because no identity-based policy allows" in error["Message"]


def test_secrets_are_read_in_the_execution_role_and_only_what_it_may_read(guarded: Guarded) -> None:
    iam, ssm = guarded.aws.client("iam"), guarded.aws.client("ssm")
    parameters = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter"
    for name in ("/mine/key", "/others/key"):
        ssm.put_parameter(Name=name, Value=f"value of {name}", Type="SecureString")
    role = iam.create_role(RoleName="execution", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    reading = policy(allow("ssm:GetParameters", resource=f"{parameters}/mine/key"))
    iam.put_role_policy(RoleName="execution", PolicyName="read", PolicyDocument=reading)

    def run(name: str, **container: Any) -> dict[str, Any]:
        secrets = [{"name": "KEY", "valueFrom": f"{parameters}{name}"}]
        definition = guarded.account.define("sh", "-c", "echo $KEY", container={"secrets": secrets, **container})
        return dict(guarded.account.run(definition=definition))

    assert guarded.account.lines(run("/mine/key", executionRoleArn=role)) == ["value of /mine/key"]
    for refused, why in (
        (
            run("/others/key", executionRoleArn=role),
            "execution/ecs-task is not authorized to perform: ssm:GetParameters",
        ),
        (run("/mine/key"), "no execution role"),
        (run("/mine/key", jobRoleArn=role), "no execution role"),
    ):
        assert (refused["status"], refused["statusReason"]) == ("FAILED", "Task failed to start")
        assert why in refused["container"]["reason"]
        assert "value of" not in str(refused)


def test_to_make_a_parameter_with_tags_takes_two_permissions(guarded: Guarded) -> None:
    mine = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/mine"
    request = {"Name": "/mine", "Value": "x", "Type": "SecureString", "Tags": [{"Key": "a", "Value": "b"}]}
    half = guarded.user("putter", allow("ssm:PutParameter", resource=mine))("ssm")
    with pytest.raises(ClientError, match=f"ssm:AddTagsToResource on resource: {mine}"):
        half.put_parameter(**request)
    whole = guarded.user("tagger", allow("ssm:*", resource=mine))("ssm")
    whole.put_parameter(**request)
    assert whole.list_tags_for_resource(ResourceType="Parameter", ResourceId="/mine")["TagList"] == request["Tags"]
    with pytest.raises(ClientError, match="parameter/others"):
        whole.list_tags_for_resource(ResourceType="Parameter", ResourceId="/others")


def test_everybody_may_ask_who_they_are(guarded: Guarded) -> None:
    assert guarded.user("bob")("sts").get_caller_identity()["Account"] == ACCOUNT


def test_a_key_that_does_not_exist_is_refused_as_such(guarded: Guarded) -> None:
    session = boto3.Session("AKIANOBODY", "x", region_name="us-east-1")
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        session.client("batch", endpoint_url=guarded.aws.endpoint_url).describe_jobs(jobs=["x"])


def test_submitting_needs_the_queue_and_the_definition(guarded: Guarded) -> None:
    guarded.account.batch.register_job_definition(
        jobDefinitionName="work",
        type="container",
        containerProperties={"image": "x", "command": ["true"], "vcpus": 1, "memory": 64},
    )
    request = {"jobName": "j", "jobQueue": "queue", "jobDefinition": "work"}
    half = guarded.user("half", allow("batch:SubmitJob", resource=QUEUE))("batch")
    with pytest.raises(ClientError, match=f"batch:SubmitJob on resource: {DEFINITION}"):
        half.submit_job(**request)
    whole = guarded.user("whole", allow("batch:SubmitJob", resource=[QUEUE, DEFINITION]))("batch")
    job_id = whole.submit_job(**request)["jobId"]
    with pytest.raises(
        ClientError, match=f"batch:TerminateJob on resource: arn:aws:batch:us-east-1:{ACCOUNT}:job/{job_id}"
    ):
        whole.terminate_jobs(jobs=[job_id], reason="x")
    with pytest.raises(ClientError, match="batch:TagResource"):
        whole.submit_job(**request, tags={"run": "1"})


def test_a_listing_condition_on_the_prefix_refuses_head_bucket(guarded: Guarded) -> None:
    condition = {"StringLike": {"s3:prefix": "runs/*"}}
    s3 = guarded.user("lister", allow("s3:ListBucket", resource="arn:aws:s3:::bucket", **condition))("s3")
    assert s3.list_objects_v2(Bucket="bucket", Prefix="runs/")["KeyCount"] == 1
    for refused in (lambda: s3.head_bucket(Bucket="bucket"), lambda: s3.list_objects_v2(Bucket="bucket")):
        with pytest.raises(ClientError, match=r"403|AccessDenied"):
            refused()


def test_an_absent_object_is_forbidden_to_who_may_not_list(guarded: Guarded) -> None:
    reader = allow("s3:GetObject", resource="arn:aws:s3:::bucket/*")
    with pytest.raises(ClientError, match=r"\(AccessDenied\).*s3:ListBucket"):
        guarded.user("reader", reader)("s3").get_object(Bucket="bucket", Key="runs/2")
    both = guarded.user("both", reader, allow("s3:ListBucket"))("s3")
    with pytest.raises(ClientError, match="NoSuchKey"):
        both.get_object(Bucket="bucket", Key="runs/2")


def test_renewing_an_object_needs_reading_and_writing_it_and_no_more(guarded: Guarded) -> None:
    copy = {"Bucket": "bucket", "Key": "runs/1", "CopySource": "bucket/runs/1", "MetadataDirective": "REPLACE"}
    for action, missing in (("s3:GetObject", "PutObject"), ("s3:PutObject", "GetObject")):
        half = guarded.user(missing.lower(), allow(action, resource="arn:aws:s3:::bucket/runs/*"))("s3")
        with pytest.raises(ClientError, match=f"s3:{missing} on resource: arn:aws:s3:::bucket/runs/1"):
            half.copy_object(**copy)
    both = allow("s3:GetObject", "s3:PutObject", resource="arn:aws:s3:::bucket/runs/*")
    guarded.user("renewer", both)("s3").copy_object(**copy)


def test_deleting_many_objects_needs_each_of_them(guarded: Guarded) -> None:
    s3 = guarded.user("deleter", allow("s3:DeleteObject", resource="arn:aws:s3:::bucket/runs/*"))("s3")
    s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "runs/1"}]})
    with pytest.raises(ClientError, match="bucket/other"):
        s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "runs/1"}, {"Key": "other"}]})


def test_deleting_a_version_is_another_permission(guarded: Guarded) -> None:
    s3 = guarded.user("v", allow("s3:DeleteObject", resource="arn:aws:s3:::bucket/*"))("s3")
    with pytest.raises(ClientError, match="s3:DeleteObjectVersion on resource: arn:aws:s3:::bucket/runs/1"):
        s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "runs/1", "VersionId": "null"}]})


TRUST = policy(allow("sts:AssumeRole"))
TAGS = [{"Key": "a", "Value": "b"}]
TAGGED_FROM_THE_START = [
    ("s3", "create_bucket", {"Bucket": "new", "CreateBucketConfiguration": {"Tags": TAGS}}, "s3:TagResource"),
    ("iam", "create_role", {"RoleName": "r", "AssumeRolePolicyDocument": TRUST, "Tags": TAGS}, "iam:TagRole"),
    ("iam", "create_instance_profile", {"InstanceProfileName": "p", "Tags": TAGS}, "iam:TagInstanceProfile"),
    ("logs", "create_log_group", {"logGroupName": "g", "tags": {"a": "b"}}, "logs:TagResource"),
    ("ecr", "create_repository", {"repositoryName": "rr", "tags": TAGS}, "ecr:TagResource"),
]


@pytest.mark.parametrize(("service", "operation", "request_", "action"), TAGGED_FROM_THE_START)
def test_who_makes_something_with_tags_needs_the_permission_to_tag_it(
    guarded: Guarded, service: str, operation: str, request_: dict[str, Any], action: str
) -> None:
    words = "".join(part.title() for part in operation.split("_"))
    with pytest.raises(ClientError, match=f"not authorized to perform: {action} on resource"):
        getattr(guarded.user("one", allow(f"{service}:{words}"))(service), operation)(**request_)
    getattr(guarded.user("both", allow(f"{service}:{words}", action))(service), operation)(**request_)


TAGGING = [
    ("logs", "list_tags_for_resource", {}, f"{LOGS}:log-group:g"),
    ("logs", "tag_resource", {"tags": {"a": "b"}}, f"{LOGS}:log-group:g"),
    ("ecr", "list_tags_for_resource", {}, f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/rr"),
]


@pytest.mark.parametrize(("service", "operation", "request_", "arn"), TAGGING)
def test_tags_are_asked_for_by_the_arn_of_what_has_them(
    guarded: Guarded, service: str, operation: str, request_: dict[str, Any], arn: str
) -> None:
    words = "".join(part.title() for part in operation.split("_"))
    client = guarded.user("other", allow(f"{service}:{words}", resource=f"{arn}-of-others"))(service)
    with pytest.raises(ClientError, match=f"{service}:{words} on resource: {arn}"):
        getattr(client, operation)(resourceArn=arn, **request_)


def test_what_ec2_is_to_change_is_known_by_its_tags(guarded: Guarded) -> None:
    ec2 = guarded.aws.client("ec2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    ours, theirs = (
        ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"] for name in ("ours", "theirs")
    )
    ec2.create_tags(Resources=[ours], Tags=[{"Key": "prefix", "Value": "mine"}])
    groups = f"arn:aws:ec2:us-east-1:{ACCOUNT}:security-group/*"
    only_ours = {"StringEquals": {"aws:ResourceTag/prefix": "mine"}}
    statement = allow("ec2:DeleteSecurityGroup", "ec2:CreateTags", resource=groups, **only_ours)
    user = guarded.user("owner", statement)("ec2")
    with pytest.raises(ClientError, match=f"ec2:DeleteSecurityGroup on resource: .*:security-group/{theirs}"):
        user.delete_security_group(GroupId=theirs)
    with pytest.raises(ClientError, match=f"ec2:CreateTags on resource: .*:security-group/{theirs}"):
        user.create_tags(Resources=[ours, theirs], Tags=[{"Key": "prefix", "Value": "mine"}])
    user.create_tags(Resources=[ours], Tags=[{"Key": "more", "Value": "x"}])
    user.delete_security_group(GroupId=ours)
    ec2.close()


def test_the_first_compute_environment_makes_the_role_of_aws_batch(guarded: Guarded) -> None:
    for role in guarded.iam.list_roles(PathPrefix="/aws-service-role/")["Roles"]:
        guarded.iam.delete_role(RoleName=role["RoleName"])
    user = guarded.user("first", allow("batch:CreateComputeEnvironment"))("batch")
    with pytest.raises(ClientError, match=r"iam:CreateServiceLinkedRole on resource: .*/AWSServiceRoleForBatch"):
        user.create_compute_environment(computeEnvironmentName="first", type="UNMANAGED")


def test_roles_are_passed_with_permission_and_to_the_service_that_is_meant(guarded: Guarded) -> None:
    role = guarded.role("job", allow("*"))
    request = {
        "jobDefinitionName": "passing",
        "type": "container",
        "containerProperties": {"image": "x", "jobRoleArn": role, "vcpus": 1, "memory": 64},
    }
    register = allow("batch:RegisterJobDefinition")
    with pytest.raises(ClientError, match=f"iam:PassRole on resource: {role}"):
        guarded.user("one", register)("batch").register_job_definition(**request)
    for name, service in (("two", "ec2.amazonaws.com"), ("three", "ecs-tasks.amazonaws.com")):
        passing = allow("iam:PassRole", StringEquals={"iam:PassedToService": service})
        batch = guarded.user(name, register, passing)("batch")
        if name == "two":
            with pytest.raises(ClientError, match="iam:PassRole"):
                batch.register_job_definition(**request)
        else:
            batch.register_job_definition(**request)


def test_roles_are_made_only_with_the_boundary_that_a_condition_wants(guarded: Guarded) -> None:
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
    iam = guarded.user("maker", allow("iam:CreateRole", StringEquals={"iam:PermissionsBoundary": boundary}))("iam")
    with pytest.raises(ClientError, match="iam:CreateRole"):
        iam.create_role(RoleName="free", AssumeRolePolicyDocument=policy())
    iam.create_role(RoleName="bound", AssumeRolePolicyDocument=policy(), PermissionsBoundary=boundary)


def test_a_job_may_do_what_its_role_may(guarded: Guarded) -> None:
    role = guarded.role("runner", allow("s3:GetObject", resource="arn:aws:s3:::bucket/runs/*"))
    refused = "s3:PutObject on resource: arn:aws:s3:::bucket/runs/2"
    code = (
        "import boto3, sys; s3 = boto3.client('s3');"
        "print(s3.get_object(Bucket='bucket', Key='runs/1')['Body'].read());"
        "s3.put_object(Bucket='bucket', Key='runs/2', Body=b'y')"
    )
    job = guarded.account.run(definition=guarded.account.define("python", "-c", code, container={"jobRoleArn": role}))
    lines = guarded.account.lines(job)
    assert job["status"] == "FAILED"
    assert "b'x'" in lines
    assert any(f"assumed-role/runner/job is not authorized to perform: {refused}" in line for line in lines)


def test_a_job_without_role_may_do_nothing(guarded: Guarded) -> None:
    code = "import boto3; boto3.client('s3').list_buckets()"
    job = guarded.account.run("python", "-c", code)
    assert "s3:ListAllMyBuckets" in guarded.account.lines(job)[-1]
