"""Provisioning against moto: what is made, what a second run does, and what an interruption leaves."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from scaler_batch.payload.contract import RUNNER_COMMAND
from scaler_batch.provision import (
    Action,
    ConflictError,
    DeclinedError,
    Files,
    Kind,
    Settings,
    Target,
    adopt,
    cleanup,
    plan_provision,
    provision,
    show,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import boto3

    Everything = Callable[[], dict[str, list[str]]]

ON_REQUEST = (Kind.REPOSITORY, Kind.PAYLOAD_KEY, Kind.SPOT_ENVIRONMENT, Kind.SCHEDULING_POLICY)
KINDS = tuple(kind for kind in Kind if kind not in ON_REQUEST)
"""What is made where the image is named."""

CHANGING_CALLS = [
    "CreateLogGroup",
    "PutRetentionPolicy",
    "CreateBucket",
    "PutBucketTagging",
    "PutPublicAccessBlock",
    "PutBucketEncryption",
    "PutBucketPolicy",
    "PutBucketLifecycleConfiguration",
    "CreateRole",
    "PutRolePolicy",
    "CreateRole",
    "PutRolePolicy",
    "CreateRole",
    "AttachRolePolicy",
    "CreateInstanceProfile",
    "AddRoleToInstanceProfile",
    "CreateSecurityGroup",
    "CreateLaunchTemplate",
    "RegisterJobDefinition",
    "CreateComputeEnvironment",
    "CreateJobQueue",
]
"""Of a first run, in order. (PutBucketTagging only where S3 takes no tags at creation, as moto does not.)"""

UNTAGGED_AFTER = "CreateBucket"
"""Where a run that is cut off leaves something without tags."""


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(config=tmp_path / "config.json", env=tmp_path / "env")


def test_a_first_run_makes_everything_in_order(
    aws: boto3.Session, settings: Settings, calls: Any, everything: Everything
) -> None:
    made = provision(settings, aws)
    assert calls.made == CHANGING_CALLS
    assert made.changed == KINDS
    found = everything()
    assert found["buckets"] == [made.bucket] == ["scaler-batch-123456789012-us-east-1"]
    assert found["job queues"] == [made.job_queue] == ["scaler-batch-queue"]
    assert found["job definitions"] == [f"{made.job_definition}:1"] == ["scaler-batch-job:1"]
    assert found["compute environments"] == ["scaler-batch-compute"]
    assert found["log groups"] == ["/scaler-batch/jobs"]
    assert len(found["roles"]) == 3
    assert len(found["instance profiles"]) == 1


def test_the_job_definition_is_what_the_task_manager_submits_to(aws: boto3.Session, settings: Settings) -> None:
    provision(replace(settings, vcpus=2, memory_mb=4000, job_timeout_minutes=90), aws)
    batch = aws.client("batch", region_name="us-east-1")
    (definition,) = batch.describe_job_definitions(jobDefinitionName="scaler-batch-job")["jobDefinitions"]
    container = definition["containerProperties"]
    assert container["command"] == list(RUNNER_COMMAND)
    assert container["image"] == settings.image
    assert container["environment"] == [{"name": "AWS_DEFAULT_REGION", "value": "us-east-1"}]
    assert {"type": "VCPU", "value": "2"} in container["resourceRequirements"]
    assert {"type": "MEMORY", "value": "3686"} in container["resourceRequirements"]
    assert container["logConfiguration"]["options"]["awslogs-group"] == "/scaler-batch/jobs"
    assert container["jobRoleArn"] != container["executionRoleArn"]
    assert definition["timeout"] == {"attemptDurationSeconds": 5400}
    assert {f"Ref::{name}" for name in definition["parameters"]} <= set(RUNNER_COMMAND)
    assert definition["tags"]["scaler-batch:prefix"] == "scaler-batch"


def test_the_compute_environment_follows_the_settings(aws: boto3.Session, settings: Settings) -> None:
    provision(replace(settings, max_vcpus=64, instance_types=("m5.large", "c5")), aws)
    batch = aws.client("batch", region_name="us-east-1")
    (environment,) = batch.describe_compute_environments()["computeEnvironments"]
    resources = environment["computeResources"]
    assert resources["allocationStrategy"] == "BEST_FIT_PROGRESSIVE"
    assert (resources["minvCpus"], resources["maxvCpus"]) == (0, 64)
    assert resources["instanceTypes"] == ["m5.large", "c5"]
    assert resources["subnets"]
    assert resources["securityGroupIds"]


def test_instances_answer_to_requests_for_their_metadata_with_a_token_only(
    aws: boto3.Session, settings: Settings
) -> None:
    provision(settings, aws)
    ec2, batch = (aws.client(name, region_name="us-east-1") for name in ("ec2", "batch"))
    (environment,) = batch.describe_compute_environments()["computeEnvironments"]
    template = environment["computeResources"]["launchTemplate"]
    assert template == {"launchTemplateName": "scaler-batch-instances", "version": "$Default"}

    def options() -> dict[str, Any]:
        found = ec2.describe_launch_template_versions(
            LaunchTemplateName="scaler-batch-instances", Versions=["$Default"]
        )
        data: dict[str, Any] = found["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        return data.get("MetadataOptions", {})  # type: ignore[no-any-return]

    assert (options()["HttpTokens"], options()["HttpPutResponseHopLimit"]) == ("required", 1)
    ec2.create_launch_template_version(
        LaunchTemplateName="scaler-batch-instances", LaunchTemplateData={"MetadataOptions": {"HttpTokens": "optional"}}
    )
    ec2.modify_launch_template(LaunchTemplateName="scaler-batch-instances", DefaultVersion="2")
    assert provision(settings, aws).changed == (Kind.LAUNCH_TEMPLATE,)
    assert options()["HttpTokens"] == "required"
    assert provision(settings, aws).changed == ()


def test_the_bucket_is_closed_encrypted_and_forgetful(aws: boto3.Session, settings: Settings) -> None:
    bucket = provision(settings, aws).bucket
    s3 = aws.client("s3", region_name="us-east-1")
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert (rule["Filter"], rule["Expiration"]) == ({"Prefix": "scaler-tasks/"}, {"Days": 1})
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    (statement,) = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_data_of_tasks_expires_after_as_many_days_as_are_asked_for(
    aws: boto3.Session, settings: Settings, calls: Any
) -> None:
    bucket = provision(settings, aws).bucket
    calls.made.clear()
    assert provision(replace(settings, expire_days=8), aws).changed == (Kind.BUCKET,)
    assert calls.made == ["PutBucketLifecycleConfiguration"]
    s3 = aws.client("s3", region_name="us-east-1")
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert (rule["Expiration"], rule["AbortIncompleteMultipartUpload"]) == ({"Days": 8}, {"DaysAfterInitiation": 8})


def test_every_call_about_the_bucket_says_whose_it_must_be(aws: boto3.Session, settings: Settings) -> None:
    s3 = aws.client("s3", region_name="us-east-1")  # before anybody listens
    owners: dict[str, str | None] = {}

    def note(model: Any, params: Any, **_: Any) -> None:
        owners[model.name] = params["headers"].get("x-amz-expected-bucket-owner")

    aws.events.register("before-call.s3", note)
    made = provision(settings, aws)
    provision(settings, aws)
    s3.put_object(Bucket=made.bucket, Key="k")
    s3.create_multipart_upload(Bucket=made.bucket, Key="l")
    assert cleanup(Target(), aws).complete
    assert owners.pop("CreateBucket") is None, "there it means nothing"
    assert len(owners) >= 14
    assert {name for name, owner in owners.items() if owner != "123456789012"} == set()


def test_the_log_group_keeps_lines_for_a_month(aws: boto3.Session, settings: Settings) -> None:
    provision(settings, aws)
    (group,) = aws.client("logs", region_name="us-east-1").describe_log_groups()["logGroups"]
    assert group["retentionInDays"] == 30


def test_a_second_identical_run_changes_nothing(
    aws: boto3.Session, settings: Settings, calls: Any, files: Files
) -> None:
    provision(settings, aws, files=files)
    before = files.config.stat().st_mtime_ns, files.env.stat().st_mtime_ns
    calls.made.clear()
    assert provision(settings, aws, files=files).changed == ()
    assert calls.made == []
    assert (files.config.stat().st_mtime_ns, files.env.stat().st_mtime_ns) == before


def test_settings_that_come_to_the_same_change_nothing(aws: boto3.Session, settings: Settings) -> None:
    provision(replace(settings, memory_mb=4000), aws)
    assert provision(replace(settings, memory_mb=4096), aws).changed == ()


def test_a_changed_size_makes_a_new_revision(aws: boto3.Session, settings: Settings, calls: Any) -> None:
    provision(settings, aws)
    calls.made.clear()
    made = provision(replace(settings, memory_mb=8192), aws)
    assert made.changed == (Kind.JOB_DEFINITION,)
    assert calls.made == ["RegisterJobDefinition"]
    assert made.resources[Kind.JOB_DEFINITION].arn.endswith("job-definition/scaler-batch-job:2")


@pytest.mark.long
def test_two_revisions_are_kept(aws: boto3.Session, settings: Settings, everything: Everything) -> None:
    for vcpus in (1, 2, 3, 4):
        provision(replace(settings, vcpus=vcpus), aws)
    assert sorted(everything()["job definitions"]) == ["scaler-batch-job:3", "scaler-batch-job:4"]


def test_a_changed_maximum_updates_the_compute_environment(aws: boto3.Session, settings: Settings, calls: Any) -> None:
    provision(settings, aws)
    calls.made.clear()
    assert provision(replace(settings, max_vcpus=512), aws).changed == (Kind.COMPUTE_ENVIRONMENT,)
    assert calls.made == ["UpdateComputeEnvironment"]
    assert provision(replace(settings, max_vcpus=512), aws).changed == ()


@pytest.mark.long
def test_spot_and_back_changes_the_compute_environment_in_place(
    aws: boto3.Session, settings: Settings, calls: Any
) -> None:
    batch = aws.client("batch", region_name="us-east-1")
    provision(settings, aws)
    calls.made.clear()
    for spot, bought in ((True, ("SPOT", "SPOT_PRICE_CAPACITY_OPTIMIZED")), (False, ("EC2", "BEST_FIT_PROGRESSIVE"))):
        assert provision(replace(settings, spot=spot), aws).changed == (Kind.COMPUTE_ENVIRONMENT,)
        (environment,) = batch.describe_compute_environments()["computeEnvironments"]
        resources = environment["computeResources"]
        assert (resources["type"], resources["allocationStrategy"]) == bought
        assert provision(replace(settings, spot=spot), aws).changed == ()
    assert calls.made == ["UpdateComputeEnvironment"] * 2


def test_the_queue_cancels_jobs_that_cannot_start(aws: boto3.Session, settings: Settings) -> None:
    made = provision(settings, aws)
    batch = aws.client("batch", region_name="us-east-1")
    (queue,) = batch.describe_job_queues()["jobQueues"]
    limits = {one["reason"]: one for one in queue["jobStateTimeLimitActions"]}
    assert limits.keys() == {
        "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
        "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
        "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
    }
    assert {(one["state"], one["action"]) for one in limits.values()} == {("RUNNABLE", "CANCEL")}
    assert all(600 <= one["maxTimeSeconds"] <= 86_400 for one in limits.values())
    batch.update_job_queue(jobQueue=made.job_queue, jobStateTimeLimitActions=[])
    assert provision(settings, aws).changed == (Kind.JOB_QUEUE,)


@pytest.mark.long
def test_further_tags_are_on_everything_also_when_they_come_later(aws: boto3.Session, settings: Settings) -> None:
    provision(settings, aws)
    tagged = replace(settings, tags={"team": "blue"})
    assert provision(tagged, aws).changed == KINDS
    observed = show(Target(), aws).observed
    assert {one.tags.get("team") for one in observed.values() if one} == {"blue"}
    assert {one.tags.get("scaler-batch:prefix") for one in observed.values() if one} == {"scaler-batch"}
    assert provision(tagged, aws).changed == ()
    assert provision(replace(settings, tags={"team": "red"}), aws).changed == KINDS
    assert cleanup(Target(), aws).complete


@pytest.mark.long
def test_what_cannot_be_changed_is_said_and_left(aws: boto3.Session, settings: Settings, calls: Any) -> None:
    made = provision(settings, aws)
    batch = aws.client("batch", region_name="us-east-1")
    policy = "arn:aws:batch:us-east-1:123456789012:scheduling-policy/fair"
    batch.update_job_queue(jobQueue=made.job_queue, schedulingPolicyArn=policy)
    calls.made.clear()
    (step,) = [step for step in plan_provision(settings, aws).steps if step.changes]
    assert (step.action, [change.field for change in step.obstacles]) == (Action.KEEP, ["fair_share"])
    again = provision(settings, aws)
    assert (again.changed, calls.made) == ((), [])
    ((kind, change),) = again.obstacles
    assert kind is Kind.JOB_QUEUE
    assert "cannot take a scheduling policy away" in change.obstacle


def test_what_somebody_changed_by_hand_is_changed_back(aws: boto3.Session, settings: Settings) -> None:
    made = provision(settings, aws)
    batch, s3, iam = (aws.client(name, region_name="us-east-1") for name in ("batch", "s3", "iam"))
    batch.update_job_queue(jobQueue=made.job_queue, state="DISABLED")
    s3.delete_bucket_policy(Bucket=made.bucket)
    role = made.resources[Kind.JOB_ROLE].name
    iam.put_role_policy(RoleName=role, PolicyName="more", PolicyDocument=_allow_all())
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=_trust_lambda())
    profile = made.resources[Kind.INSTANCE_PROFILE].name
    iam.remove_role_from_instance_profile(InstanceProfileName=profile, RoleName=profile)
    changed = provision(settings, aws).changed
    assert changed == (Kind.BUCKET, Kind.JOB_ROLE, Kind.INSTANCE_PROFILE, Kind.JOB_QUEUE)
    assert provision(settings, aws).changed == ()


@pytest.mark.long
@pytest.mark.parametrize("last", range(1, len(CHANGING_CALLS) + 1))
def test_an_interrupted_run_is_completed_by_the_next(
    last: int, aws: boto3.Session, settings: Settings, calls: Any, files: Files, everything: Everything
) -> None:
    before = everything()
    _provision_until(last, settings, aws, calls, files)
    if CHANGING_CALLS[last - 1] == UNTAGGED_AFTER:
        _adopt_the_bucket(settings, aws, files)
    made = provision(settings, aws, files=files)
    assert made.resources.keys() == set(KINDS)
    assert provision(settings, aws, files=files).changed == ()
    assert sorted(calls.made) == sorted(CHANGING_CALLS), "nothing is made twice"
    assert cleanup(Target(), aws, files=files).complete
    assert everything() == before


@pytest.mark.long
@pytest.mark.parametrize("last", range(1, len(CHANGING_CALLS) + 1))
def test_an_interrupted_run_is_cleaned_up_from_where_it_stopped(
    last: int, aws: boto3.Session, settings: Settings, calls: Any, files: Files, everything: Everything
) -> None:
    before = everything()
    _provision_until(last, settings, aws, calls, files)
    if CHANGING_CALLS[last - 1] == UNTAGGED_AFTER:
        report = cleanup(Target(), aws, files=files)
        assert [kind for kind, _ in report.unproven] == [Kind.BUCKET]
        assert files.config.exists(), "it still has something to tell"
        adopt(Target(), aws, files)
    assert cleanup(Target(), aws, files=files).complete
    assert everything() == before
    assert list(files.config.parent.iterdir()) == []


def test_each_step_is_recorded_before_the_next(
    aws: boto3.Session, settings: Settings, calls: Any, files: Files
) -> None:
    _provision_until(CHANGING_CALLS.index("RegisterJobDefinition") + 1, settings, aws, calls, files)
    record = json.loads(files.config.read_text())
    assert list(record["resources"]) == [kind.value for kind in KINDS[: KINDS.index(Kind.JOB_DEFINITION)]]
    assert record["unfinished"] == ["job_definition"]
    assert record["complete"] is False
    assert not files.env.exists()


def test_files_tell_what_was_made(aws: boto3.Session, settings: Settings, files: Files) -> None:
    made = provision(settings, aws, files=files)
    record = json.loads(files.config.read_text())
    assert record["complete"] is True
    assert record["resources"]["job_queue"] == {
        "name": "scaler-batch-queue",
        "arn": "arn:aws:batch:us-east-1:123456789012:job-queue/scaler-batch-queue",
    }
    assert files.env.read_text().splitlines() == [
        'export SCALER_AWS_REGION="us-east-1"',
        f'export SCALER_S3_BUCKET="{made.bucket}"',
        'export SCALER_JOB_QUEUE="scaler-batch-queue"',
        'export SCALER_JOB_DEFINITION="scaler-batch-job"',
    ]


def test_a_bucket_of_that_name_which_is_not_ours_stops_everything(
    aws: boto3.Session, settings: Settings, calls: Any
) -> None:
    s3 = aws.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="scaler-batch-123456789012-us-east-1")
    calls.made.clear()
    with pytest.raises(ConflictError, match="bucket scaler-batch-123456789012-us-east-1"):
        provision(settings, aws)
    assert calls.made == []


def test_a_file_about_another_prefix_stops_everything(
    aws: boto3.Session, settings: Settings, calls: Any, files: Files
) -> None:
    provision(settings, aws, files=files)
    calls.made.clear()
    with pytest.raises(ConflictError, match="records prefix 'scaler-batch'"):
        provision(replace(settings, prefix="other"), aws, files=files)
    assert calls.made == []


def test_an_env_file_written_by_hand_for_other_resources_stops_everything(
    aws: boto3.Session, settings: Settings, calls: Any, files: Files
) -> None:
    lines = "SCALER_AWS_REGION=us-east-1\nSCALER_S3_BUCKET=b\nSCALER_JOB_QUEUE=q\nSCALER_JOB_DEFINITION=d\n"
    files.env.write_text(lines)
    with pytest.raises(ConflictError, match="names other resources"):
        provision(settings, aws, files=files)
    assert (calls.made, files.env.read_text()) == ([], lines)


def test_without_agreement_nothing_is_changed(aws: boto3.Session, settings: Settings, calls: Any, files: Files) -> None:
    with pytest.raises(DeclinedError):
        provision(settings, aws, files=files, audience=Reluctant())
    assert calls.made == []
    assert not files.config.exists()


@pytest.mark.long
def test_two_prefixes_and_two_regions_live_side_by_side(aws: boto3.Session, settings: Settings) -> None:
    first = provision(settings, aws)
    other = provision(replace(settings, prefix="other"), aws)
    abroad = provision(replace(settings, region="eu-west-1"), aws)
    assert len({first.bucket, other.bucket, abroad.bucket}) == 3
    assert cleanup(other.target, aws).complete
    assert cleanup(abroad.target, aws).complete
    assert provision(settings, aws).changed == ()


@pytest.mark.long
def test_another_partition_has_arns_of_its_own(aws: boto3.Session, settings: Settings) -> None:
    made = provision(replace(settings, region="cn-north-1"), aws)
    assert {identity.arn.split(":")[1] for identity in made.resources.values()} == {"aws-cn"}
    assert provision(replace(settings, region="cn-north-1"), aws).changed == ()
    assert cleanup(made.target, aws).complete


def test_without_a_default_network_nothing_is_changed(aws: boto3.Session, settings: Settings, calls: Any) -> None:
    ec2 = aws.client("ec2", region_name="us-east-1")
    for subnet in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    calls.made.clear()
    with pytest.raises(ConflictError, match="has no subnets") as error:
        provision(settings, aws)
    assert "--subnets" in error.value.fix
    for vpc in ec2.describe_vpcs()["Vpcs"]:
        ec2.delete_vpc(VpcId=vpc["VpcId"])
    with pytest.raises(ConflictError, match="no default VPC"):
        provision(settings, aws)
    assert not [call for call in calls.made if call.startswith("Create")]


def test_a_plan_tells_and_does_not_do(aws: boto3.Session, settings: Settings, calls: Any) -> None:
    assert {step.action for step in plan_provision(settings, aws).steps} == {Action.CREATE}
    assert calls.made == []
    provision(settings, aws)
    (step,) = plan_provision(replace(settings, max_vcpus=7), aws).pending
    assert [(change.field, change.before, change.after) for change in step.changes] == [("max_vcpus", 256, 7)]


def test_show_tells_what_is_there(aws: boto3.Session, settings: Settings) -> None:
    assert set(show(Target(), aws).observed.values()) == {None}
    provision(settings, aws)
    assert {kind for kind, one in show(Target(), aws).observed.items() if one is None} == set(Kind) - set(KINDS)


class Reluctant:
    """An audience that never agrees."""

    def agrees_to(self, plan: Any) -> bool:
        return False

    agrees_to_removal = agrees_to

    def doing(self, words: str) -> None:
        raise AssertionError(words)

    waiting = done = doing

    def failed(self, words: str, error: Any) -> None:
        raise AssertionError(words)


def _provision_until(last: int, settings: Settings, aws: boto3.Session, calls: Any, files: Files) -> None:
    calls.cut_after = last
    with pytest.raises(BaseException) as cut:  # noqa: PT011
        provision(settings, aws, files=files)
    assert type(cut.value).__name__ == "Interruption"
    calls.cut_after = None


def _adopt_the_bucket(settings: Settings, aws: boto3.Session, files: Files) -> None:
    """A bucket without tags is nobody's until somebody says that it is ours."""
    with pytest.raises(ConflictError, match="bucket scaler-batch-123456789012-us-east-1") as error:
        provision(settings, aws, files=files)
    assert "adopt" in error.value.fix
    report = adopt(Target(), aws, files)
    assert report.adopted == ((Kind.BUCKET, "scaler-batch-123456789012-us-east-1"),)


def _allow_all() -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})


def _trust_lambda() -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
