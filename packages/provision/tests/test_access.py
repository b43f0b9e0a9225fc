"""The policies of worker and provisioner: enough for what they do, and for nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scaler_batch.provision import Files, Handover, Kind, Settings, Target, build_image, cleanup, cli, provision
from scaler_batch.provision.access import provisioner_policy, worker_policy
from scaler_batch.provision.doctor import Patient, examine
from scaler_batch.provision.errors import NoJobError
from scaler_batch.provision.naming import Account, Names
from scaler_batch.provision.permissions import Request, allowed
from scaler_batch.provision.policies import trust
from scaler_batch.provision.why import explain

if TYPE_CHECKING:
    from pathlib import Path

    import boto3

ACCOUNT = Account("123456789012", "aws")
NAMES = Names(Target(), ACCOUNT)
BUCKET = NAMES.arn(Kind.BUCKET)
BATCH = "arn:aws:batch:us-east-1:123456789012"
ROLE = NAMES.arn(Kind.JOB_ROLE)
BOUNDARY = "arn:aws:iam::123456789012:policy/boundary"
AGENT = "arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"
EVERYTHING = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
LOG = "arn:aws:logs:us-east-1:123456789012:log-group:/scaler-batch/jobs"


def worker(names: Handover | None = None) -> Any:
    return worker_policy(
        names or Handover.of(NAMES), ACCOUNT, task_prefix="scaler-tasks", log_group=NAMES.of(Kind.LOG_GROUP)
    )


WORKER_NEEDS = [
    Request("batch:SubmitJob", f"{BATCH}:job-queue/scaler-batch-queue"),
    Request("batch:SubmitJob", f"{BATCH}:job-definition/scaler-batch-job"),
    Request("batch:SubmitJob", f"{BATCH}:job-definition/scaler-batch-job:7"),
    Request("batch:TagResource", f"{BATCH}:job/1"),
    Request("batch:TerminateJob", f"{BATCH}:job/1"),
    Request("batch:DescribeJobs", "*"),
    Request("batch:ListJobs", "*"),
    Request("batch:DescribeJobQueues", "*"),
    Request("batch:DescribeJobDefinitions", "*"),
    Request("s3:ListBucket", BUCKET, {"s3:prefix": "scaler-tasks/run/outcomes/"}),
    Request("s3:ListBucket", BUCKET, {"s3:prefix": "scaler-tasks/"}),
    Request("s3:GetObject", f"{BUCKET}/scaler-tasks/run/outcomes/0"),
    Request("s3:PutObject", f"{BUCKET}/scaler-tasks/run/packs/0"),
    Request("s3:DeleteObject", f"{BUCKET}/scaler-tasks/run/packs/0"),
    Request("logs:GetLogEvents", f"{LOG}:log-stream:x/default/1"),
]


@pytest.mark.parametrize("request_", WORKER_NEEDS, ids=lambda one: f"{one} {one.context}")
def test_a_worker_may_do_its_work(request_: Request) -> None:
    assert allowed([worker()], request_)


@pytest.mark.parametrize("needed", WORKER_NEEDS, ids=lambda one: f"{one} {one.context}")
def test_a_worker_needs_each_of_its_permissions(needed: Request) -> None:
    """Without the statement that allows it, nothing else does."""
    document = worker()
    statements = [one for one in document["Statement"] if needed.action not in one["Action"]]
    assert len(statements) == len(document["Statement"]) - 1
    assert not allowed([{"Statement": statements}], needed)


@pytest.mark.parametrize(
    "request_",
    [
        Request("batch:SubmitJob", f"{BATCH}:job-queue/other"),
        Request("batch:SubmitJob", f"{BATCH}:job-definition/scaler-batch-job-of-others"),
        Request("batch:RegisterJobDefinition", f"{BATCH}:job-definition/scaler-batch-job"),
        Request("batch:UpdateJobQueue", f"{BATCH}:job-queue/scaler-batch-queue"),
        Request("s3:ListBucket", BUCKET),
        Request("s3:ListBucket", BUCKET, {"s3:prefix": "other/"}),
        Request("s3:GetObject", f"{BUCKET}/other/x"),
        Request("s3:GetObject", "arn:aws:s3:::another/scaler-tasks/x"),
        Request("s3:PutBucketPolicy", BUCKET),
        Request("iam:PassRole", ROLE),
        Request("logs:GetLogEvents", "arn:aws:logs:us-east-1:123456789012:log-group:/other:log-stream:x"),
    ],
    ids=lambda one: f"{one} {one.context}",
)
def test_a_worker_may_do_nothing_else(request_: Request) -> None:
    assert not allowed([worker()], request_)


@pytest.mark.parametrize("definition", ["d", "d:3", f"{BATCH}:job-definition/d", f"{BATCH}:job-definition/d:3"])
def test_queue_and_definition_may_be_named_in_every_way_that_the_worker_takes(definition: str) -> None:
    document = worker(Handover("us-east-1", "b", f"{BATCH}:job-queue/q", definition))
    for resource in (f"{BATCH}:job-queue/q", f"{BATCH}:job-definition/d", f"{BATCH}:job-definition/d:3"):
        assert allowed([document], Request("batch:SubmitJob", resource))


def roles_needed(boundary: str | None) -> list[Request]:
    bound = {"iam:PermissionsBoundary": boundary} if boundary else {}
    return [
        Request("iam:CreateRole", ROLE, bound),
        Request("iam:PutRolePolicy", ROLE, bound),
        Request("iam:AttachRolePolicy", NAMES.arn(Kind.INSTANCE_ROLE), {"iam:PolicyARN": AGENT}),
        Request("iam:PassRole", ROLE, {"iam:PassedToService": "ecs-tasks.amazonaws.com"}),
        Request("iam:PassRole", NAMES.arn(Kind.INSTANCE_ROLE), {"iam:PassedToService": "ec2.amazonaws.com"}),
        Request("iam:AddRoleToInstanceProfile", NAMES.arn(Kind.INSTANCE_PROFILE)),
    ]


@pytest.mark.parametrize("boundary", [None, BOUNDARY])
def test_a_provisioner_may_make_the_roles(boundary: str | None) -> None:
    document = provisioner_policy(NAMES, boundary=boundary)
    assert [one for one in roles_needed(boundary) if not allowed([document], one)] == []


@pytest.mark.parametrize(
    "request_",
    [
        Request("iam:CreateRole", "arn:aws:iam::123456789012:role/admin", {"iam:PermissionsBoundary": BOUNDARY}),
        Request("iam:CreateRole", ROLE),
        Request("iam:CreateRole", ROLE, {"iam:PermissionsBoundary": f"{BOUNDARY}-of-others"}),
        Request("iam:PutRolePolicy", ROLE),
        Request("iam:PutRolePermissionsBoundary", ROLE, {"iam:PermissionsBoundary": "arn:aws:iam::aws:policy/All"}),
        Request("iam:DeleteRolePermissionsBoundary", ROLE, {"iam:PermissionsBoundary": BOUNDARY}),
        Request("iam:AttachRolePolicy", ROLE, {"iam:PolicyARN": "arn:aws:iam::aws:policy/AdministratorAccess"}),
        Request("iam:PassRole", ROLE, {"iam:PassedToService": "lambda.amazonaws.com"}),
        Request("iam:PassRole", "arn:aws:iam::123456789012:role/admin", {"iam:PassedToService": "ec2.amazonaws.com"}),
        Request("iam:CreatePolicyVersion", BOUNDARY),
        Request("ec2:DeleteSecurityGroup", "arn:aws:ec2:us-east-1:123456789012:security-group/sg-1"),
        Request("ec2:RunInstances", "*"),
        Request("s3:DeleteBucket", "arn:aws:s3:::another"),
        Request("batch:DeleteJobQueue", f"{BATCH}:job-queue/other"),
        Request("sts:AssumeRole", ROLE),
    ],
    ids=lambda one: f"{one} {one.context}",
)
def test_a_provisioner_under_a_boundary_cannot_make_itself_mightier(request_: Request) -> None:
    assert not allowed([provisioner_policy(NAMES, boundary=BOUNDARY)], request_)


def test_groups_are_ours_by_their_tag() -> None:
    group = "arn:aws:ec2:us-east-1:123456789012:security-group/sg-1"
    document, tag = provisioner_policy(NAMES), "aws:ResourceTag/scaler-batch:prefix"
    assert allowed([document], Request("ec2:DeleteSecurityGroup", group, {tag: "scaler-batch"}))
    assert not allowed([document], Request("ec2:DeleteSecurityGroup", group, {tag: "other"}))
    assert allowed([document], Request("ec2:CreateTags", group, {"ec2:CreateAction": "CreateSecurityGroup"}))
    assert not allowed([document], Request("ec2:CreateTags", group))


S3_ACTIONS = {
    "CreateMultipartUpload": "PutObject",
    "DeleteObjects": "DeleteObject",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjectsV2": "ListBucket",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
}
"""IAM's names for operations of S3 that it calls otherwise."""

