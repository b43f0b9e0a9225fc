"""What the identities of people and machines must be allowed: that of the worker, and that of whoever provisions.

Both are least privilege: resources by their names wherever IAM lets them be named, and conditions where it does not.
Which action an operation needs, and on what, is from the Service Authorization Reference.

A provisioner makes roles, and whoever may make a role and give it policies may do whatever it can write into them. A
permissions boundary is the only bound to that: with one, roles can be made under it alone, and nobody can take it off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from scaler_batch.aws import PREFIX_TAG, DefinitionReference
from scaler_batch.provision.handover import IN_SSM
from scaler_batch.provision.naming import Names
from scaler_batch.provision.policies import ecs_agent
from scaler_batch.provision.vocabulary import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scaler_batch.provision.handover import Handover
    from scaler_batch.provision.naming import Account
    from scaler_batch.provision.policies import Document

_PASSED_TO: Final = ("batch.amazonaws.com", "ec2.amazonaws.com", "ecs-tasks.amazonaws.com")
"""What roles are handed to: that of instances by CreateComputeEnvironment, those of jobs by RegisterJobDefinition."""

_LOOKS: Final = (
    "batch:DescribeComputeEnvironments",
    "batch:DescribeJobDefinitions",
    "batch:DescribeJobQueues",
    "batch:DescribeJobs",
    "batch:DescribeSchedulingPolicies",
    "batch:ListJobs",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:DescribeLaunchTemplates",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcEndpoints",
    "ec2:DescribeVpcs",
    "ecr:GetAuthorizationToken",
    "ecs:DescribeClusters",
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "logs:DescribeLogGroups",
    "servicequotas:GetServiceQuota",
    "ssm:DescribeParameters",
)
_BATCH: Final = (
    "batch:CreateComputeEnvironment",
    "batch:CreateJobQueue",
    "batch:CreateSchedulingPolicy",
    "batch:DeleteComputeEnvironment",
    "batch:DeleteJobQueue",
    "batch:DeleteSchedulingPolicy",
    "batch:DeregisterJobDefinition",
    "batch:GetJobQueueSnapshot",
    "batch:RegisterJobDefinition",
    "batch:TagResource",
    "batch:UpdateComputeEnvironment",
    "batch:UpdateJobQueue",
    "batch:UpdateSchedulingPolicy",
)
_REPOSITORY: Final = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:CreateRepository",
    "ecr:DeleteRepository",
    "ecr:DescribeImages",
    "ecr:DescribeRepositories",
    "ecr:GetDownloadUrlForLayer",
    "ecr:GetLifecyclePolicy",
    "ecr:InitiateLayerUpload",
    "ecr:ListTagsForResource",
    "ecr:PutImage",
    "ecr:PutImageScanningConfiguration",
    "ecr:PutImageTagMutability",
    "ecr:PutLifecyclePolicy",
    "ecr:TagResource",
    "ecr:UploadLayerPart",
)
_BUCKET: Final = (
    "s3:AbortMultipartUpload",
    "s3:CreateBucket",
    "s3:DeleteBucket",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:GetBucketPolicy",
    "s3:GetBucketPublicAccessBlock",
    "s3:GetBucketTagging",
    "s3:GetEncryptionConfiguration",
    "s3:GetLifecycleConfiguration",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:ListBucketMultipartUploads",
    "s3:ListBucketVersions",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketTagging",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:PutObject",
    "s3:TagResource",
)
_LOGS: Final = (
    "logs:CreateLogGroup",
    "logs:DeleteLogGroup",
    "logs:GetLogEvents",
    "logs:ListTagsForResource",
    "logs:PutRetentionPolicy",
    "logs:TagResource",
)
_OF_INSTANCES: Final = (
    "ec2:AuthorizeSecurityGroupEgress",
    "ec2:CreateLaunchTemplateVersion",
    "ec2:CreateTags",
    "ec2:DeleteLaunchTemplate",
    "ec2:DeleteSecurityGroup",
    "ec2:ModifyLaunchTemplate",
    "ec2:RevokeSecurityGroupIngress",
)
"""On what is ours by its tag: the security group and the launch template."""

_ROLES_AND_PROFILE: Final = (
    "iam:AddRoleToInstanceProfile",
    "iam:CreateInstanceProfile",
    "iam:DeleteInstanceProfile",
    "iam:DeleteRole",
    "iam:DeleteRolePolicy",
    "iam:GetInstanceProfile",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListRolePolicies",
    "iam:RemoveRoleFromInstanceProfile",
    "iam:TagInstanceProfile",
    "iam:TagRole",
    "iam:UpdateAssumeRolePolicy",
)
_BOUNDED: Final = ("iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy")
"""What makes a role mighty, and so is allowed under the boundary only, where there is one."""


_PAYLOAD_KEY: Final = ("ssm:AddTagsToResource", "ssm:DeleteParameter", "ssm:ListTagsForResource", "ssm:PutParameter")
"""Making the key that seals tasks and results, and not reading it."""


def worker_policy(
    names: Handover, account: Account, *, task_prefix: str, log_group: str, kms_key: str | None = None
) -> Document:
    """What the worker's identity needs.

    Args:
        names: Region, bucket, queue and definition; the latter two by name or ARN.
        account: Whose they are.
        task_prefix: Key prefix of the worker in the bucket.
        log_group: Where jobs log.
        kms_key: ARN of the key that encrypts the payload key, where there is one and it is not AWS's own.
    """

    def regional(service: str, resource: str) -> str:
        return f"arn:{account.partition}:{service}:{names.region}:{account.number}:{resource}"

    queue = names.job_queue if names.job_queue.startswith("arn:") else regional("batch", f"job-queue/{names.job_queue}")
    reference = DefinitionReference.parse(names.job_definition)
    name = reference.name if reference else names.job_definition
    definitions = [regional("batch", f"job-definition/{name}"), regional("batch", f"job-definition/{name}:*")]
    parameter = f"parameter/{names.payload_key.removeprefix(IN_SSM).removeprefix('/')}"
    jobs, bucket = regional("batch", "job/*"), f"arn:{account.partition}:s3:::{names.bucket}"
    looks = ["batch:DescribeJobDefinitions", "batch:DescribeJobQueues", "batch:DescribeJobs", "batch:ListJobs"]
    return _document(
        _allow("Submit", ["batch:SubmitJob"], [queue, *definitions]),
        _allow("TagWhatIsSubmitted", ["batch:TagResource"], [jobs, *definitions]),
        _allow("End", ["batch:TerminateJob"], [jobs]),
        _allow("Look", looks, ["*"]),
        _allow("List", ["s3:ListBucket"], [bucket], {"StringLike": {"s3:prefix": f"{task_prefix}/*"}}),
        _allow("Data", ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"], [f"{bucket}/{task_prefix}/*"]),
        _allow("Logs", ["logs:GetLogEvents"], [regional("logs", f"log-group:{log_group}:log-stream:*")]),
        *([_allow("PayloadKey", ["ssm:GetParameter"], [regional("ssm", parameter)])] if names.payload_key else []),
        *([_allow("DecryptPayloadKey", ["kms:Decrypt"], [kms_key])] if names.payload_key and kms_key else []),
    )


def provisioner_policy(
    names: Names, *, boundary: str | None = None, payload_key: bool = False, kms_key: str | None = None
) -> Document:
    """What the identity needs that provisions, examines and cleans up.

    Args:
        names: What the resources are called.
        boundary: ARN of the policy that bounds all roles that are made.
        payload_key: Whether a payload key may be made, and removed.
        kms_key: ARN of the key that encrypts the payload key, where there is one and it is not AWS's own.
    """
    bucket, logs = names.arn(Kind.BUCKET), names.arn(Kind.LOG_GROUP)
    return _document(
        _allow("Look", _LOOKS, ["*"]),
        _allow("Batch", _BATCH, _batch_resources(names)),
        _allow("Repository", _REPOSITORY, [names.arn(Kind.REPOSITORY)]),
        _allow("Bucket", _BUCKET, [bucket, f"{bucket}/*"]),
        _allow("Logs", _LOGS, [logs, f"{logs}:*"]),
        *([_allow("PayloadKey", _PAYLOAD_KEY, [names.arn(Kind.PAYLOAD_KEY)])] if payload_key else []),
        *([_allow("EncryptPayloadKey", ["kms:Encrypt"], [kms_key])] if payload_key and kms_key else []),
        *_instance_statements(names),
        *_role_statements(names, boundary),
    )


def _batch_resources(names: Names) -> list[str]:
    kinds = (
        Kind.SPOT_ENVIRONMENT,
        Kind.COMPUTE_ENVIRONMENT,
        Kind.SCHEDULING_POLICY,
        Kind.JOB_QUEUE,
        Kind.JOB_DEFINITION,
    )
    return [*map(names.arn, kinds), f"{names.arn(Kind.JOB_DEFINITION)}:*"]


def _instance_statements(names: Names) -> list[Document]:
    """Ids of security groups and launch templates are EC2's to give, so ours are known by their tag."""
    group, template, vpc = (names.regional("ec2", f"{kind}/*") for kind in ("security-group", "launch-template", "vpc"))
    ours = {"StringEquals": {f"aws:ResourceTag/{PREFIX_TAG}": names.target.prefix}}
    new = {"StringEquals": {"ec2:CreateAction": ["CreateLaunchTemplate", "CreateSecurityGroup"]}}
    return [
        _allow("ForInstances", ["ec2:CreateLaunchTemplate", "ec2:CreateSecurityGroup"], [group, template, vpc]),
        _allow("TagNew", ["ec2:CreateTags"], [group, template], new),
        _allow("Instances", _OF_INSTANCES, [group, template], ours),
    ]


