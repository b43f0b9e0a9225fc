"""A CloudFormation template, in JSON.

Texts that hold a ``${symbol}`` become ``Fn::Sub``, so that account, ARNs and the order of making follow from what they
refer to.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from scaler_batch.provision.resources.repository import FIXED, lifecycle
from scaler_batch.provision.templates.blueprint import MAKE_KEY, draw, referring
from scaler_batch.provision.vocabulary import Kind, Untold

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler_batch.provision.naming import Names
    from scaler_batch.provision.settings import Settings
    from scaler_batch.provision.templates.blueprint import Blueprint
    from scaler_batch.provision.vocabulary import Wanted

Document = dict[str, Any]

_SYMBOLS: Final = {
    "account": "${AWS::AccountId}",
    "vpc": "${Vpc}",
    "own_group": "${SecurityGroup.GroupId}",
}
_REFERENCES: Final[Mapping[Kind, str]] = {
    Kind.BUCKET: "${Bucket.Arn}",
    Kind.JOB_ROLE: "${JobRole.Arn}",
    Kind.EXECUTION_ROLE: "${ExecutionRole.Arn}",
    Kind.INSTANCE_PROFILE: "${InstanceProfile.Arn}",
    Kind.SPOT_ENVIRONMENT: "${SpotEnvironment}",
    Kind.COMPUTE_ENVIRONMENT: "${ComputeEnvironment}",
    Kind.SCHEDULING_POLICY: "${SchedulingPolicy}",
}
"""What stands for the ARN of a resource. That of a log group has another form there, so it is not among them."""


def template(settings: Settings, partition: str) -> Document:
    """Write the template for one region."""
    blueprint = draw(settings, partition, **_SYMBOLS)
    names = blueprint.names
    resources = {logical: body for one in blueprint.wanted for logical, body in _resources(one, blueprint).items()}
    resources["WorkerPolicy"] = _worker_policy(blueprint)
    references = [(names.arn(kind), reference) for kind, reference in _REFERENCES.items()]
    references.append((names.arn(Kind.PAYLOAD_KEY), names.regional("ssm", "parameter${PayloadKey}")))
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"What scaler-batch runs on, for the prefix {names.target.prefix} in {names.target.region}",
        "Parameters": _parameters(settings, names),
        "Rules": _rules(names.target.region),
        "Resources": _substituted(referring(resources, references)),
        "Outputs": _substituted(_outputs(blueprint)),
    }


def _parameters(settings: Settings, names: Names) -> Document:
    key = {"Type": "String", "AllowedPattern": "(/[a-zA-Z0-9_.-]+)+", "Description": MAKE_KEY}
    image = {"Type": "String", "Description": "URI of the container image of the runner"}
    subnets = {"Type": "List<AWS::EC2::Subnet::Id>", "Description": "Subnets of instances; they need a way out"}
    groups = {"Type": "List<AWS::EC2::SecurityGroup::Id>", "Description": "Security groups of instances"}
    vpc = {"Type": "AWS::EC2::VPC::Id", "Description": "VPC of the subnets"}
    return {
        "Image": _with_default(image, settings.image),
        "Subnets": _with_default(subnets, ",".join(settings.subnets)),
        **(
            {"SecurityGroups": _with_default(groups, ",".join(settings.security_groups))}
            if settings.security_groups
            else {"Vpc": _with_default(vpc, settings.vpc)}
        ),
        **({"PayloadKey": _with_default(key, names.of(Kind.PAYLOAD_KEY))} if settings.payload_key else {}),
    }


def _with_default(parameter: Document, value: str | None) -> Document:
    return {**parameter, "Default": value} if value else parameter


def _rules(region: str) -> Document:
    """Names and the log's region are written out, so the template is for one region."""
    assertion = {
        "Assert": {"Fn::Equals": [{"Ref": "AWS::Region"}, region]},
        "AssertDescription": f"This template was written for {region}",
    }
    return {"Region": {"Assertions": [assertion]}}


def _outputs(blueprint: Blueprint) -> Document:
    names = blueprint.names
    values = {
        "Region": names.target.region,
        "Bucket": names.of(Kind.BUCKET),
        "JobQueue": names.of(Kind.JOB_QUEUE),
        "JobDefinition": names.of(Kind.JOB_DEFINITION),
        **({"PayloadKey": "ssm:${PayloadKey}"} if blueprint.settings.payload_key else {}),
    }
    outputs = {name: {"Description": "For the worker adapter", "Value": value} for name, value in values.items()}
    policy = {"Description": "Attach it to the identity of the worker", "Value": "${WorkerPolicy}"}
    return {**outputs, "WorkerPolicy": policy}


