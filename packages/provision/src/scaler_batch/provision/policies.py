"""The IAM documents, as values: who may assume a role, and what it may then do. Nothing here talks to AWS.

Three roles, because three parties act: the user's code in the container (job role: inputs and outcomes of tasks, and no
more), ECS before that container runs (execution role: pull the image, open the log), and the ECS agent on the
instance (instance role: AWS's own policy for it).
"""

from __future__ import annotations

import json
from typing import Any, Final, TypeAlias

Document: TypeAlias = dict[str, Any]
"""An IAM policy document, as JSON has it."""

_VERSION: Final = "2012-10-17"


SOURCE_ACCOUNT: Final = "aws:SourceAccount"
"""The account for which a service acts."""


def trust(service: str, account: str = "") -> Document:
    """Who may assume a role: one AWS service, such as ``ecs-tasks.amazonaws.com``.

    Args:
        service: The service.
        account: Only where it acts for this account, so that nobody else can have it act in this role. Empty for EC2,
            which does not tell for whom it hands a role to an instance.
    """
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    condition = {"Condition": {"StringEquals": {SOURCE_ACCOUNT: account}}} if account else {}
    return _document({**statement, **condition})


def ec2_service(partition: str) -> str:
    """How EC2 is called as the principal of a trust policy: the Chinese partition has a name of its own for it."""
    return "ec2.amazonaws.com.cn" if partition == "aws-cn" else "ec2.amazonaws.com"


INPUTS: Final = ("packs", "objects", "letters")
"""Folders of a run that jobs read and never write."""

OUTCOMES: Final = "outcomes"
"""The folder of a run that jobs write to. A second attempt reads what the first has answered, and looks which."""

LEASES: Final = "leases"
"""The folder beside all runs in which workers say that they live: nothing of jobs'."""


def run_tasks(bucket_arn: str, prefix: str) -> Document:
    """What the runner needs: read inputs, write outcomes, and find those of an attempt before.

    The role is that of the user's code too, and of all runs. IAM's ``*`` stands for slashes as well, so what lies among
    the leases is denied, whatever a worker may be called.
    """
    run, leases = f"{bucket_arn}/{prefix}/*", f"{prefix}/{LEASES}"
    return _document(
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": [f"{run}/{each}/*" for each in (*INPUTS, OUTCOMES)]},
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"{run}/{OUTCOMES}/*"},
        {
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": bucket_arn,
            "Condition": {"StringLike": {"s3:prefix": f"{prefix}/*/{OUTCOMES}/*"}},
        },
        {"Effect": "Deny", "Action": "s3:*", "Resource": f"{bucket_arn}/{leases}/*"},
    )


def start_containers(log_group_arn: str, *, payload_key: str = "", kms_key: str = "") -> Document:
    """What ECS needs before the container runs: the image, from wherever it lies in ECR, the log, and its secret.

    Args:
        log_group_arn: Where containers log.
        payload_key: ARN of the parameter that ECS puts into containers; empty for none.
        kms_key: ARN of the key that encrypts it; empty for AWS's own, which whoever may read a parameter may use.
    """
    secret = {"Effect": "Allow", "Action": "ssm:GetParameters", "Resource": payload_key}
    decryption = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": kms_key}
    return _document(
        {
            "Effect": "Allow",
            "Action": [
                "ecr:BatchCheckLayerAvailability",
                "ecr:BatchGetImage",
                "ecr:GetAuthorizationToken",
                "ecr:GetDownloadUrlForLayer",
            ],
            "Resource": "*",
        },
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": f"{log_group_arn}:*",
        },
        *([secret] if payload_key else []),
        *([decryption] if payload_key and kms_key else []),
    )


def ecs_agent(partition: str) -> str:
    """ARN of AWS's own policy for ECS agents. AWS extends it when the agent learns new calls; a copy would age."""
    return f"arn:{partition}:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role"


def encrypted_transport_only(bucket_arn: str) -> Document:
    """Refuse every request to the bucket that does not come over TLS."""
    return _document(
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [bucket_arn, f"{bucket_arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    )


def parse(found: Any) -> Document:
    """A document as AWS gave it back: decoded, or as text.

    One that nobody can read allows nothing and equals nothing that is wanted.
    """
    try:
        plain = json.loads(found) if isinstance(found, str) else found
    except ValueError:
        return {}
    return dict(plain) if isinstance(plain, dict) else {}


def canonical(document: Document) -> Document:
    """The document in the one form in which two of equal meaning are equal.

    AWS gives documents back with lists of one written as their element and lists in another order. Statements stay a
    list in any case: that is the form every service takes.
    """
    plain = _canonical(document)
    statements = plain.get("Statement", [])
    return {**plain, "Statement": statements if isinstance(statements, list) else [statements]}


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _canonical(one) for key, one in value.items()}
    if isinstance(value, list):
        return _canonical(value[0]) if len(value) == 1 else sorted(map(_canonical, value), key=repr)
    return value


def _document(*statements: Document) -> Document:
    return canonical({"Version": _VERSION, "Statement": list(statements)})