def _role_statements(names: Names, boundary: str | None) -> list[Document]:
    roles = [names.any_role]
    bound = {"StringEquals": {"iam:PermissionsBoundary": boundary}} if boundary else {}
    agent = {"ArnEquals": {"iam:PolicyARN": ecs_agent(names.account.partition)}}
    batch = f"arn:{names.account.partition}:iam::*:role/aws-service-role/batch.amazonaws.com/*"
    return [
        _allow("Roles", _ROLES_AND_PROFILE, [*roles, names.arn(Kind.INSTANCE_PROFILE)]),
        _allow("MakeRoles", _BOUNDED if boundary else [one for one in _BOUNDED if "Boundary" not in one], roles, bound),
        _allow("Agent", ["iam:AttachRolePolicy", "iam:DetachRolePolicy"], roles, agent),
        _allow("PassRoles", ["iam:PassRole"], roles, {"StringLike": {"iam:PassedToService": _services(names)}}),
        _allow("RoleOfBatch", ["iam:CreateServiceLinkedRole"], [batch]),
    ]


def _services(names: Names) -> list[str]:
    """The Chinese partition calls EC2 by another name, here as well as in trust policies."""
    return [*_PASSED_TO, *(["ec2.amazonaws.com.cn"] if names.account.partition == "aws-cn" else [])]


def _allow(
    sid: str, actions: Sequence[str], resources: Sequence[str], condition: Mapping[str, Any] | None = None
) -> Document:
    statement = {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": list(resources)}
    return {**statement, "Condition": dict(condition)} if condition else statement


def _document(*statements: Document) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}
