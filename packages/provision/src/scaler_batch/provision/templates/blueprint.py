"""What a template is written from: the same description as a plan's, with symbols where a plan has facts.

::

    settings, symbols ─► describe ─► Wanted … ─► cloudformation | terraform

What a tool of the user's makes is the user's: it bears a tag of its own instead of ours, so that ``cleanup`` leaves it
alone and ``provision`` does not take it over.

The payload key is made by neither tool: CloudFormation cannot make an encrypted parameter, and Terraform would keep its
value in its state. Both take its name as a parameter, and :data:`MAKE_KEY` says how to make it before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from scaler_batch.aws import PREFIX_TAG
from scaler_batch.provision.access import worker_policy
from scaler_batch.provision.description import TASK_PREFIX, describe
from scaler_batch.provision.handover import Handover
from scaler_batch.provision.naming import Account, Names
from scaler_batch.provision.resources.network import Network
from scaler_batch.provision.vocabulary import NONCE_TAG, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scaler_batch.provision.policies import Document
    from scaler_batch.provision.settings import Settings
    from scaler_batch.provision.vocabulary import Wanted

TEMPLATE_TAG: Final = "scaler-batch:template"
"""Has the prefix as its value, on what a template made."""


MAKE_KEY: Final = (
    "Name of an encrypted parameter with the payload key, which you make before: aws ssm put-parameter --type "
    'SecureString --name NAME --value "$(openssl rand -hex 32)"'
)


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What a template is written from.

    Attributes:
        settings: What the user chose.
        names: What everything is called, the account being a symbol.
        wanted: Every resource.
    """

    settings: Settings
    names: Names
    wanted: tuple[Wanted[Any], ...]

    @property
    def worker_policy(self) -> Document:
        """What the worker's identity needs, for a policy beside all that jobs need."""
        handover = Handover.of(self.names, payload_key=self.settings.payload_key)
        log_group, kms_key = self.names.of(Kind.LOG_GROUP), self.settings.kms_key
        account = self.names.account
        return worker_policy(handover, account, task_prefix=TASK_PREFIX, log_group=log_group, kms_key=kms_key)

    @property
    def worker_policy_name(self) -> str:
        """What that policy is called."""
        return f"{self.names.target.prefix}-{self.names.target.region}-worker"

    def of(self, kind: Kind) -> Wanted[Any] | None:
        """The resource of this kind; ``None`` where the template has none."""
        return next((one for one in self.wanted if one.kind is kind), None)


def draw(settings: Settings, partition: str, *, account: str, vpc: str, own_group: str) -> Blueprint:
    """Describe what is wanted, with symbols for what only the account knows.

    Subnets are a parameter of every template, and so are security groups where the user has some.

    Args:
        settings: What the user chose.
        partition: Of the region.
        account: Symbol for the number of the account.
        vpc: Symbol for the id of the VPC.
        own_group: Symbol for the id of the security group of our own.
    """
    names = Names(settings.target, Account(account, partition))
    network = Network((), () if settings.security_groups else (own_group,), vpc)
    wanted = describe(settings, names, network)
    return Blueprint(settings, names, tuple(_retagged(one) for one in wanted if one.kind is not Kind.PAYLOAD_KEY))


def _retagged(one: Wanted[Any]) -> Wanted[Any]:
    specification = one.specification
    if one.kind in (Kind.SPOT_ENVIRONMENT, Kind.COMPUTE_ENVIRONMENT):
        specification = replace(specification, instance_tags=template_tags(specification.instance_tags))
    return replace(one, specification=specification, tags=template_tags(one.tags))


def template_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The same tags, with those that make a resource ours exchanged or left out."""
    return {TEMPLATE_TAG if key == PREFIX_TAG else key: value for key, value in tags.items() if key != NONCE_TAG}


def referring(value: Any, references: Iterable[tuple[str, str]]) -> Any:
    """Put references in the place of ARNs, in all texts of a document.

    Args:
        value: The document.
        references: An ARN and what stands for it, each. Whole ARNs only: none begins like another.
    """
    if isinstance(value, dict):
        return {key: referring(one, references) for key, one in value.items()}
    if isinstance(value, list):
        return [referring(one, references) for one in value]
    if isinstance(value, str):
        for arn, reference in references:
            value = value.replace(arn, reference)
    return value