def _resources(one: Wanted[Any], blueprint: Blueprint) -> dict[str, Document]:
    """The resource, and what CloudFormation counts as one of its own beside it."""
    writers = {
        Kind.REPOSITORY: _repository,
        Kind.LOG_GROUP: _log_group,
        Kind.BUCKET: _bucket,
        Kind.JOB_ROLE: _role,
        Kind.EXECUTION_ROLE: _role,
        Kind.INSTANCE_ROLE: _role,
        Kind.INSTANCE_PROFILE: _instance_profile,
        Kind.SECURITY_GROUP: _security_group,
        Kind.LAUNCH_TEMPLATE: _launch_template,
        Kind.JOB_DEFINITION: _job_definition,
        Kind.SPOT_ENVIRONMENT: _compute_environment,
        Kind.COMPUTE_ENVIRONMENT: _compute_environment,
        Kind.SCHEDULING_POLICY: _scheduling_policy,
        Kind.JOB_QUEUE: _job_queue,
    }
    resources = {logical_id(one.kind): writers[one.kind](one)}
    if one.kind is Kind.BUCKET:
        resources["BucketPolicy"] = _bucket_policy(one)
    return resources


def logical_id(kind: Kind) -> str:
    """What the resource is called within the template."""
    return "".join(word.capitalize() for word in kind.split("_"))


def _repository(one: Wanted[Any]) -> Document:
    return _resource(
        "AWS::ECR::Repository",
        RepositoryName=one.name,
        ImageTagMutability=FIXED if one.specification.tags_are_fixed else "MUTABLE",
        ImageScanningConfiguration={"ScanOnPush": one.specification.scan_on_push},
        LifecyclePolicy={"LifecyclePolicyText": json.dumps(lifecycle(one.specification.kept_images))},
        EmptyOnDelete=True,
        Tags=_tag_list(one),
    )


def _log_group(one: Wanted[Any]) -> Document:
    return _resource(
        "AWS::Logs::LogGroup",
        LogGroupName=one.name,
        RetentionInDays=one.specification.retention_days,
        Tags=_tag_list(one),
    )


def _bucket(one: Wanted[Any]) -> Document:
    blocked = one.specification.public_access_blocked
    doors = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    default = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": one.specification.encryption}}
    rules = [
        {
            "Id": f"expire {rule.prefix}",
            "Status": "Enabled",
            "Prefix": rule.prefix,
            "ExpirationInDays": rule.days,
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": rule.days},
        }
        for rule in one.specification.expiry
    ]
    return _resource(
        "AWS::S3::Bucket",
        BucketName=one.name,
        PublicAccessBlockConfiguration=dict.fromkeys(doors, blocked),
        BucketEncryption={"ServerSideEncryptionConfiguration": [default]},
        LifecycleConfiguration={"Rules": rules},
        Tags=_tag_list(one),
    )


def _bucket_policy(one: Wanted[Any]) -> Document:
    return _resource("AWS::S3::BucketPolicy", Bucket={"Ref": "Bucket"}, PolicyDocument=one.specification.policy)


def _worker_policy(blueprint: Blueprint) -> Document:
    return _resource(
        "AWS::IAM::ManagedPolicy",
        ManagedPolicyName=blueprint.worker_policy_name,
        Description="What the scaler-batch worker needs",
        PolicyDocument=blueprint.worker_policy,
    )


def _role(one: Wanted[Any]) -> Document:
    policies = one.specification.policies.items()
    boundary = one.specification.boundary
    return _resource(
        "AWS::IAM::Role",
        RoleName=one.name,
        AssumeRolePolicyDocument=one.specification.trust,
        Policies=[{"PolicyName": name, "PolicyDocument": document} for name, document in policies],
        ManagedPolicyArns=sorted(one.specification.managed),
        PermissionsBoundary=[] if isinstance(boundary, Untold) else boundary,
        Tags=_tag_list(one),
    )


def _instance_profile(one: Wanted[Any]) -> Document:
    return _resource("AWS::IAM::InstanceProfile", InstanceProfileName=one.name, Roles=[{"Ref": "InstanceRole"}])


