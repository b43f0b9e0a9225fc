"""Policies of IAM and of buckets, where moto refuses what AWS allows.

A bucket policy that denies every request over plain HTTP is what AWS recommends for each bucket. moto takes a statement
whose condition does not hold for a refusal, and so denies every request to such a bucket. Here the loopback interface
counts as a secure transport, and a statement that is about insecure ones does not apply.

AWS's own managed policies are known from the start on AWS. moto has them, but reading them takes most of a second; they
are read here when somebody first attaches one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from moto.core.config import default_user_config
from moto.iam.access_control import IAMPolicy
from moto.iam.models import IAMBackend
from moto.s3.models import FakeBucket

_INSECURE: Final = "aws:SecureTransport"
_AWS_OWN: Final = ":iam::aws:policy/"


def install() -> None:
    """Have moto's S3 and IAM decide this way."""
    FakeBucket.get_permission = _permission  # type: ignore[method-assign,assignment]
    for name in ("attach_role_policy", "attach_user_policy", "attach_group_policy"):
        setattr(IAMBackend, name, _knowing_aws_policies(getattr(IAMBackend, name)))


def _permission(bucket: FakeBucket, action: str, resource: str) -> Any:
    """Whether the bucket's policy permits or denies an action, or says nothing about it."""
    document = json.loads(bucket.policy) if bucket.policy else {}
    statements = document.get("Statement", [])
    listed = statements if isinstance(statements, list) else [statements]
    applying = {"Statement": [each for each in listed if not _is_about_insecure(each)]}
    return IAMPolicy(json.dumps(applying)).is_action_permitted(action, resource)


def _is_about_insecure(statement: dict[str, Any]) -> bool:
    values = [condition.get(_INSECURE) for condition in statement.get("Condition", {}).values()]
    return any(str(value).lower() == "false" for value in values)


def _knowing_aws_policies(attach: Callable[..., None]) -> Callable[..., None]:
    def attached(backend: IAMBackend, policy_arn: str, name: str) -> None:
        if _AWS_OWN in policy_arn and not backend.aws_managed_policies:
            _read_aws_policies(backend)
        attach(backend, policy_arn, name)

    return attached


def _read_aws_policies(backend: IAMBackend) -> None:
    default_user_config["iam"]["load_aws_managed_policies"] = True
    try:
        backend.aws_managed_policies = backend._init_aws_policies()
    finally:
        default_user_config["iam"]["load_aws_managed_policies"] = False
    backend.managed_policies |= backend._init_managed_policies()
