"""The words of Batch: states, what a job asks for, how an attempt ended. Frozen, without behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final


class State(StrEnum):
    """Where a job is, in the order in which it passes."""

    SUBMITTED = "SUBMITTED"
    PENDING = "PENDING"
    RUNNABLE = "RUNNABLE"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


TERMINAL = frozenset({State.SUCCEEDED, State.FAILED})
BEFORE_STARTING = frozenset({State.SUBMITTED, State.PENDING, State.RUNNABLE})


PARTITIONS: Final = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "eusc-": "aws-eusc",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "eu-isoe-": "aws-iso-e",
    "us-isof-": "aws-iso-f",
    "eu-isof-": "aws-iso-f",
}
"""By the beginning of a region's name (botocore's partitions)."""


SUFFIX: Final = "amazonaws.com"
SUFFIXES: Final = {
    "aws-cn": "amazonaws.com.cn",
    "aws-eusc": "amazonaws.eu",
    "aws-iso": "c2s.ic.gov",
    "aws-iso-b": "sc2s.sgov.gov",
    "aws-iso-e": "cloud.adc-e.uk",
    "aws-iso-f": "csp.hci.ic.gov",
}
"""Under which names the services of a partition are, where it is not :data:`SUFFIX` (botocore's partitions)."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The account and region that something belongs to."""

    account: str
    region: str

    def arn(self, resource: str, service: str = "batch") -> str:
        """The full name of a resource of this account and region, such as ``job/1234``."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"

    @property
    def partition(self) -> str:
        """The part of AWS that the region is in, as ARNs name it."""
        return next((name for prefix, name in PARTITIONS.items() if self.region.startswith(prefix)), "aws")

    @property
    def suffix(self) -> str:
        """What the names of services in the region end in."""
        return SUFFIXES.get(self.partition, SUFFIX)


@dataclass(frozen=True, slots=True)
class Resources:
    """What one job takes of a compute environment.

    Attributes:
        stated: Whether the memory is what somebody asked for, and so a limit.
    """

    vcpus: float
    memory_mib: int
    stated: bool = True
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """What the processes of a job must not exceed.

    Attributes:
        memory_mib: Memory that they may have together; None for no limit.
        ulimits: Name, soft and hard limit of each user limit.
    """

    memory_mib: int | None = None
    ulimits: tuple[tuple[str, int, int], ...] = ()


NO_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Queue:
    """A job queue as far as submitting and listing are concerned.

    Attributes:
        shares: Weight factors of its fair-share policy by share identifier, which may end in an asterisk; None for a
            queue without a policy.
    """

    arn: str
    name: str
    enabled: bool
    shares: Mapping[str, float] | None = None

    def weight(self, share: str) -> float:
        """How much a share's usage counts; less is more important."""
        for identifier, factor in (self.shares or {}).items():
            if identifier == share or (identifier.endswith("*") and share.startswith(identifier[:-1])):
                return factor
        return 1.0


@dataclass(frozen=True, slots=True)
class InstanceType:
    """A type of instance. ``memory_mib`` is what jobs can have of it, which is less than what it has."""

    name: str
    vcpus: int
    memory_mib: int
    gpus: int = 0
    architecture: str = "x86_64"

    def holds(self, wanted: Resources) -> bool:
        """Whether a job fits on an empty instance."""
        return self.vcpus >= wanted.vcpus and self.memory_mib >= wanted.memory_mib and self.gpus >= wanted.gpus


@dataclass(frozen=True, slots=True)
class Environment:
    """A compute environment as far as placing a job is concerned.

    Attributes:
        min_vcpus: vCPUs that are kept although no job needs them.
        types: The types that its instances may have; none where there are no instances, as with Fargate.
        idle: Seconds that an instance without jobs is kept; None where nobody has said.
    """

    arn: str
    name: str
    max_vcpus: float
    min_vcpus: float = 0.0
    types: tuple[InstanceType, ...] = ()
    idle: float | None = None


class ExitAction(StrEnum):
    """What a matching rule of a retry strategy asks for."""

    RETRY = "RETRY"
    EXIT = "EXIT"


@dataclass(frozen=True, slots=True)
class ExitRule:
    """One entry of ``evaluateOnExit``; a pattern that is None was not given."""

    action: ExitAction
    on_exit_code: str | None = None
    on_reason: str | None = None
    on_status_reason: str | None = None


@dataclass(frozen=True, slots=True)
class RetryStrategy:
    """How many attempts a job has, and which failures use them up."""

    attempts: int = 1
    rules: tuple[ExitRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Dependency:
    """One entry of ``dependsOn``; ``job_id`` is None for a SEQUENTIAL array."""

    job_id: str | None
    kind: str | None


@dataclass(frozen=True, slots=True)
class Definition:
    """A revision of a job definition, as registered."""

    arn: str
    name: str
    container: Mapping[str, Any]
    parameters: Mapping[str, str] = field(default_factory=dict)
    retry: Mapping[str, Any] = field(default_factory=dict)
    timeout: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    propagate_tags: bool | None = None
    platform_capabilities: tuple[str, ...] = ()
    active: bool = True
    scheduling_priority: int | None = None


@dataclass(frozen=True, slots=True)
class JobSpec:
    """Everything that was settled when the job was submitted; an array's children share their parent's."""

    scope: Scope
    name: str
    queue: str
    definition: Definition
    command: tuple[str, ...]
    environment: Mapping[str, str]
    resources: Resources
    retry: RetryStrategy = RetryStrategy()
    timeout: int | None = None
    container: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    propagate_tags: bool | None = None
    share_identifier: str | None = None
    share_weight: float = 1.0
    scheduling_priority: int | None = None
    array_size: int | None = None
    depends_on: tuple[Dependency, ...] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """How the process of an attempt ended.

    Attributes:
        exit_code: As a container reports it (128 plus the signal's number when a signal ended it); None when there was
            no process to have one.
        reason: The container's reason, given only where something other than the command itself ended it.
        status_reason: What the attempt, and with the last attempt the job, shows as its status reason.
    """

    exit_code: int | None
    reason: str | None
    status_reason: str
