"""Secrets of jobs: what moto's Secrets Manager and Parameter Store hold, as ECS puts it into a container.

ECS reads them in the execution role of the task. Where permissions are enforced, that role must be named and allow it.
"""

from __future__ import annotations

import json
from typing import Any

from moto.core.exceptions import AWSError, ServiceException
from moto.secretsmanager.models import secretsmanager_backends
from moto.ssm.models import ssm_backends
from werkzeug.exceptions import HTTPException

from ..batch.vocabulary import Scope
from ..errors import SecretError
from ..permissions.policies import Decision, Requirement, decide
from .principals import Principals

_ARN_PARTS = 7


class MotoSecrets:
    """Finds what ``valueFrom`` names: a secret by ARN, or a parameter by ARN or by its name in the job's region.

    Args:
        principals: What execution roles may do; None where everybody may do everything.
    """

    def __init__(self, principals: Principals | None = None) -> None:
        self._principals = principals

    def value(self, scope: Scope, source: str, role: str | None) -> str:
        """The value of a secret or parameter.

        Args:
            scope: Where the job runs.
            source: What ``valueFrom`` says.
            role: ARN of the execution role; None for none.

        Raises:
            SecretError: There is none, or the role may not read it.
        """
        if self._principals is not None:
            _check(self._principals, role, _reading(scope, source))
        try:
            if ":secretsmanager:" in source:
                return _secret(source)
            return _parameter(scope, source)
        except (AWSError, ServiceException, HTTPException, LookupError, ValueError) as error:
            raise SecretError(f"{source}: {error}") from error


def _reading(scope: Scope, source: str) -> Requirement:
    """The permission that ECS needs to read what a ``valueFrom`` names."""
    if ":secretsmanager:" in source:
        return Requirement("secretsmanager:GetSecretValue", (":".join(source.split(":")[:_ARN_PARTS]),))
    named = f"arn:{scope.partition}:ssm:{scope.region}:{scope.account}:parameter/{source.removeprefix('/')}"
    return Requirement("ssm:GetParameters", (source if source.startswith("arn:") else named,))


def _check(principals: Principals, role: str | None, needed: Requirement) -> None:
    principal = principals.execution_role(role, "ecs-task") if role else None
    if principal is None:
        raise SecretError("the task definition has secrets and no execution role to read them in")
    if decide(principal, needed) is not Decision.ALLOWED:
        what = f"{needed.action} on resource: {needed.resources[0]}"
        raise SecretError(f"AccessDeniedException: User: {principal.arn} is not authorized to perform: {what}")


def _secret(source: str) -> str:
    """A secret, or the member of its JSON that the ARN names, as ``arn:json-key:version-stage:version-id``."""
    parts = source.split(":")
    arn, chosen = ":".join(parts[:_ARN_PARTS]), [*parts[_ARN_PARTS:], "", "", ""]
    region, account = parts[3], parts[4]
    backend: Any = secretsmanager_backends[account][region]
    found = backend.get_secret_value(arn, chosen[2] or None, chosen[1] or None)
    text = str(found["SecretString"])
    return _member(text, chosen[0]) if chosen[0] else text


def _member(text: str, key: str) -> str:
    try:
        value = json.loads(text)[key]
    except (ValueError, TypeError) as error:
        raise LookupError(f"the secret is no JSON object with {key}") from error
    return value if isinstance(value, str) else json.dumps(value)


def _parameter(scope: Scope, source: str) -> str:
    account, region = scope.account, scope.region
    if source.startswith("arn:"):
        _, _, _, region, account, _ = source.split(":", 5)
    found = ssm_backends[account][region].get_parameter(source)
    if found is None:
        raise LookupError("invalid parameters")
    return str(found.response_object(decrypt=True)["Value"])
