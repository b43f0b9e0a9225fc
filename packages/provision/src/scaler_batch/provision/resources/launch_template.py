"""The launch template of instances: their metadata answers to requests with a token only (IMDSv2).

Jobs of AWS Batch on EC2 share the network of their instance, so code in a container reaches that metadata, and with it
the credentials of the instance role. A token does not keep it away: it can ask for one. It does keep away what cannot,
such as a request that somebody else's service is talked into making.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from scaler_batch.aws import unless_missing
from scaler_batch.provision.resources.clients import once_accepted
from scaler_batch.provision.resources.handler import Handler
from scaler_batch.provision.vocabulary import Observed, Specification, Wanted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import LaunchTemplateTypeDef

    from scaler_batch.provision.naming import Names
    from scaler_batch.provision.waiting import Waiter

_MISSING: Final = ("InvalidLaunchTemplateName.NotFoundException", "InvalidLaunchTemplateId.NotFound")


@dataclass(frozen=True, slots=True)
class LaunchTemplateSpecification(Specification):
    """A launch template, in its default version.

    Attributes:
        metadata_tokens: ``required`` for IMDSv2, ``optional`` for either.
        metadata_hops: How far an answer travels; 1 ends at the instance and at containers that share its network.
    """

    metadata_tokens: str = "required"
    metadata_hops: int = 1


class LaunchTemplateHandler(Handler[LaunchTemplateSpecification]):
    """Looks after the launch template.

    Args:
        ec2: Reaches the service.
        waiter: Bounds waits.
        names: Make ARNs of ids.
    """

    def __init__(self, ec2: EC2Client, waiter: Waiter, names: Names) -> None:
        self._ec2 = ec2
        self._waiter = waiter
        self._names = names

    def observe(self, name: str) -> Observed[LaunchTemplateSpecification] | None:
        """Look at the template and at its default version."""
        found = unless_missing(lambda: self._ec2.describe_launch_templates(LaunchTemplateNames=[name]), *_MISSING)
        if found is None or not found["LaunchTemplates"]:
            return None
        (template,) = found["LaunchTemplates"]
        tags = {tag.get("Key", ""): tag.get("Value", "") for tag in template.get("Tags", [])}
        return Observed(name, self._arn(template), self._specification(name), tags)

    def create(self, wanted: Wanted[LaunchTemplateSpecification]) -> str:
        """Make it; its ARN carries its id."""
        made = self._ec2.create_launch_template(
            LaunchTemplateName=wanted.name,
            LaunchTemplateData=_data(wanted.specification),
            TagSpecifications=[{"ResourceType": "launch-template", "Tags": _tag_list(wanted.tags)}],
        )
        return self._arn(made["LaunchTemplate"])

    def change(self, wanted: Wanted[LaunchTemplateSpecification], fields: Collection[str]) -> None:
        """Make another version the default one. Instances take it when AWS Batch replaces them next."""
        template = self._id(wanted.name)
        made = self._ec2.create_launch_template_version(
            LaunchTemplateId=template, LaunchTemplateData=_data(wanted.specification)
        )
        number = str(made["LaunchTemplateVersion"].get("VersionNumber", ""))
        once_accepted(
            self._waiter,
            f"version {number} of launch template {wanted.name}",
            lambda: self._ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion=number),
            "InvalidLaunchTemplateId.VersionNotFound",
        )

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Tag it; EC2 calls it by its id, the last part of its ARN."""
        self._ec2.create_tags(Resources=[_id_in(arn)], Tags=_tag_list(tags))

    def remove(self, observed: Observed[LaunchTemplateSpecification]) -> None:
        """Remove it in all versions."""
        template = _id_in(observed.arn)
        unless_missing(lambda: self._ec2.delete_launch_template(LaunchTemplateId=template), *_MISSING)

    def _id(self, name: str) -> str:
        observed = self.observe(name)
        return _id_in(observed.arn) if observed else ""

    def _arn(self, template: LaunchTemplateTypeDef) -> str:
        return self._names.regional("ec2", f"launch-template/{template.get('LaunchTemplateId', '')}")

    def _specification(self, name: str) -> LaunchTemplateSpecification:
        versions = self._ec2.describe_launch_template_versions(LaunchTemplateName=name, Versions=["$Default"])
        options = versions["LaunchTemplateVersions"][0].get("LaunchTemplateData", {}).get("MetadataOptions", {})
        return LaunchTemplateSpecification(
            metadata_tokens=options.get("HttpTokens", "optional"),
            metadata_hops=options.get("HttpPutResponseHopLimit", 1),
        )


def _id_in(arn: str) -> str:
    return arn.rpartition("/")[2]


def _data(specification: LaunchTemplateSpecification) -> Any:
    return {
        "MetadataOptions": {
            "HttpEndpoint": "enabled",
            "HttpTokens": specification.metadata_tokens,
            "HttpPutResponseHopLimit": specification.metadata_hops,
        }
    }


def _tag_list(tags: Mapping[str, str]) -> list[Any]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
