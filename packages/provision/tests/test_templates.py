"""Templates say what a plan says: each is read back, its symbols filled in, and compared resource by resource."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cfnlint.api import lint

from scaler_batch.provision import Handover, Kind, Settings, cli
from scaler_batch.provision.access import worker_policy
from scaler_batch.provision.description import describe
from scaler_batch.provision.naming import Account, Names
from scaler_batch.provision.policies import canonical
from scaler_batch.provision.resources.bucket import BucketSpecification, Expiry
from scaler_batch.provision.resources.compute_environment import ComputeEnvironmentSpecification
from scaler_batch.provision.resources.instance_profile import InstanceProfileSpecification
from scaler_batch.provision.resources.job_definition import JobDefinitionSpecification
from scaler_batch.provision.resources.job_queue import JobQueueSpecification, TimeLimit
from scaler_batch.provision.resources.launch_template import LaunchTemplateSpecification
from scaler_batch.provision.resources.log_group import LogGroupSpecification
from scaler_batch.provision.resources.network import Network
from scaler_batch.provision.resources.repository import RepositorySpecification
from scaler_batch.provision.resources.role import RoleSpecification
from scaler_batch.provision.resources.scheduling_policy import SchedulingPolicySpecification
from scaler_batch.provision.resources.security_group import SecurityGroupSpecification
from scaler_batch.provision.templates import cloudformation, terraform
from scaler_batch.provision.templates.blueprint import template_tags
from scaler_batch.provision.vocabulary import Untold

if TYPE_CHECKING:
    from pathlib import Path

NUMBER = "123456789012"
NETWORK = Network(("subnet-00000001", "subnet-00000002"), ("sg-00000001",), "vpc-00000001")
IMAGE = "registry.test/runner:1"

CASES = {
    "defaults": Settings(image=IMAGE),
    "image of our own": Settings(),
    "all chosen": Settings(
        image=IMAGE,
        prefix="mine",
        region="eu-west-1",
        vcpus=4,
        memory_mb=4000,
        max_vcpus=64,
        instance_types=("c6i", "m5.large"),
        job_timeout_minutes=5,
        spot=True,
        tags={"team": "blue"},
        subnets=("subnet-00000001", "subnet-00000002"),
        security_groups=("sg-00000001",),
        expire_days=7,
        permissions_boundary="arn:aws:iam::123456789012:policy/boundary",
    ),
    "payload key": Settings(image=IMAGE, payload_key=True, kms_key="arn:aws:kms:us-east-1:123456789012:key/k-1"),
    "GPUs on Spot and then on demand": Settings(
        image=IMAGE, gpus=2, instance_types=("g5",), keep_minutes=60, spot_then_ec2=True, fair_share=True
    ),
    "ARM": Settings(image=IMAGE, platform="linux/arm64", instance_types=("default_arm64",)),
    "VPC chosen": Settings(image=IMAGE, vpc="vpc-00000001"),
    "China": Settings(image=IMAGE, region="cn-north-1"),
    "GovCloud": Settings(image=IMAGE, region="us-gov-west-1"),
}
PARTITIONS = {"cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov"}


@pytest.fixture(params=CASES)
def chosen(request: pytest.FixtureRequest) -> Settings:
    return CASES[request.param]


def partition(settings: Settings) -> str:
    return PARTITIONS.get(settings.region, "aws")


def named(settings: Settings) -> Names:
    return Names(settings.target, Account(NUMBER, partition(settings)))


def planned(settings: Settings) -> dict[Kind, tuple[str, Any, dict[str, str]]]:
    """What a plan would make: name, specification and tags of each."""
    wanted = describe(settings, named(settings), NETWORK, image_tag=None if settings.image else "1")
    return {
        one.kind: (one.name, one.specification, template_tags(one.tags))
        for one in wanted
        if one.kind is not Kind.PAYLOAD_KEY  # made beforehand: neither tool can make it and keep its value to itself
    }


def compared(found: dict[Kind, tuple[str, Any, dict[str, str]]], settings: Settings) -> None:
    """Compare what a template makes with what a plan would."""
    expected = planned(settings)
    assert found.keys() == expected.keys()
    for kind, (name, specification, tags) in expected.items():
        if kind is Kind.REPOSITORY:
            specification = RepositorySpecification()
        if kind in (Kind.SPOT_ENVIRONMENT, Kind.COMPUTE_ENVIRONMENT):
            specification = with_template_tags(specification)
        assert found[kind][:2] == (name, specification), kind
        assert found[kind][2] in (tags, {}), kind
    untagged = {kind for kind, (_, _, tags) in found.items() if not tags}
    assert untagged <= {Kind.INSTANCE_PROFILE}, "CloudFormation tags no instance profiles"


def with_template_tags(one: Any) -> Any:
    return replace(one, instance_tags=template_tags(one.instance_tags))


def uri(settings: Settings) -> str:
    return settings.image or named(settings).image("1")


# CloudFormation


@pytest.mark.long
def test_cloudformation_finds_no_fault_with_the_template(chosen: Settings) -> None:
    text = json.dumps(cloudformation.template(chosen, partition(chosen)))
    assert [str(match) for match in lint(text, regions=[chosen.region])] == []


@pytest.mark.long
def test_a_fault_in_a_template_would_be_found() -> None:
    document = cloudformation.template(Settings(), "aws")
    document["Resources"]["JobQueue"]["Properties"]["Priority"] = "high"
    assert lint(json.dumps(document), regions=["us-east-1"])


def test_cloudformation_makes_what_a_plan_makes(chosen: Settings) -> None:
    document = cloudformation.template(chosen, partition(chosen))
    resources = {name: Resource(one["Properties"]) for name, one in filled(document, chosen).items()}
    found = {
        Kind(snake(name)): read_cloudformation(Kind(snake(name)), resources) for name in resources if name in KINDS
    }
    compared(found, chosen)


KINDS = {cloudformation.logical_id(kind) for kind in Kind}


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Resource(dict[str, Any]):
    """Properties of a resource; those that are left out are empty."""

    def __missing__(self, key: str) -> Any:
        return []


def filled(document: Any, settings: Settings) -> Any:
    """The resources, with references and parameters filled in as CloudFormation would."""
    names = named(settings)
    symbols = {
        "AWS::AccountId": NUMBER,
        "Image": uri(settings),
        "PayloadKey": names.of(Kind.PAYLOAD_KEY),
        "Subnets": list(NETWORK.subnets),
        "SecurityGroups": list(NETWORK.security_groups),
        "Vpc": NETWORK.vpc,
        "LaunchTemplate": "lt-1",
        "LaunchTemplate.DefaultVersionNumber": "1",
        "SecurityGroup.GroupId": NETWORK.security_groups[0],
        "ComputeEnvironment": names.arn(Kind.COMPUTE_ENVIRONMENT),
        "SchedulingPolicy": names.arn(Kind.SCHEDULING_POLICY),
        "SpotEnvironment": names.arn(Kind.SPOT_ENVIRONMENT),
        **{name: names.of(Kind(snake(name))) for name in ("LogGroup", "Bucket", "InstanceRole")},
        **{
            f"{name}.Arn": names.arn(Kind(snake(name)))
            for name in ("Bucket", "JobRole", "ExecutionRole", "InstanceProfile")
        },
    }

    def fill(value: Any) -> Any:
        if isinstance(value, list):
            return [fill(one) for one in value]
        if not isinstance(value, dict):
            return value
        if "Ref" in value:
            return symbols[value["Ref"]]
        if "Fn::GetAtt" in value:
            return symbols[".".join(value["Fn::GetAtt"])]
        if "Fn::Sub" in value:
            return re.sub(r"\$\{([^}]+)\}", lambda match: symbols[match[1]], value["Fn::Sub"])
        return {key: fill(one) for key, one in value.items()}

    return fill(document["Resources"])


def read_cloudformation(kind: Kind, resources: dict[str, Resource]) -> tuple[str, Any, dict[str, str]]:
    one = resources[cloudformation.logical_id(kind)]
    name = next(value for key, value in one.items() if key.endswith("Name"))
    listed = one["Tags"] or [tag for specified in one["TagSpecifications"] for tag in specified["Tags"]]
    tags = listed if isinstance(listed, dict) else {tag["Key"]: tag["Value"] for tag in listed}
    return name, READERS[kind](one, resources), tags


def read_repository(one: Resource, _: Any) -> RepositorySpecification:
    (rule,) = json.loads(one["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    scanned, fixed = one["ImageScanningConfiguration"]["ScanOnPush"], one["ImageTagMutability"] == "IMMUTABLE"
    return RepositorySpecification(None, scanned, rule["selection"]["countNumber"], fixed)


def read_bucket(one: Resource, resources: dict[str, Resource]) -> BucketSpecification:
    (encryption,) = one["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    rules = one["LifecycleConfiguration"]["Rules"]
    assert all(one["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == one["ExpirationInDays"] for one in rules)
    policy = resources["BucketPolicy"]
    assert policy["Bucket"] == one["BucketName"]
    return BucketSpecification(
        public_access_blocked=list(one["PublicAccessBlockConfiguration"].values()) == [True] * 4,
        encryption=encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"],
        policy=canonical(policy["PolicyDocument"]),
        expiry=tuple(Expiry(rule["Prefix"], rule["ExpirationInDays"]) for rule in rules),
    )


def read_role(one: Resource, _: Any) -> RoleSpecification:
    return RoleSpecification(
        trust=canonical(one["AssumeRolePolicyDocument"]),
        policies={policy["PolicyName"]: canonical(policy["PolicyDocument"]) for policy in one["Policies"]},
        managed=frozenset(one["ManagedPolicyArns"]),
        boundary=one["PermissionsBoundary"] or Untold.UNTOLD,
    )


def read_security_group(one: Resource, _: Any) -> SecurityGroupSpecification:
    egress = [(rule["IpProtocol"], rule["CidrIp"]) for rule in one["SecurityGroupEgress"]]
    return SecurityGroupSpecification(one["VpcId"], egress == [("-1", "0.0.0.0/0")], bool(one["SecurityGroupIngress"]))


def read_definition(one: Resource, _: Any) -> JobDefinitionSpecification:
    assert (one["Type"], one["PlatformCapabilities"]) == ("container", ["EC2"])
    return definition(
        json.loads(
            json.dumps(one["ContainerProperties"]),
            object_hook=lambda found: {key[:1].lower() + key[1:]: value for key, value in found.items()},
        ),
        one["Parameters"],
        one["Timeout"]["AttemptDurationSeconds"],
    )


def definition(container: dict[str, Any], parameters: dict[str, str], timeout: int) -> JobDefinitionSpecification:
    sizes = {one["type"]: int(one["value"]) for one in container["resourceRequirements"]}
    log = container["logConfiguration"]
    assert log["logDriver"] == "awslogs"
    return JobDefinitionSpecification(
        image=container["image"],
        command=tuple(container["command"]),
        parameters=parameters,
        environment={one["name"]: one["value"] for one in container["environment"]},
        vcpus=sizes["VCPU"],
        memory_mb=sizes["MEMORY"],
        gpus=sizes.get("GPU", 0),
        secrets={one["name"]: one["valueFrom"] for one in container.get("secrets", ())},
        timeout_seconds=timeout,
        job_role=container["jobRoleArn"],
        execution_role=container["executionRoleArn"],
        log_group=log["options"]["awslogs-group"],
        log_region=log["options"]["awslogs-region"],
    )


def read_launch_template(one: Resource, _: Any) -> LaunchTemplateSpecification:
    options = one["LaunchTemplateData"]["MetadataOptions"]
    return LaunchTemplateSpecification(options["HttpTokens"], options["HttpPutResponseHopLimit"])


def read_environment(one: Resource, all_: Any) -> ComputeEnvironmentSpecification:
    resources = one["ComputeResources"]
    assert (one["Type"], resources["MinvCpus"]) == ("MANAGED", 0)
    assert resources["LaunchTemplate"] == {"LaunchTemplateId": "lt-1", "Version": "1"}
    return ComputeEnvironmentSpecification(
        state=one["State"],
        max_vcpus=resources["MaxvCpus"],
        instance_types=tuple(resources["InstanceTypes"]),
        instance_profile=resources["InstanceRole"],
        subnets=tuple(resources["Subnets"]),
        security_groups=tuple(resources["SecurityGroupIds"]),
        launch_template=all_["LaunchTemplate"]["LaunchTemplateName"],
        capacity=resources["Type"],
        allocation=resources["AllocationStrategy"],
        instance_tags=resources["Tags"],
        keep_minutes=resources.get("ScalingPolicy", {}).get("MinScaleDownDelayMinutes", 0),
        image_type=next((each["ImageType"] for each in resources.get("Ec2Configuration", ())), Untold.UNTOLD),
    )


def read_queue(one: Resource, _: Any) -> JobQueueSpecification:
    limits = one["JobStateTimeLimitActions"]
    assert {(limit["State"], limit["Action"]) for limit in limits} == {("RUNNABLE", "CANCEL")}
    return JobQueueSpecification(
        state=one["State"],
        priority=one["Priority"],
        compute_environments=tuple(order["ComputeEnvironment"] for order in one["ComputeEnvironmentOrder"]),
        time_limits=tuple(TimeLimit(limit["Reason"], limit["MaxTimeSeconds"]) for limit in limits),
        fair_share=one["SchedulingPolicyArn"] or "",
    )


READERS: Any = {
    Kind.REPOSITORY: read_repository,
    Kind.LOG_GROUP: lambda one, _: LogGroupSpecification(one["RetentionInDays"]),
    Kind.BUCKET: read_bucket,
    Kind.JOB_ROLE: read_role,
    Kind.EXECUTION_ROLE: read_role,
    Kind.INSTANCE_ROLE: read_role,
    Kind.INSTANCE_PROFILE: lambda one, _: InstanceProfileSpecification(*one["Roles"]),
    Kind.SECURITY_GROUP: read_security_group,
    Kind.LAUNCH_TEMPLATE: read_launch_template,
    Kind.JOB_DEFINITION: read_definition,
    Kind.SPOT_ENVIRONMENT: read_environment,
    Kind.COMPUTE_ENVIRONMENT: read_environment,
    Kind.SCHEDULING_POLICY: lambda one, _: SchedulingPolicySpecification(
        one["FairsharePolicy"]["ShareDecaySeconds"], one["FairsharePolicy"]["ComputeReservation"]
    ),
    Kind.JOB_QUEUE: read_queue,
}


# Terraform


def test_terraform_makes_what_a_plan_makes(chosen: Settings) -> None:
    resources = evaluated(terraform.configuration(chosen, partition(chosen)), chosen)["resource"]
    known = {kind for _, kind in TERRAFORM.values()} | BESIDE
    assert {(kind, name) for kind, named in resources.items() for name in named} <= known
    found = {}
    for kind, place in ((kind, place) for kind, (_, place) in TERRAFORM.items()):
        one = resources.get(place[0], {}).get(place[1])
        if one:
            found[kind] = (one.get("name") or one["bucket"], TERRAFORM[kind][0](one, resources), one["tags"])
    compared(found, chosen)


def test_every_reference_of_the_configuration_leads_somewhere(chosen: Settings) -> None:
    document = terraform.configuration(chosen, partition(chosen))
    for reference in re.findall(r"\$\{([a-z0-9_.]+)\}", json.dumps(document)):
        first, second, *rest = reference.split(".")
        place = {"var": document["variable"], "data": document["data"]}.get(first, document["resource"].get(first))
        assert second in place, reference
        assert rest or first == "var", reference
    for depending in document["resource"]["aws_batch_compute_environment"]["compute"]["depends_on"]:
        kind, name = depending.split(".")
        assert name in document["resource"][kind]


def evaluated(document: Any, settings: Settings) -> Any:
    """The configuration, with its expressions evaluated as Terraform would."""
    names = named(settings)
    values = {
        "data.aws_caller_identity.current.account_id": NUMBER,
        "var.image": uri(settings),
        "var.payload_key": names.of(Kind.PAYLOAD_KEY),
        "aws_iam_policy.worker.arn": "arn:policy",
        "var.vpc": NETWORK.vpc,
        "aws_launch_template.instances.id": "lt-1",
        "aws_launch_template.instances.default_version": "1",
        "aws_security_group.instances.id": NETWORK.security_groups[0],
        "aws_ecr_repository.runner.name": names.of(Kind.REPOSITORY),
        "aws_cloudwatch_log_group.jobs.name": names.of(Kind.LOG_GROUP),
        "aws_cloudwatch_log_group.jobs.arn": names.arn(Kind.LOG_GROUP),
        "aws_s3_bucket.tasks.id": names.of(Kind.BUCKET),
        "aws_s3_bucket.tasks.arn": names.arn(Kind.BUCKET),
        "aws_iam_instance_profile.instance.arn": names.arn(Kind.INSTANCE_PROFILE),
        "aws_batch_scheduling_policy.fair_share.arn": names.arn(Kind.SCHEDULING_POLICY),
        "aws_batch_compute_environment.spot.arn": names.arn(Kind.SPOT_ENVIRONMENT),
        "aws_batch_compute_environment.compute.arn": names.arn(Kind.COMPUTE_ENVIRONMENT),
        "aws_batch_job_queue.queue.name": names.of(Kind.JOB_QUEUE),
        "aws_batch_job_definition.job.name": names.of(Kind.JOB_DEFINITION),
    }
    for role in (Kind.JOB_ROLE, Kind.EXECUTION_ROLE, Kind.INSTANCE_ROLE):
        values[f"aws_iam_role.{role}.name"] = names.of(role)
        values[f"aws_iam_role.{role}.arn"] = names.arn(role)
    lists = {"${var.subnets}": list(NETWORK.subnets), "${var.security_groups}": list(NETWORK.security_groups)}

    def evaluate(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: evaluate(one) for key, one in value.items()}
        if isinstance(value, list):
            return [evaluate(one) for one in value]
        if isinstance(value, str):
            return lists.get(value) or re.sub(r"\$\{([^}]+)\}", lambda match: values[match[1]], value)
        return value

    return evaluate(document)


def terraform_repository(one: Any, all_: Any) -> RepositorySpecification:
    policy = all_["aws_ecr_lifecycle_policy"]["runner"]
    assert policy["repository"] == one["name"]
    (rule,) = json.loads(policy["policy"])["rules"]
    scanned = one["image_scanning_configuration"]["scan_on_push"]
    fixed = one["image_tag_mutability"] == "IMMUTABLE"
    return RepositorySpecification(None, scanned, rule["selection"]["countNumber"], fixed)


def terraform_bucket(one: Any, all_: Any) -> BucketSpecification:
    beside = {kind: all_[kind]["tasks"] for kind, name in BESIDE if name == "tasks"}
    assert {other["bucket"] for other in beside.values()} == {one["bucket"]}
    doors = [value for key, value in beside["aws_s3_bucket_public_access_block"].items() if key != "bucket"]
    encryption = beside["aws_s3_bucket_server_side_encryption_configuration"]["rule"]
    rules = beside["aws_s3_bucket_lifecycle_configuration"]["rule"]
    aborted = [one["abort_incomplete_multipart_upload"]["days_after_initiation"] for one in rules]
    assert aborted == [one["expiration"]["days"] for one in rules]
    return BucketSpecification(
        public_access_blocked=doors == [True] * 4,
        encryption=encryption["apply_server_side_encryption_by_default"]["sse_algorithm"],
        policy=canonical(json.loads(beside["aws_s3_bucket_policy"]["policy"])),
        expiry=tuple(Expiry(rule["filter"]["prefix"], rule["expiration"]["days"]) for rule in rules),
    )


def terraform_role(one: Any, all_: Any) -> RoleSpecification:
    policies = [policy for policy in all_["aws_iam_role_policy"].values() if policy["role"] == one["name"]]
    attached = [each for each in all_["aws_iam_role_policy_attachment"].values() if each["role"] == one["name"]]
    return RoleSpecification(
        trust=canonical(json.loads(one["assume_role_policy"])),
        policies={policy["name"]: canonical(json.loads(policy["policy"])) for policy in policies},
        managed=frozenset(each["policy_arn"] for each in attached),
        boundary=one.get("permissions_boundary", Untold.UNTOLD),
    )


def terraform_security_group(one: Any, all_: Any) -> SecurityGroupSpecification:
    rule = all_["aws_vpc_security_group_egress_rule"]["instances"]
    assert rule["security_group_id"] == NETWORK.security_groups[0]
    return SecurityGroupSpecification(one["vpc_id"], (rule["ip_protocol"], rule["cidr_ipv4"]) == ("-1", "0.0.0.0/0"))


def terraform_definition(one: Any, _: Any) -> JobDefinitionSpecification:
    assert (one["type"], one["platform_capabilities"]) == ("container", ["EC2"])
    container = json.loads(one["container_properties"])
    return definition(container, one["parameters"], one["timeout"]["attempt_duration_seconds"])


def terraform_launch_template(one: Any, _: Any) -> LaunchTemplateSpecification:
    assert one["update_default_version"] is True
    options = one["metadata_options"]
    return LaunchTemplateSpecification(options["http_tokens"], options["http_put_response_hop_limit"])


def terraform_environment(one: Any, all_: Any) -> ComputeEnvironmentSpecification:
    resources = one["compute_resources"]
    assert (one["type"], resources["min_vcpus"]) == ("MANAGED", 0)
    assert resources["launch_template"] == {"launch_template_id": "lt-1", "version": "1"}
    return ComputeEnvironmentSpecification(
        state=one["state"],
        max_vcpus=resources["max_vcpus"],
        instance_types=tuple(resources["instance_type"]),
        instance_profile=resources["instance_role"],
        subnets=tuple(resources["subnets"]),
        security_groups=tuple(resources["security_group_ids"]),
        launch_template=all_["aws_launch_template"]["instances"]["name"],
        capacity=resources["type"],
        allocation=resources["allocation_strategy"],
        instance_tags=resources["tags"],
        keep_minutes=resources.get("scaling_policy", {}).get("min_scale_down_delay_minutes", 0),
        image_type=next((each["image_type"] for each in resources.get("ec2_configuration", ())), Untold.UNTOLD),
    )


def terraform_queue(one: Any, _: Any) -> JobQueueSpecification:
    limits = one["job_state_time_limit_action"]
    assert {(limit["state"], limit["action"]) for limit in limits} == {("RUNNABLE", "CANCEL")}
    return JobQueueSpecification(
        state=one["state"],
        priority=one["priority"],
        compute_environments=tuple(order["compute_environment"] for order in one["compute_environment_order"]),
        time_limits=tuple(TimeLimit(limit["reason"], limit["max_time_seconds"]) for limit in limits),
        fair_share=one.get("scheduling_policy_arn", ""),
    )


TERRAFORM: Any = {
    Kind.REPOSITORY: (terraform_repository, ("aws_ecr_repository", "runner")),
    Kind.LOG_GROUP: (
        lambda one, _: LogGroupSpecification(one["retention_in_days"]),
        ("aws_cloudwatch_log_group", "jobs"),
    ),
    Kind.BUCKET: (terraform_bucket, ("aws_s3_bucket", "tasks")),
    Kind.JOB_ROLE: (terraform_role, ("aws_iam_role", "job_role")),
    Kind.EXECUTION_ROLE: (terraform_role, ("aws_iam_role", "execution_role")),
    Kind.INSTANCE_ROLE: (terraform_role, ("aws_iam_role", "instance_role")),
    Kind.INSTANCE_PROFILE: (
        lambda one, _: InstanceProfileSpecification(one["role"]),
        ("aws_iam_instance_profile", "instance"),
    ),
    Kind.LAUNCH_TEMPLATE: (terraform_launch_template, ("aws_launch_template", "instances")),
    Kind.SECURITY_GROUP: (terraform_security_group, ("aws_security_group", "instances")),
    Kind.JOB_DEFINITION: (terraform_definition, ("aws_batch_job_definition", "job")),
    Kind.SPOT_ENVIRONMENT: (terraform_environment, ("aws_batch_compute_environment", "spot")),
    Kind.COMPUTE_ENVIRONMENT: (terraform_environment, ("aws_batch_compute_environment", "compute")),
    Kind.SCHEDULING_POLICY: (
        lambda one, _: SchedulingPolicySpecification(
            one["fair_share_policy"]["share_decay_seconds"], one["fair_share_policy"]["compute_reservation"]
        ),
        ("aws_batch_scheduling_policy", "fair_share"),
    ),
    Kind.JOB_QUEUE: (terraform_queue, ("aws_batch_job_queue", "queue")),
}
BESIDE = {
    ("aws_ecr_lifecycle_policy", "runner"),
    ("aws_s3_bucket_public_access_block", "tasks"),
    ("aws_s3_bucket_server_side_encryption_configuration", "tasks"),
    ("aws_s3_bucket_policy", "tasks"),
    ("aws_s3_bucket_lifecycle_configuration", "tasks"),
    ("aws_vpc_security_group_egress_rule", "instances"),
    ("aws_iam_policy", "worker"),
    ("aws_iam_role_policy", "job_role"),
    ("aws_iam_role_policy", "execution_role"),
    ("aws_iam_role_policy_attachment", "instance_role"),
}


# The policy of the worker


def worker_policy_of(settings: Settings) -> Any:
    names = named(settings)
    log_group = names.of(Kind.LOG_GROUP)
    handover = Handover.of(names, payload_key=settings.payload_key)
    return worker_policy(
        handover, names.account, task_prefix="scaler-tasks", log_group=log_group, kms_key=settings.kms_key
    )


def test_both_templates_have_the_policy_that_the_command_line_prints(chosen: Settings) -> None:
    document = filled(cloudformation.template(chosen, partition(chosen)), chosen)["WorkerPolicy"]["Properties"]
    configured = evaluated(terraform.configuration(chosen, partition(chosen)), chosen)["resource"]
    assert document["PolicyDocument"] == worker_policy_of(chosen)
    assert json.loads(configured["aws_iam_policy"]["worker"]["policy"]) == worker_policy_of(chosen)


# The command line


def test_the_command_line_asks_aws_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(_: Any) -> None:
        raise AssertionError("AWS was asked")

    monkeypatch.setattr(cli, "open_session", refuse)
    assert cli.main(["template", "--format", "cloudformation", "--region", "cn-north-1"]) == 0
    assert "arn:aws-cn:iam::aws:policy" in capsys.readouterr().out
    file = tmp_path / "main.tf.json"
    assert cli.main(["template", "--format", "terraform", "--spot", "--output", str(file)]) == 0
    assert capsys.readouterr().out == ""
    assert json.loads(file.read_text()) == terraform.configuration(Settings(spot=True), "aws")
    assert cli.main(["template", "--format", "terraform", "--region", "zz-north-7"]) == 0