OF_THE_ENGINE = {
    f"ecr:{name}"
    for name in (
        "BatchCheckLayerAvailability",
        "CompleteLayerUpload",
        "InitiateLayerUpload",
        "PutImage",
        "UploadLayerPart",
    )
}
"""What Docker needs to push."""

BESIDES = {
    "iam:PassRole": "of CreateComputeEnvironment, RegisterJobDefinition and AddRoleToInstanceProfile",
    "iam:CreateServiceLinkedRole": "AWS Batch's, on its first use in an account",
    "s3:DeleteObjectVersion": "of DeleteObjects with versions",
    "s3:TagResource": "of CreateBucket with tags",
    "ecr:BatchGetImage": "where moto has an image",
    "ecr:GetDownloadUrlForLayer": "where moto has an image",
    "logs:GetLogEvents": "where moto ran a job",
    "batch:GetJobQueueSnapshot": "moto does not know it",
    "servicequotas:GetServiceQuota": "moto does not know it",
    "ecr:TagResource": "of a repository that is there",
    "ecr:PutImageScanningConfiguration": "of a repository that somebody changed",
}


@pytest.mark.long
def test_the_policy_of_the_provisioner_lists_every_call_and_no_more(
    aws: boto3.Session, settings: Settings, tmp_path: Path
) -> None:
    called: set[str] = set()
    by_hand = [aws.client(name, region_name="us-east-1") for name in ("batch", "ec2", "ecr", "iam", "s3")]
    aws.events.register("before-call", lambda model, **_: called.add(action_of(model)))
    drive(aws, settings, tmp_path, *by_hand)
    policy = provisioner_policy(NAMES, boundary=BOUNDARY, payload_key=True)
    listed = {action for one in policy["Statement"] for action in one["Action"]}
    assert called - listed - {"sts:GetCallerIdentity"} == set(), "that one needs no permission"
    assert listed - called - OF_THE_ENGINE - BESIDES.keys() == set(), "what nothing calls, nobody needs"