def _security_group(one: Wanted[Any]) -> Document:
    return _resource(
        "AWS::EC2::SecurityGroup",
        GroupName=one.name,
        GroupDescription="Instances of AWS Batch: everything out, nothing in",
        VpcId=one.specification.vpc,
        SecurityGroupEgress=[{"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}],
        Tags=_tag_list(one),
    )


def _launch_template(one: Wanted[Any]) -> Document:
    options = {
        "HttpEndpoint": "enabled",
        "HttpTokens": one.specification.metadata_tokens,
        "HttpPutResponseHopLimit": one.specification.metadata_hops,
    }
    return _resource(
        "AWS::EC2::LaunchTemplate",
        LaunchTemplateName=one.name,
        LaunchTemplateData={"MetadataOptions": options},
        TagSpecifications=[{"ResourceType": "launch-template", "Tags": _tag_list(one)}],
    )


def _job_definition(one: Wanted[Any]) -> Document:
    wanted = one.specification
    return _resource(
        "AWS::Batch::JobDefinition",
        JobDefinitionName=one.name,
        Type="container",
        PlatformCapabilities=["EC2"],
        Parameters=dict(wanted.parameters),
        Timeout={"AttemptDurationSeconds": wanted.timeout_seconds},
        ContainerProperties={
            "Image": {"Ref": "Image"},
            "Command": list(wanted.command),
            "Environment": [{"Name": name, "Value": value} for name, value in wanted.environment.items()],
            "ResourceRequirements": [{"Type": kind, "Value": str(size)} for kind, size in wanted.requirements.items()],
            **_secrets(wanted.secrets),
            "JobRoleArn": wanted.job_role,
            "ExecutionRoleArn": wanted.execution_role,
            "LogConfiguration": {
                "LogDriver": "awslogs",
                "Options": {"awslogs-group": {"Ref": "LogGroup"}, "awslogs-region": wanted.log_region},
            },
        },
        Tags=dict(one.tags),
    )


def _secrets(secrets: Mapping[str, str]) -> Document:
    listed = [{"Name": name, "ValueFrom": arn} for name, arn in secrets.items()]
    return {"Secrets": listed} if listed else {}


def _compute_environment(one: Wanted[Any]) -> Document:
    wanted = one.specification
    untold = isinstance(wanted.image_type, Untold)
    return _resource(
        "AWS::Batch::ComputeEnvironment",
        ComputeEnvironmentName=one.name,
        Type="MANAGED",
        State=wanted.state,
        # A name can be had once, so it is changed in place and never replaced.
        ReplaceComputeEnvironment=False,
        ComputeResources={
            "Type": wanted.capacity,
            "AllocationStrategy": wanted.allocation,
            "MinvCpus": 0,
            "MaxvCpus": wanted.max_vcpus,
            "InstanceTypes": list(wanted.instance_types),
            "InstanceRole": wanted.instance_profile,
            "Subnets": {"Ref": "Subnets"},
            "LaunchTemplate": {
                "LaunchTemplateId": {"Ref": "LaunchTemplate"},
                "Version": {"Fn::GetAtt": ["LaunchTemplate", "DefaultVersionNumber"]},
            },
            "SecurityGroupIds": list(wanted.security_groups) or {"Ref": "SecurityGroups"},
            "Tags": dict(wanted.instance_tags),
            **({"ScalingPolicy": {"MinScaleDownDelayMinutes": wanted.keep_minutes}} if wanted.keep_minutes else {}),
            **({} if untold else {"Ec2Configuration": [{"ImageType": wanted.image_type}]}),
        },
        Tags=dict(one.tags),
    )


def _scheduling_policy(one: Wanted[Any]) -> Document:
    wanted = one.specification
    share = {"ShareDecaySeconds": wanted.decay_seconds, "ComputeReservation": wanted.reservation}
    return _resource("AWS::Batch::SchedulingPolicy", Name=one.name, FairsharePolicy=share, Tags=dict(one.tags))


def _job_queue(one: Wanted[Any]) -> Document:
    wanted = one.specification
    return _resource(
        "AWS::Batch::JobQueue",
        JobQueueName=one.name,
        State=wanted.state,
        Priority=wanted.priority,
        ComputeEnvironmentOrder=[
            {"Order": order, "ComputeEnvironment": arn} for order, arn in enumerate(wanted.compute_environments, 1)
        ],
        SchedulingPolicyArn=wanted.fair_share or [],
        JobStateTimeLimitActions=[
            {"Reason": limit.reason, "State": "RUNNABLE", "MaxTimeSeconds": limit.seconds, "Action": "CANCEL"}
            for limit in wanted.time_limits
        ],
        Tags=dict(one.tags),
    )


def _resource(kind: str, **properties: Any) -> Document:
    """A resource, without properties that say nothing."""
    return {"Type": kind, "Properties": {name: value for name, value in properties.items() if value not in ([], {})}}


def _tag_list(one: Wanted[Any]) -> list[Document]:
    return [{"Key": key, "Value": value} for key, value in one.tags.items()]


def _substituted(value: Any) -> Any:
    """Have CloudFormation fill in the symbols."""
    if isinstance(value, dict):
        return {key: _substituted(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_substituted(one) for one in value]
    if not isinstance(value, str) or "${" not in value:
        return value
    return _reference(value[2:-1]) if value.count("${") == 1 and value[:2] + value[-1] == "${}" else {"Fn::Sub": value}


def _reference(symbol: str) -> Document:
    name, dot, attribute = symbol.partition(".")
    return {"Fn::GetAtt": [name, attribute]} if dot else {"Ref": name}
