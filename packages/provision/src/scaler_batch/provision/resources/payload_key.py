"""The key that seals what travels through the bucket: an encrypted parameter of Systems Manager.

It is made once, from 32 random bytes, and never read here: who provisions need not be able to. ECS reads it for each
container, the worker reads it at its start.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from scaler_batch.aws import unless_missing
from scaler_batch.provision.resources.handler import Handler
from scaler_batch.provision.vocabulary import Observed, Specification, Untold, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from scaler_batch.provision.resources.clients import SsmClient

ENCRYPTED: Final = "SecureString"
_BYTES: Final = 32
_MISSING: Final = "ParameterNotFound"
_OBSTACLE: Final = (
    "it would have to be written again, and whatever is under way is sealed with it: delete the parameter while "
    "nothing runs, then run provision again"
)


@dataclass(frozen=True, slots=True)
class PayloadKeySpecification(Specification):
    """The parameter that holds the key.

    Attributes:
        kms_key: ARN of the key of KMS that encrypts it; untold where it is AWS's own for parameters.
        stored_as: Type of the parameter.
    """

    kms_key: str | Untold = Untold.UNTOLD
    stored_as: str = ENCRYPTED

    def obstacle(self, field: str, wanted: Any) -> str | None:
        """Nothing about it can be changed without its value."""
        return _OBSTACLE


class PayloadKeyHandler(Handler[PayloadKeySpecification]):
    """Looks after the parameter.

    Args:
        ssm: Reaches the service.
        arn_of: Makes the ARN of a name.
    """

    def __init__(self, ssm: SsmClient, arn_of: Callable[[str], str]) -> None:
        self._ssm = ssm
        self._arn_of = arn_of

    def observe(self, name: str) -> Observed[PayloadKeySpecification] | None:
        """Look at the parameter, and not at its value."""
        filters = [{"Key": "Name", "Option": "Equals", "Values": [name]}]
        pages = self._ssm.get_paginator("describe_parameters").paginate(ParameterFilters=filters)
        found = [one for page in pages for one in page["Parameters"] if one["Name"] == name]
        if not found:
            return None
        (parameter,) = found
        listed = self._ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"]
        specification = PayloadKeySpecification(parameter.get("KeyId") or "", parameter["Type"])
        return Observed(name, self._arn_of(name), specification, {tag["Key"]: tag["Value"] for tag in listed})

    def create(self, wanted: Wanted[PayloadKeySpecification]) -> None:
        """Make a key, and keep no copy."""
        key = wanted.specification.kms_key
        self._ssm.put_parameter(
            Name=wanted.name,
            Description="Seals tasks and results of scaler-batch",
            Value=secrets.token_hex(_BYTES),
            Type=ENCRYPTED,
            Tags=_tag_list(wanted.tags),
            **({} if isinstance(key, Untold) else {"KeyId": key}),
        )

    def change(self, wanted: Wanted[PayloadKeySpecification], fields: Collection[str]) -> None:
        """Change nothing: see :meth:`PayloadKeySpecification.obstacle`."""

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Tag it; Systems Manager calls it by its name, with which its ARN ends."""
        name = arn.partition(":parameter")[2]
        self._ssm.add_tags_to_resource(ResourceType="Parameter", ResourceId=name, Tags=_tag_list(tags))

    def remove(self, observed: Observed[PayloadKeySpecification]) -> None:
        """Remove it."""
        unless_missing(lambda: self._ssm.delete_parameter(Name=observed.name), _MISSING)


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