def drive(aws: boto3.Session, settings: Settings, tmp_path: Path, *by_hand: Any) -> None:
    """Do with the resources what can be done: make, change, mend, examine, remove."""
    batch, ec2, ecr, iam, s3 = by_hand
    iam.create_policy(PolicyName="boundary", PolicyDocument=EVERYTHING)
    build_image(Target(), aws, Nothing())
    ecr.put_image_tag_mutability(repositoryName="scaler-batch-runner", imageTagMutability="MUTABLE")
    build_image(Target(), aws, Nothing())
    files = Files(config=tmp_path / "config", env=tmp_path / "env")
    made = provision(settings, aws, files=files)
    fair = replace(settings, prefix="fair", fair_share=True, payload_key=True)
    provision(fair, aws)
    policy = f"{BATCH}:scheduling-policy/fair-fair-share"
    batch.update_scheduling_policy(arn=policy, fairsharePolicy={"shareDecaySeconds": 60})
    provision(replace(fair, tags={"team": "t"}), aws)
    assert cleanup(fair.target, aws).complete
    other = replace(settings, max_vcpus=8, expire_days=2, tags={"team": "t"}, permissions_boundary=BOUNDARY)
    provision(other, aws, files=files)
    for vcpus in (2, 3, 4):
        provision(replace(other, vcpus=vcpus), aws, files=files)
    break_by_hand(ec2, iam, made)
    provision(other, aws, files=files)
    patient = Patient(env=files.env)
    list(examine(patient, lambda: aws))
    with pytest.raises(NoJobError):
        explain("j", patient, lambda: aws)
    s3.put_object(Bucket=made.bucket, Key="scaler-tasks/x")
    s3.create_multipart_upload(Bucket=made.bucket, Key="scaler-tasks/y")
    assert cleanup(Target(), aws, files=files).complete


class Nothing:
    """An image that is pushed in no time, and is nowhere."""

    tag = "built-1"

    def check(self) -> None: ...

    def push(self, repository: str, login: Any) -> None: ...


def break_by_hand(ec2: Any, iam: Any, made: Any) -> None:
    template = {"LaunchTemplateName": "scaler-batch-instances"}
    ec2.create_launch_template_version(LaunchTemplateData={"EbsOptimized": True}, **template)
    ec2.modify_launch_template(DefaultVersion="2", **template)
    role, profile = made.resources[Kind.JOB_ROLE].name, made.resources[Kind.INSTANCE_PROFILE].name
    iam.put_role_policy(RoleName=role, PolicyName="more", PolicyDocument=EVERYTHING)
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust("lambda.amazonaws.com")))
    iam.remove_role_from_instance_profile(InstanceProfileName=profile, RoleName=profile)
    group = made.resources[Kind.SECURITY_GROUP].arn.rpartition("/")[2]
    rule = [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=rule)
    everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    ec2.revoke_security_group_egress(GroupId=group, IpPermissions=everything)


def action_of(model: Any) -> str:
    """What IAM calls an operation: mostly as the service does, but for S3."""
    name = model.service_model.service_name
    service = {"service-quotas": "servicequotas"}.get(name, name)
    return f"{service}:{S3_ACTIONS.get(model.name, model.name) if service == 's3' else model.name}"


