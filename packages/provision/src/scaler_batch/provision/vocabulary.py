"""The words that all modules here share: kinds of resources, what is wanted of one, what is there of it.

A resource is described by a *specification*, a frozen dataclass that lies beside the code that makes it. The same
dataclass says what is wanted and what was found, so that comparing the two needs no knowledge of AWS.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from scaler_batch.aws import PREFIX_TAG

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION_TAG: Final = "scaler-batch:version"
"""The tag that tells which version of this package made a resource."""

NONCE_TAG: Final = "scaler-batch:nonce"
"""The tag with the random value that the JSON file keeps: a prefix can be guessed, and this cannot."""

OWN_TAGS: Final = (PREFIX_TAG, NONCE_TAG, VERSION_TAG)


class Kind(StrEnum):
    """What there is to make, in the order of making; the reverse is the order of removing.

    The values are written into the JSON file: never change one.
    """

    REPOSITORY = "repository"
    """Only where we build the image; first, because building is what fails most easily."""
    LOG_GROUP = "log_group"
    BUCKET = "bucket"
    PAYLOAD_KEY = "payload_key"
    """Only where the user asks for one."""
    JOB_ROLE = "job_role"
    EXECUTION_ROLE = "execution_role"
    INSTANCE_ROLE = "instance_role"
    INSTANCE_PROFILE = "instance_profile"
    SECURITY_GROUP = "security_group"
    """Only where the user names none."""
    LAUNCH_TEMPLATE = "launch_template"
    JOB_DEFINITION = "job_definition"
    SPOT_ENVIRONMENT = "spot_environment"
    """Only where jobs go to Spot capacity first, and to the compute environment when there is none."""
    COMPUTE_ENVIRONMENT = "compute_environment"
    SCHEDULING_POLICY = "scheduling_policy"
    """Only of a fair-share queue."""
    JOB_QUEUE = "job_queue"

    @property
    def words(self) -> str:
        """The kind as people say it."""
        return self.value.replace("_", " ")


class Untold(Enum):
    """What a service does not say of a resource, or what nobody asked for. Neither differs from anything."""

    UNTOLD = "untold"


class Specification:
    """Base of the frozen dataclasses that say what a resource is like."""

    __slots__ = ()

    def obstacle(self, field: str, wanted: Any) -> str | None:
        """Why AWS cannot bring this field of such a resource to what is wanted; ``None`` where it can."""
        return None


SpecificationT = TypeVar("SpecificationT", bound=Specification)


class Phase(StrEnum):
    """How far a resource is."""

    READY = "ready"
    SETTLING = "settling"
    """Being made or changed: wait before relying on it."""
    LEAVING = "leaving"
    """Being removed: as good as absent, but its name is still taken."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who may change and remove a resource: whoever knows both values that its tags bear.

    Attributes:
        prefix: Prefix of all names.
        nonce: Random value, made at the first provision and kept in the JSON file.
    """

    prefix: str
    nonce: str

    @property
    def tags(self) -> dict[str, str]:
        """What a resource bears that is this owner's."""
        return {PREFIX_TAG: self.prefix, NONCE_TAG: self.nonce}

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Whether a resource with these tags is this owner's."""
        return self.tags.items() <= tags.items()


@dataclass(frozen=True, slots=True)
class Identity:
    """Which resource.

    Attributes:
        name: As its service calls it.
        arn: Its Amazon Resource Name; of a job definition, that of the newest revision.
    """

    name: str
    arn: str


@dataclass(frozen=True, slots=True)
class Wanted(Generic[SpecificationT]):
    """A resource as it should be.

    Attributes:
        arn: Follows from the name; a job definition's is without its revision.
        tags: What it bears: ours, and those of the user's choice.
    """

    kind: Kind
    name: str
    arn: str
    specification: SpecificationT
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observed(Generic[SpecificationT]):
    """A resource as it is.

    Attributes:
        tags: All its tags, others' too.
    """

    name: str
    arn: str
    specification: SpecificationT
    tags: Mapping[str, str]
    phase: Phase = Phase.READY

    @property
    def identity(self) -> Identity:
        """Which resource this is."""
        return Identity(self.name, self.arn)

    def bears(self, prefix: str) -> bool:
        """Whether its tag says that it was made for this prefix. Anybody can write that: see :class:`Owner`."""
        return self.tags.get(PREFIX_TAG) == prefix

    def lacks(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """Which of these tags it lacks. That of the version tells who made it, so another version's is no lack."""
        return {key: value for key, value in wanted.items() if key != VERSION_TAG and self.tags.get(key) != value}
