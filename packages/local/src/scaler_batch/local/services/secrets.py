"""Secrets of jobs: what moto's Secrets Manager and Parameter Store hold, as ECS puts it into a container."""

from __future__ import annotations

import json
from typing import Any

from moto.core.exceptions import AWSError, ServiceException
from moto.secretsmanager.models import secretsmanager_backends
from moto.ssm.models import ssm_backends
from werkzeug.exceptions import HTTPException

from ..batch.vocabulary import Scope
from ..errors import SecretError

_ARN_PARTS = 7


class MotoSecrets:
    """Finds what ``valueFrom`` names: a secret by ARN, or a parameter by ARN or by its name in the job's region."""

    def value(self, scope: Scope, source: str) -> str:
        """The value of a secret or parameter.

        Raises:
            SecretError: There is none.
        """
        try:
            if ":secretsmanager:" in source:
                return _secret(source)
            return _parameter(scope, source)
        except (AWSError, ServiceException, HTTPException, LookupError, ValueError) as error:
            raise SecretError(f"{source}: {error}") from error


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