@given(st.from_regex(r"[a-z][a-z0-9]{0,34}", fullmatch=True), st.sampled_from(["us-east-1", "cn-northwest-1"]))
def test_policies_fit_into_what_iam_takes(prefix: str, region: str) -> None:
    assume(prefix != "sg")
    names = Names(Target(prefix=prefix, region=region), Account("123456789012", "aws-us-gov"))
    for document, longest in (
        (provisioner_policy(names, boundary=BOUNDARY), 25),
        (provisioner_policy(names, boundary=BOUNDARY, payload_key=True), 8),
        (worker(Handover.of(names, payload_key=True)), 35),
    ):
        size = len(json.dumps(document, separators=(",", ":")))
        assert size <= (6144 if len(prefix) <= longest else 10_240), "of a managed policy, or else of one in a role"
        assert len({one["Sid"] for one in document["Statement"]}) == len(document["Statement"])


@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1"])
def test_no_arn_of_a_policy_points_to_another_partition(region: str, capsys: pytest.CaptureFixture[str]) -> None:
    for whose in ("worker", "provisioner"):
        assert cli.main(["policy", whose, "--region", region, "--account", "123456789012"]) == 0
        arns = [part.split(":")[0] for part in capsys.readouterr().out.split("arn:")[1:]]
        assert set(arns) == {"aws-cn" if region.startswith("cn") else "aws-us-gov"}


# The command line


@pytest.fixture
def account(aws: boto3.Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> boto3.Session:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "open_session", lambda _: aws)
    return aws


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert cli.main(["policy", *arguments]) == 0
    return json.loads(capsys.readouterr().out)


def test_without_an_account_that_of_the_credentials_is_taken(
    account: boto3.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    assert printed(capsys, "worker") == worker()
    assert printed(capsys, "provisioner") == provisioner_policy(NAMES)
    bounded = printed(capsys, "provisioner", "--permissions-boundary", BOUNDARY)
    assert bounded == provisioner_policy(NAMES, boundary=BOUNDARY)


def test_the_workers_names_are_those_of_the_env_file(
    account: boto3.Session, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    names = Handover("eu-west-1", "bucket", "queue", "definition")
    (tmp_path / ".scaler_aws_hpc.env").write_text(names.to_shell())
    asked = ("worker", "--account", "123456789012", "--s3-prefix", "p", "--log-group", "/l")
    assert printed(capsys, *asked) == worker_policy(names, ACCOUNT, task_prefix="p", log_group="/l")
    assert printed(capsys, "worker", "--prefix", "scaler-batch") == worker(), "a prefix goes before the file"


# The boundary


@pytest.mark.long
def test_every_role_is_made_within_the_boundary(aws: boto3.Session, settings: Settings) -> None:
    iam = aws.client("iam", region_name="us-east-1")
    iam.create_policy(PolicyName="boundary", PolicyDocument=EVERYTHING)
    bounded = replace(settings, permissions_boundary=BOUNDARY)
    provision(bounded, aws)
    found = [iam.get_role(RoleName=one["RoleName"])["Role"] for one in iam.list_roles()["Roles"]]
    assert {one["PermissionsBoundary"]["PermissionsBoundaryArn"] for one in found} == {BOUNDARY}
    assert provision(bounded, aws).changed == ()
    assert provision(settings, aws).changed == (), "whoever set it may have had a reason"
    assert cleanup(Target(), aws).complete


@pytest.mark.long
def test_a_boundary_can_be_set_later(aws: boto3.Session, settings: Settings, calls: Any) -> None:
    iam = aws.client("iam", region_name="us-east-1")
    iam.create_policy(PolicyName="boundary", PolicyDocument=EVERYTHING)
    provision(settings, aws)
    calls.made.clear()
    changed = provision(replace(settings, permissions_boundary=BOUNDARY), aws).changed
    assert changed == (Kind.JOB_ROLE, Kind.EXECUTION_ROLE, Kind.INSTANCE_ROLE)
    assert calls.made == ["PutRolePermissionsBoundary"] * 3


def test_the_doctor_sees_what_a_boundary_takes_away(aws: boto3.Session, settings: Settings, tmp_path: Path) -> None:
    iam = aws.client("iam", region_name="us-east-1")
    reading = {"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [reading]})
    iam.create_policy(PolicyName="boundary", PolicyDocument=document)
    provision(replace(settings, permissions_boundary=BOUNDARY), aws)
    found = {one.subject: one for one in examine(Patient(env=tmp_path / "env"), lambda: aws)}
    assert "s3:PutObject" in found["job role"].message
    assert "s3:GetObject" not in found["job role"].message
    assert "permissions boundary" in found["job role"].fix
