"""What the user may choose, checked before the first call goes out.

The defaults are those of the setup guide. Nothing here reads files or the environment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scaler_batch.aws import MOST_TAGS, RUN_TAG, WORKER_TAG
from scaler_batch.provision.errors import SettingsError
from scaler_batch.provision.image_reference import ImageReference, fault_of
from scaler_batch.provision.instance_types import GPU_TYPES, Architecture, architecture_of, has_gpus
from scaler_batch.provision.vocabulary import OWN_TAGS

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_REGION: Final = "us-east-1"
DEFAULT_PREFIX: Final = "scaler-batch"
DEFAULT_PLATFORM: Final = Architecture.AMD64.platform
DEFAULT_INSTANCE_TYPES: Final = Architecture.AMD64.default_types
DEFAULT_CONFIG: Final = Path(".scaler_aws_batch_config.json")
DEFAULT_ENV: Final = Path(".scaler_aws_hpc.env")

MEMORY_STEP_MB: Final = 2048

_REGION = re.compile(r"[a-z]{2,5}(-[a-z]+)+-\d{1,2}")
_PREFIX = re.compile(r"[a-z](-?[a-z0-9])*")
_INSTANCE_TYPE = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9-]+)?")
_SUBNET = re.compile(r"subnet-[0-9a-f]{8,17}")
_SECURITY_GROUP = re.compile(r"sg-[0-9a-f]{8,17}")
_VPC = re.compile(r"vpc-[0-9a-f]{8,17}")
_KMS_ARN = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]{1,64}")
_RESERVED_PARAMETERS: Final = ("aws", "ssm")
"""Source: Systems Manager API reference, PutParameter: no name begins with these, in whatever case."""

_WITH_KEY: Final = "pass --payload-key as well, or leave --kms-key out"
_POLICY_ARN = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}|aws):policy/[\w+=,.@/-]+")
_SHORTEST_KEEPING: Final = 20
_LONGEST_KEEPING: Final = 10_080
"""Minutes. Source: AWS Batch API reference, ComputeScalingPolicy.minScaleDownDelayMinutes."""

_ACCOUNT_DIGITS: Final = 12
_BUCKET_LENGTH: Final = 63
_RESERVED_BEGINNINGS: Final = ("xn--", "sthree-", "amzn-s3-demo-", "sg-")
"""S3, and for security groups EC2, keep these for themselves; names begin with the prefix and a hyphen."""

_OURS: Final = "scaler-batch:"
_TAG_KEY = re.compile(r"[\w .:/=+@-]{1,128}")
_TAG_VALUE = re.compile(r"[\w .:/=+@-]{0,256}")
_TAGS_OF_JOBS: Final = (RUN_TAG, WORKER_TAG)
"""Come to those of the job definition, and all of them must fit on one job."""

_ROOM_FOR_TAGS: Final = MOST_TAGS - len(OWN_TAGS) - len(_TAGS_OF_JOBS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Which set of resources: all that is needed to find and to remove them.

    Attributes:
        prefix: Begins the name of every resource and is the value of the tag that marks it as ours.
        region: AWS region, such as ``us-east-1``.

    Raises:
        SettingsError: No resource could have such a name.
    """

    prefix: str = DEFAULT_PREFIX
    region: str = DEFAULT_REGION

    def __post_init__(self) -> None:
        """Refuse names that AWS would refuse later, half way through."""
        _check_region(self.region)
        _check_prefix(self.prefix, longest=_BUCKET_LENGTH - _ACCOUNT_DIGITS - len(self.region) - 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What to provision.

    Attributes:
        image: URI of the container image that holds the runner; ``None`` to have it built and pushed to ECR.
        prefix: See :class:`Target`.
        region: See :class:`Target`.
        vcpus: vCPUs of one job.
        memory_mb: Memory of one job as asked for, in MB; see :func:`container_memory` for what the container gets.
        max_vcpus: Most vCPUs that the compute environment may grow to. It shrinks to none when idle.
        instance_types: EC2 instance types or families of the platform's architecture, or ``default_x86_64``,
            ``default_arm64`` for AWS's choice.
        job_timeout_minutes: When AWS Batch stops a job that was submitted without a timeout of its own.
        spot: Whether jobs run on Spot capacity: cheaper, and AWS may take an instance back at any time.
        tags: Tags that every resource bears beside ours, for your cost reports, say.
        subnets: Ids of the subnets that instances go into; empty for those of the VPC that lead out.
        security_groups: Ids of the security groups of instances; empty to have one made.
        vpc: Id of the VPC that instances go into; ``None`` for the region's default one, or that of the subnets.
        platform: What the image is for: ``linux/amd64`` or ``linux/arm64``.
        expire_days: Days after which S3 removes what lies under the task prefix. S3 rounds up to the next midnight UTC,
            so one day means one to two.
        permissions_boundary: ARN of a policy beyond which none of the roles may do anything; ``None`` for whichever
            they have, which is none in new ones.
        keep_minutes: How long an instance without jobs is kept, 20 minutes to a week; 0 lets it go soon.
        gpus: Graphics processors of one job.
        fair_share: Whether the queue is shared out among those that jobs name as share identifiers.
        spot_then_ec2: Whether jobs go to Spot capacity, and to on-demand capacity when there is none.
        payload_key: Whether a key is made that seals tasks and results, which only workers and jobs can read.
        kms_key: ARN of the key of KMS that encrypts that key; ``None`` for AWS's own for parameters.

    Raises:
        SettingsError: Some value cannot be, or the values contradict each other.
    """

    image: str | None = None
    prefix: str = DEFAULT_PREFIX
    region: str = DEFAULT_REGION
    vcpus: int = 1
    memory_mb: int = 2048
    max_vcpus: int = 256
    instance_types: tuple[str, ...] = DEFAULT_INSTANCE_TYPES
    job_timeout_minutes: int = 60
    spot: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    vpc: str | None = None
    platform: str = DEFAULT_PLATFORM
    expire_days: int = 1
    permissions_boundary: str | None = None
    keep_minutes: int = 0
    gpus: int = 0
    spot_then_ec2: bool = False
    fair_share: bool = False
    payload_key: bool = False
    kms_key: str | None = None

    def __post_init__(self) -> None:
        """Refuse what AWS would refuse, or what no job could ever run on."""
        _ = self.target
        if self.image is not None:
            _check_image(self.image)
        _check_instance_types(self.instance_types, architecture_named(self.platform))
        _check_tags(self.tags)
        _check_gpus(self.gpus, self.instance_types)
        _check_keeping(self.keep_minutes)
        if self.spot and self.spot_then_ec2:
            raise SettingsError("--spot and --spot-then-ec2 exclude each other", fix="pass one of them")
        _check_boundary(self.permissions_boundary)
        _check_payload_key(self.prefix, self.kms_key, wanted=self.payload_key)
        _check_ids("--subnets", _SUBNET, self.subnets)
        _check_ids("--security-groups", _SECURITY_GROUP, self.security_groups)
        _check_ids("--vpc", _VPC, () if self.vpc is None else (self.vpc,))
        for option in ("vcpus", "memory_mb", "max_vcpus", "job_timeout_minutes", "expire_days"):
            _check_positive(option, getattr(self, option))
        if self.vcpus > self.max_vcpus:
            raise SettingsError(
                f"a job of {self.vcpus} vCPUs never fits a compute environment of at most {self.max_vcpus}",
                fix="raise --max-vcpus or lower --vcpus",
            )

    @property
    def target(self) -> Target:
        """Which set of resources these settings are for."""
        return Target(prefix=self.prefix, region=self.region)


@dataclass(frozen=True, slots=True)
class Files:
    """Where the two local files lie.

    Attributes:
        config: JSON with every resource; written as the work goes on.
        env: Shell lines that name what the worker adapter needs; written at the end.
    """

    config: Path = DEFAULT_CONFIG
    env: Path = DEFAULT_ENV


def round_memory(asked_mb: int) -> int:
    """Round to the nearest multiple of 2,048 MB, a half upwards, and never to nothing.

    Instances come in such multiples: a job of 4,000 MB would block 4,096 all the same.
    """
    return max(1, (2 * asked_mb + MEMORY_STEP_MB) // (2 * MEMORY_STEP_MB)) * MEMORY_STEP_MB


def container_memory(asked_mb: int) -> int:
    """How many MB the container gets: 90 % of the rounded size.

    The rest is for the operating system and the ECS agent. A container that asks for an instance's whole memory
    stays RUNNABLE for ever.
    """
    return round_memory(asked_mb) * 9 // 10


def _check_region(region: str) -> None:
    if not _REGION.fullmatch(region):
        raise SettingsError(f"{region!r} is not an AWS region", fix="pass --region with a name such as us-east-1")


def _check_prefix(prefix: str, *, longest: int) -> None:
    if not _PREFIX.fullmatch(prefix) or f"{prefix}-".startswith(_RESERVED_BEGINNINGS):
        raise SettingsError(
            f"prefix {prefix!r} cannot begin the names of a bucket and a security group",
            fix="pass --prefix with lower-case letters, digits and single hyphens, beginning with a letter, "
            "not ending with a hyphen",
        )
    if len(prefix) > longest:
        raise SettingsError(
            f"prefix {prefix!r} is {len(prefix)} characters long; the bucket's name leaves room for {longest}",
            fix="pass a shorter --prefix",
        )


def _check_image(image: str) -> None:
    if ImageReference.parse(image) is None:
        raise SettingsError(
            f"{image!r} is not the URI of a container image: {fault_of(image)}",
            fix="pass --image registry/name:tag, as `docker pull` takes it",
        )


def architecture_named(platform: str) -> Architecture:
    """The architecture of a platform.

    Raises:
        SettingsError: There is none of this name.
    """
    known = {one.platform: one for one in Architecture}
    if platform not in known:
        raise SettingsError(f"{platform!r} is not a platform", fix=f"pass --platform with {' or '.join(known)}")
    return known[platform]


def _check_instance_types(types: tuple[str, ...], architecture: Architecture) -> None:
    wrong = [one for one in types if not _INSTANCE_TYPE.fullmatch(one)]
    if wrong or not types:
        raise SettingsError(
            f"not EC2 instance types: {', '.join(map(repr, wrong)) or 'none given'}",
            fix="pass --instance-types with comma-separated names, such as m6i.large,c6i",
        )
    others = [one for one in types if architecture_of(one) is not architecture]
    if others:
        (other,) = set(Architecture) - {architecture}
        raise SettingsError(
            f"the image is for {architecture.platform}, and instances of the types {', '.join(others)} are "
            f"{other.platform}: no job would start",
            fix=f"pass --platform {other.platform}, with --image naming an image for it or none to have one built; or "
            f"pass --instance-types of {architecture.platform}, such as {architecture.default_types[0]}",
        )


def _check_gpus(gpus: int, types: tuple[str, ...]) -> None:
    if gpus < 0:
        raise SettingsError(f"--gpus is {gpus}", fix="pass a whole number of 0 or more")
    without = [one for one in types if not has_gpus(one)] if gpus else []
    if without:
        raise SettingsError(
            f"a job wants {gpus} GPUs, and these instance types have none that it could be given: {', '.join(without)}",
            fix=f"pass --instance-types of NVIDIA families on x86-64, such as {','.join(GPU_TYPES)}",
        )


def _check_keeping(minutes: int) -> None:
    if minutes and not _SHORTEST_KEEPING <= minutes <= _LONGEST_KEEPING:
        fix = f"pass {_SHORTEST_KEEPING} to {_LONGEST_KEEPING} minutes, or 0 to let idle instances go soon"
        raise SettingsError(f"--keep-instances is {minutes}", fix=fix)


def _check_ids(option: str, pattern: re.Pattern[str], ids: tuple[str, ...]) -> None:
    wrong = [one for one in ids if not pattern.fullmatch(one)]
    if wrong:
        example = pattern.pattern.partition("[")[0]
        fix = f"pass {option} with ids as EC2 gives them, which begin with {example}"
        raise SettingsError(f"not ids for {option}: {', '.join(map(repr, wrong))}", fix=fix)


def _check_boundary(arn: str | None) -> None:
    if arn is not None and not _POLICY_ARN.fullmatch(arn):
        fix = "pass --permissions-boundary arn:aws:iam::ACCOUNT:policy/NAME"
        raise SettingsError(f"{arn!r} is not the ARN of a policy", fix=fix)


def _check_payload_key(prefix: str, kms_key: str | None, *, wanted: bool) -> None:
    if kms_key is not None:
        check_kms_key(kms_key)
    if kms_key is not None and not wanted:
        raise SettingsError("--kms-key says how the payload key is encrypted, and there is none", fix=_WITH_KEY)
    if wanted and prefix.startswith(_RESERVED_PARAMETERS):
        raise SettingsError(
            f"no parameter for the payload key can be made below /{prefix}: AWS keeps names for itself that begin so",
            fix=f"pass --prefix with a name that does not begin with {' or '.join(_RESERVED_PARAMETERS)}",
        )


def check_kms_key(arn: str) -> None:
    """See that this can be a key of KMS.

    Raises:
        SettingsError: It cannot.
    """
    if not _KMS_ARN.fullmatch(arn):
        fix = "pass --kms-key arn:aws:kms:REGION:ACCOUNT:key/ID; policies do not know a key by its alias"
        raise SettingsError(f"{arn!r} is not the ARN of a key", fix=fix)


def _check_positive(option: str, value: int) -> None:
    if value < 1:
        name = option.removesuffix("_mb").removesuffix("_minutes").replace("_", "-")
        raise SettingsError(f"--{name} is {value}", fix="pass a whole number of 1 or more")


def _check_tags(tags: Mapping[str, str]) -> None:
    wrong = [
        f"{key}={value}"
        for key, value in tags.items()
        if not (_TAG_KEY.fullmatch(key) and _TAG_VALUE.fullmatch(value)) or key.lower().startswith(("aws:", _OURS))
    ]
    if wrong:
        fix = f"pass --tags KEY=VALUE,… of letters, digits, spaces and _.:/=+-@; no key begins with aws: or {_OURS}"
        raise SettingsError(f"not tags that AWS takes: {', '.join(wrong)}", fix=fix)
    # IAM does not tell Team from team.
    if len({key.lower() for key in tags}) < len(tags) or len(tags) > _ROOM_FOR_TAGS:
        fix = f"pass at most {_ROOM_FOR_TAGS} --tags, no two of which differ in case only"
        raise SettingsError("tags that no resource can bear together", fix=fix)
