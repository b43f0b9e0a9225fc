"""The sole owner of names: what each resource is called, and so its ARN before it exists.

Names follow from prefix, account and region alone. That is why a cleanup needs no files, and why a description can
name a role that is still to be made. IAM knows no regions, hence the region in the names of roles; bucket names are
shared with the whole world, hence account and region in that of the bucket.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scaler_batch.aws import dns_suffix
from scaler_batch.provision.vocabulary import Kind

if TYPE_CHECKING:
    from scaler_batch.provision.settings import Target


_ENDINGS: Final = {
    Kind.SECURITY_GROUP: r"/sg-[0-9a-f]{8,17}",
    Kind.LAUNCH_TEMPLATE: r"/lt-[0-9a-f]{8,17}",
    Kind.JOB_DEFINITION: r":[1-9][0-9]{0,8}",
}
"""How the ARNs of some kinds end in an account: with the id that EC2 gave, or the number of a revision."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whose account the resources lie in.

    Attributes:
        number: Its twelve digits.
        partition: ``aws``, ``aws-cn``, ``aws-us-gov``: the first part of every ARN.
    """

    number: str
    partition: str


@dataclass(frozen=True, slots=True)
class Names:
    """What the resources of one target in one account are called."""

    target: Target
    account: Account

    def of(self, kind: Kind) -> str:
        """The name of the resource of this kind."""
        prefix, region = self.target.prefix, self.target.region
        return {
            Kind.REPOSITORY: f"{prefix}-runner",
            Kind.LOG_GROUP: f"/{prefix}/jobs",
            Kind.BUCKET: f"{prefix}-{self.account.number}-{region}",
            Kind.PAYLOAD_KEY: f"/{prefix}/payload-key",
            Kind.JOB_ROLE: f"{prefix}-{region}-job",
            Kind.EXECUTION_ROLE: f"{prefix}-{region}-execution",
            Kind.INSTANCE_ROLE: f"{prefix}-{region}-instance",
            Kind.INSTANCE_PROFILE: f"{prefix}-{region}-instance",
            Kind.SECURITY_GROUP: f"{prefix}-instances",
            Kind.LAUNCH_TEMPLATE: f"{prefix}-instances",
            Kind.JOB_DEFINITION: f"{prefix}-job",
            Kind.SPOT_ENVIRONMENT: f"{prefix}-spot",
            Kind.COMPUTE_ENVIRONMENT: f"{prefix}-compute",
            Kind.SCHEDULING_POLICY: f"{prefix}-fair-share",
            Kind.JOB_QUEUE: f"{prefix}-queue",
        }[kind]

    def arn(self, kind: Kind) -> str:
        """The ARN of the resource of this kind.

        That of a job definition lacks its revision; those of security group and launch template have their names in the
        place of the ids that EC2 gives them.
        """
        name = self.of(kind)
        return {
            Kind.REPOSITORY: self.regional("ecr", f"repository/{name}"),
            Kind.LOG_GROUP: self.regional("logs", f"log-group:{name}"),
            Kind.BUCKET: f"arn:{self.account.partition}:s3:::{name}",
            Kind.PAYLOAD_KEY: self.regional("ssm", f"parameter{name}"),
            Kind.JOB_ROLE: self._global("iam", f"role/{name}"),
            Kind.EXECUTION_ROLE: self._global("iam", f"role/{name}"),
            Kind.INSTANCE_ROLE: self._global("iam", f"role/{name}"),
            Kind.INSTANCE_PROFILE: self._global("iam", f"instance-profile/{name}"),
            Kind.SECURITY_GROUP: self.regional("ec2", f"security-group/{name}"),
            Kind.LAUNCH_TEMPLATE: self.regional("ec2", f"launch-template/{name}"),
            Kind.JOB_DEFINITION: self.regional("batch", f"job-definition/{name}"),
            Kind.SPOT_ENVIRONMENT: self.regional("batch", f"compute-environment/{name}"),
            Kind.COMPUTE_ENVIRONMENT: self.regional("batch", f"compute-environment/{name}"),
            Kind.SCHEDULING_POLICY: self.regional("batch", f"scheduling-policy/{name}"),
            Kind.JOB_QUEUE: self.regional("batch", f"job-queue/{name}"),
        }[kind]

    def may_be(self, kind: Kind, arn: str) -> bool:
        """Whether this is the ARN of the resource of this kind, as AWS would give it."""
        expected = self.arn(kind)
        beginning = expected if kind is Kind.JOB_DEFINITION else expected.rpartition("/")[0]
        ending = _ENDINGS.get(kind)
        return re.fullmatch(re.escape(beginning) + ending, arn) is not None if ending else arn == expected

    @property
    def any_role(self) -> str:
        """A pattern that the ARNs of all roles match, and those of no other prefix or region."""
        return self._global("iam", f"role/{self.target.prefix}-{self.target.region}-*")

    def image(self, tag: str, digest: str = "") -> str:
        """The URI of an image in our repository: by its digest where that is known, else by its tag."""
        host = f"{self.account.number}.dkr.ecr.{self.target.region}.{dns_suffix(self.account.partition)}"
        return f"{host}/{self.of(Kind.REPOSITORY)}" + (f"@{digest}" if digest else f":{tag}")

    def regional(self, service: str, resource: str) -> str:
        """The ARN of something in this region and account."""
        return f"arn:{self.account.partition}:{service}:{self.target.region}:{self.account.number}:{resource}"

    def _global(self, service: str, resource: str) -> str:
        return f"arn:{self.account.partition}:{service}::{self.account.number}:{resource}"
