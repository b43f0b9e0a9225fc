"""What the functions of this package return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scaler_batch.provision.description import TASK_PREFIX
from scaler_batch.provision.handover import Handover
from scaler_batch.provision.vocabulary import Identity, Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scaler_batch.provision.naming import Account, Names
    from scaler_batch.provision.plan import Change
    from scaler_batch.provision.settings import Target
    from scaler_batch.provision.vocabulary import Observed


@dataclass(frozen=True, slots=True)
class ProvisionedResources:
    """What is there after provisioning.

    Attributes:
        target: Which set of resources it is.
        account: Whose they are.
        resources: Name and ARN of each.
        changed: What this run made or changed; empty when all was as wanted.
        obstacles: What is not as wanted, and AWS cannot change in place.
        nonce: What all of it bears as a tag, and what later calls without a file have to be given.
        payload_key: Where the key lies that seals tasks and results, as the worker's ``--payload-key`` takes it; empty
            for none.
    """

    target: Target
    account: Account
    resources: Mapping[Kind, Identity]
    changed: tuple[Kind, ...]
    obstacles: tuple[tuple[Kind, Change], ...] = ()
    nonce: str = ""
    payload_key: str = ""

    @property
    def region(self) -> str:
        """AWS region of all resources."""
        return self.target.region

    @property
    def bucket(self) -> str:
        """Name of the bucket for tasks."""
        return self.resources[Kind.BUCKET].name

    @property
    def task_prefix(self) -> str:
        """Key prefix in the bucket that jobs may use; the worker's ``--s3-prefix``."""
        return TASK_PREFIX

    @property
    def job_queue(self) -> str:
        """Name of the job queue."""
        return self.resources[Kind.JOB_QUEUE].name

    @property
    def job_definition(self) -> str:
        """Name of the job definition, which stands for its newest revision."""
        return self.resources[Kind.JOB_DEFINITION].name

    @property
    def handover(self) -> Handover:
        """What the worker adapter needs."""
        return Handover(self.region, self.bucket, self.job_queue, self.job_definition, self.payload_key)

    def environment(self) -> dict[str, str]:
        """What the worker adapter needs, by the names of the variables in the env file."""
        return self.handover.environment()


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What building an image came to.

    Attributes:
        image: Its URI, by its digest.
        tag: Its tag.
        built: Whether it was built, and not there already.
    """

    image: str
    tag: str
    built: bool


@dataclass(frozen=True, slots=True)
class AdoptionReport:
    """What taking over came to.

    Attributes:
        adopted: What is ours now.
        foreign: What was left alone: nothing says that it may be ours.
    """

    adopted: tuple[tuple[Kind, str], ...]
    foreign: tuple[tuple[Kind, str], ...]


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is there, without judging it.

    Attributes:
        observed: Each kind of resource; ``None`` where there is none of its name.
    """

    names: Names
    observed: Mapping[Kind, Observed[Any] | None]
