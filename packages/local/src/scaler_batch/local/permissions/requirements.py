"""Which permissions a request needs, for the services that scaler-batch uses.

From the Service Authorization Reference. A service or operation that is not here needs the action of its own name on
every resource, which only a statement about ``*`` gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from .asked import Asked
from .policies import Context, Principal, Requirement

Source = Callable[[Asked], Iterator[Requirement]]

ALWAYS_ALLOWED: Final = frozenset({"sts:GetCallerIdentity", "sso:GetRoleCredentials"})

S3_ACTIONS: Final = {
    "HeadObject": "GetObject",
    "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListBuckets": "ListAllMyBuckets",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListParts": "ListMultipartUploadParts",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "DeleteObjects": "DeleteObject",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
}
"""Operations of S3 whose action has another name."""

_S3_CONTEXT: Final = {"prefix": "s3:prefix", "delimiter": "s3:delimiter", "max-keys": "s3:max-keys"}
_OBJECT: Final = re.compile(rb"<Object>(.*?)</Object>", re.DOTALL)
_KEY: Final = re.compile(rb"<Key>(.*?)</Key>", re.DOTALL)


def requirements(asked: Asked) -> list[Requirement]:
    """The permissions that a request needs, all of them."""
    source = _SOURCES.get(asked.call.service, _by_name)
    return list(source(asked))


def request_context(asked: Asked, principal: Principal) -> Context:
    """Values of condition keys that every request has, and of the tags that it gives."""
    tags = asked.parameters.get("tags")
    given = tags.items() if isinstance(tags, dict) else ()
    return (
        ("aws:principalarn", principal.arn),
        ("aws:principalaccount", asked.scope.account),
        ("aws:resourceaccount", asked.scope.account),
        ("aws:requestedregion", asked.scope.region),
        ("aws:securetransport", "true"),
        *((f"aws:requesttag/{name}".lower(), str(value)) for name, value in given),
    )


def listing_requirement(asked: Asked) -> Requirement:
    """The permission without which S3 answers 403 instead of 404 for an object that is not there."""
    bucket, _ = asked.bucket_and_key
    return Requirement("s3:ListBucket", (f"arn:{asked.partition}:s3:::{bucket}",))


def _by_name(asked: Asked) -> Iterator[Requirement]:
    yield Requirement(f"{asked.call.service}:{asked.operation}")


def _s3(asked: Asked) -> Iterator[Requirement]:
    bucket, key = asked.bucket_and_key
    action = f"s3:{S3_ACTIONS.get(asked.operation, asked.operation)}"
    within = f"arn:{asked.partition}:s3:::{bucket}"
    if not bucket:
        yield Requirement(action)
    elif asked.operation == "DeleteObjects":
        for each in _OBJECT.findall(asked.body):
            yield _deletion(each, within)
    else:
        context = tuple((name, asked.query[given]) for given, name in _S3_CONTEXT.items() if given in asked.query)
        yield Requirement(action, (f"{within}/{key}" if key else within,), context)
        yield from _s3_besides(asked, f"{within}/{key}")


def _deletion(listed: bytes, within: str) -> Requirement:
    """The permission to delete one object of several, or one version of it."""
    (key,) = _KEY.findall(listed) or [b""]
    action = "s3:DeleteObjectVersion" if b"<VersionId>" in listed else "s3:DeleteObject"
    return Requirement(action, (f"{within}/{_unescaped(key)}",))


def _s3_besides(asked: Asked, resource: str) -> Iterator[Requirement]:
    environ = asked.call.environ
    if asked.operation == "CreateBucket" and b"<Tags>" in asked.body:
        yield Requirement("s3:TagResource", (resource.removesuffix("/"),))
    if "HTTP_X_AMZ_TAGGING" in environ:
        yield Requirement("s3:PutObjectTagging", (resource,))
    if asked.operation == "CopyObject":
        source = unquote(str(environ.get("HTTP_X_AMZ_COPY_SOURCE", ""))).lstrip("/").partition("?")[0]
        yield Requirement("s3:GetObject", (f"arn:{asked.partition}:s3:::{source}",))


def _unescaped(key: bytes) -> str:
    text = key.decode("utf-8", "replace")
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        text = text.replace(entity, character)
    return text


_BATCH_RESOURCES: Final[Mapping[str, tuple[str, str]]] = {
    "CreateComputeEnvironment": ("computeEnvironmentName", "compute-environment/"),
    "UpdateComputeEnvironment": ("computeEnvironment", "compute-environment/"),
    "DeleteComputeEnvironment": ("computeEnvironment", "compute-environment/"),
    "CreateJobQueue": ("jobQueueName", "job-queue/"),
    "UpdateJobQueue": ("jobQueue", "job-queue/"),
    "DeleteJobQueue": ("jobQueue", "job-queue/"),
    "GetJobQueueSnapshot": ("jobQueue", "job-queue/"),
    "RegisterJobDefinition": ("jobDefinitionName", "job-definition/"),
    "DeregisterJobDefinition": ("jobDefinition", "job-definition/"),
    "CreateSchedulingPolicy": ("name", "scheduling-policy/"),
    "UpdateSchedulingPolicy": ("arn", "scheduling-policy/"),
    "DeleteSchedulingPolicy": ("arn", "scheduling-policy/"),
    "TerminateJob": ("jobId", "job/"),
    "CancelJob": ("jobId", "job/"),
}
_BATCH_BULK: Final = {"TerminateJobs": "TerminateJob", "CancelJobs": "CancelJob"}


def _batch(asked: Asked) -> Iterator[Requirement]:
    operation, parameters = asked.operation, asked.parameters
    if operation == "SubmitJob":
        yield from _submission(asked)
    elif operation in _BATCH_BULK:
        for job in parameters.get("jobs") or ():
            yield Requirement(f"batch:{_BATCH_BULK[operation]}", (asked.arn("batch", f"job/{job}"),))
    elif operation in {"TagResource", "UntagResource", "ListTagsForResource"}:
        arn = unquote(str(asked.call.environ.get("PATH_INFO", "")).partition("/v1/tags/")[2])
        yield Requirement(f"batch:{operation}", (arn,))
    elif operation in _BATCH_RESOURCES:
        yield from _batch_resource(asked)
    else:
        yield from _by_name(asked)


def _batch_resource(asked: Asked) -> Iterator[Requirement]:
    name, prefix = _BATCH_RESOURCES[asked.operation]
    given = asked.text(name)
    resource = given if given.startswith("arn:") else asked.arn("batch", f"{prefix}{given}")
    yield Requirement(f"batch:{asked.operation}", (resource,))
    for each in asked.parameters.get("computeEnvironmentOrder") or ():
        environment = str(each.get("computeEnvironment", ""))
        named = environment if environment.startswith("arn:") else f"compute-environment/{environment}"
        yield Requirement(f"batch:{asked.operation}", (asked.arn("batch", named),))
    if asked.text("schedulingPolicyArn"):
        yield Requirement(f"batch:{asked.operation}", (asked.text("schedulingPolicyArn"),))
    if asked.parameters.get("tags"):
        yield Requirement("batch:TagResource", (resource,))
    yield from _passed_to_batch(asked)


def _submission(asked: Asked) -> Iterator[Requirement]:
    queue, definition = asked.text("jobQueue"), asked.text("jobDefinition")
    share = asked.text("shareIdentifier")
    context = (("batch:shareidentifier", share),) if share else ()
    names = [(queue, "job-queue/"), (definition, "job-definition/")]
    resources = [name if name.startswith("arn:") else asked.arn("batch", f"{kind}{name}") for name, kind in names]
    for resource in resources:
        yield Requirement("batch:SubmitJob", (resource,), context)
    if asked.parameters.get("tags"):
        yield Requirement("batch:TagResource", (resources[1],))


def _passed_to_batch(asked: Asked) -> Iterator[Requirement]:
    container = asked.parameters.get("containerProperties") or {}
    for role in (container.get("jobRoleArn"), container.get("executionRoleArn")):
        if role:
            yield pass_role(str(role), "ecs-tasks.amazonaws.com")
    if asked.parameters.get("serviceRole"):
        yield pass_role(asked.text("serviceRole"), "batch.amazonaws.com")


def pass_role(role: str, service: str) -> Requirement:
    """The permission to give a role to a service."""
    return Requirement("iam:PassRole", (role,), (("iam:passedtoservice", service),))


_IAM_RESOURCES: Final = (
    ("InstanceProfileName", "instance-profile"),
    ("RoleName", "role"),
    ("PolicyName", "policy"),
    ("UserName", "user"),
)
_IAM_CONTEXT: Final = {
    "PolicyArn": "iam:policyarn",
    "PermissionsBoundary": "iam:permissionsboundary",
    "AWSServiceName": "iam:awsservicename",
}
_IAM_TAGGED: Final = {
    "CreateInstanceProfile": "TagInstanceProfile",
    "CreatePolicy": "TagPolicy",
    "CreateRole": "TagRole",
    "CreateUser": "TagUser",
}
"""What else somebody needs who makes something that has tags from the start."""

_ON_EVERYTHING: Final = frozenset({"ListRoles", "ListPolicies", "ListUsers", "ListInstanceProfiles"})


def _iam(asked: Asked) -> Iterator[Requirement]:
    context = tuple((key, asked.text(name)) for name, key in _IAM_CONTEXT.items() if asked.text(name))
    resource = _iam_resource(asked)
    yield Requirement(f"iam:{asked.operation}", (resource,), context)
    if asked.operation in _IAM_TAGGED and asked.text("Tags.member.1.Key"):
        yield Requirement(f"iam:{_IAM_TAGGED[asked.operation]}", (resource,))
    if asked.operation == "AddRoleToInstanceProfile":
        role = asked.arn("iam", f"role/{asked.text('RoleName')}", regional=False)
        yield pass_role(role, "ec2.amazonaws.com")


def _iam_resource(asked: Asked) -> str:
    if asked.operation in _ON_EVERYTHING:
        return "*"
    if asked.operation == "CreateServiceLinkedRole":
        service = asked.text("AWSServiceName")
        return asked.arn("iam", f"role/aws-service-role/{service}/*", regional=False)
    for parameter, kind in _IAM_RESOURCES:
        if asked.text(parameter):
            path = asked.text("Path").strip("/")
            name = f"{path}/{asked.text(parameter)}" if path else asked.text(parameter)
            return asked.arn("iam", f"{kind}/{name}", regional=False)
    return asked.text("PolicyArn") or "*"


_EC2_NAMES: Final = ("GroupId", "InstanceId.1", "LaunchTemplateId", "SubnetId", "VpcId")
_EC2_KINDS: Final = {
    "i": "instance",
    "lt": "launch-template",
    "sg": "security-group",
    "subnet": "subnet",
    "vpc": "vpc",
}
"""What ids are of, by how they begin."""

_EC2_CREATED: Final = {"CreateSecurityGroup": "security-group/*", "CreateLaunchTemplate": "launch-template/*"}


def _ec2(asked: Asked) -> Iterator[Requirement]:
    action = f"ec2:{asked.operation}"
    if asked.operation.startswith(("Describe", "Get")):
        yield Requirement(action)
        return
    found = [f"{_EC2_KINDS.get(each.partition('-')[0], '*')}/{each}" for each in _ec2_ids(asked)]
    created = _EC2_CREATED.get(asked.operation)
    for resource in (*([created] if created else ()), *found) or ("*",):
        yield Requirement(action, (asked.arn("ec2", resource) if resource != "*" else resource,))
    if created and any(name.startswith("TagSpecification") for name in asked.parameters):
        yield Requirement("ec2:CreateTags", (asked.arn("ec2", created),), (("ec2:createaction", asked.operation),))


def _ec2_ids(asked: Asked) -> list[str]:
    named = [asked.text(name) for name in _EC2_NAMES if asked.text(name)]
    return [*named, *(str(value) for name, value in asked.parameters.items() if name.startswith("ResourceId."))]


def _logs(asked: Asked) -> Iterator[Requirement]:
    group, stream = asked.text("logGroupName"), asked.text("logStreamName")
    base = asked.text("resourceArn") or asked.arn("logs", f"log-group:{group or '*'}")
    resources = (f"{base}:log-stream:{stream}",) if stream else (f"{base}:*", base, f"{base}:log-stream:")
    yield Requirement(f"logs:{asked.operation}", resources)
    if asked.operation == "CreateLogGroup" and asked.parameters.get("tags"):
        yield Requirement("logs:TagResource", resources)


def _ecr(asked: Asked) -> Iterator[Requirement]:
    name = asked.text("resourceArn") or asked.text("repositoryName")
    if asked.operation == "DescribeRepositories":
        yield from _named("ecr", "repositoryName", "repository/")(asked)
        return
    resource = asked.arn("ecr", name if name.startswith("arn:") else f"repository/{name}") if name else "*"
    yield Requirement(f"ecr:{asked.operation}", (resource,))
    if asked.operation == "CreateRepository" and asked.parameters.get("tags"):
        yield Requirement("ecr:TagResource", (resource,))


def _named(action: str, parameter: str, prefix: str) -> Source:
    """Requirements of a service whose operations name one resource, or several, in one parameter."""

    def source(asked: Asked) -> Iterator[Requirement]:
        given = asked.parameters.get(parameter) or asked.parameters.get(f"{parameter}s")
        names: list[Any] = given if isinstance(given, list) else [given] if given else []
        for name in names or ["*"]:
            resource = "*" if name == "*" else asked.arn(action, f"{prefix}{str(name).lstrip('/')}")
            yield Requirement(f"{action}:{asked.operation}", (resource,))

    return source


def _ssm(asked: Asked) -> Iterator[Requirement]:
    """Parameters are named in several ways; to tag one takes a permission of its own, at its making too."""
    name = "ResourceId" if asked.text("ResourceId") else "Name"
    yield from _named("ssm", name, "parameter/")(asked)
    if asked.operation == "PutParameter" and asked.parameters.get("Tags"):
        resource = asked.arn("ssm", f"parameter/{asked.text('Name').lstrip('/')}")
        yield Requirement("ssm:AddTagsToResource", (resource,))


def _sts(asked: Asked) -> Iterator[Requirement]:
    yield Requirement(f"sts:{asked.operation}", (asked.text("RoleArn") or "*",))


_SOURCES: Final[Mapping[str, Source]] = {
    "s3": _s3,
    "batch": _batch,
    "iam": _iam,
    "ec2": _ec2,
    "logs": _logs,
    "sts": _sts,
    "ecr": _ecr,
    "ecs": _named("ecs", "cluster", "cluster/"),
    "ssm": _ssm,
    "secretsmanager": _named("secretsmanager", "SecretId", "secret:"),
}
