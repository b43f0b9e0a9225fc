"""What all checks look at: the names of one set of resources, the clients to reach them, and what was found first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_batch import BatchClient

    from scaler_batch.provision.handover import Handover
    from scaler_batch.provision.naming import Account
    from scaler_batch.provision.resources.clients import Clients


@dataclass(frozen=True, slots=True)
class Scene:
    """Where to look.

    Attributes:
        clients: Reach AWS, and give up soon.
        account: Whose resources they are.
        names: What the worker is told: region, bucket, queue, definition.
        task_prefix: Key prefix of tasks in the bucket.
        share: Share identifier of the worker's jobs; ``None`` for none.
        python: Version that clients run, such as ``3.12``; ``None`` where nobody has said it.
    """

    clients: Clients
    account: Account
    names: Handover
    task_prefix: str
    python: str | None
    share: str | None = None

    @property
    def bucket_arn(self) -> str:
        """ARN of the bucket."""
        return f"arn:{self.account.partition}:s3:::{self.names.bucket}"


@dataclass(frozen=True, slots=True)
class Found:
    """What the other checks need to have been found, as AWS describes it; ``None`` where it is not there."""

    definition: Mapping[str, Any] | None
    queue: Mapping[str, Any] | None
    environments: tuple[Mapping[str, Any], ...]

    @property
    def container(self) -> Mapping[str, Any]:
        """The container of the definition."""
        container: Mapping[str, Any] = (self.definition or {}).get("containerProperties", {})
        return container

    @property
    def compute(self) -> tuple[Mapping[str, Any], ...]:
        """The resources of each compute environment that has some."""
        return tuple(one["computeResources"] for one in self.environments if one.get("computeResources"))

    def required(self, kind: str) -> float:
        """How much of ``VCPU``, ``MEMORY`` (MB) or ``GPU`` a job takes."""
        requirements = self.container.get("resourceRequirements", [])
        legacy = self.container.get({"VCPU": "vcpus", "MEMORY": "memory"}.get(kind, ""), 0)
        return next((float(one["value"]) for one in requirements if one["type"] == kind), float(legacy))


def _definitions(batch: BatchClient, name: str) -> list[Any]:
    """All active revisions of a name; the one of a ``name:revision`` or an ARN."""
    plain, _, revision = name.rpartition("/")[2].partition(":")
    pages = batch.get_paginator("describe_job_definitions").paginate(jobDefinitionName=plain, status="ACTIVE")
    found = [one for page in pages for one in page["jobDefinitions"]]
    return [one for one in found if revision in ("", str(one["revision"]))]


def find(scene: Scene) -> Found:
    """Look for definition, queue and the compute environments behind it."""
    batch = scene.clients.batch
    definitions = sorted(_definitions(batch, scene.names.job_definition), key=lambda one: one["revision"])
    queues = batch.describe_job_queues(jobQueues=[scene.names.job_queue])["jobQueues"]
    arns = [one["computeEnvironment"] for queue in queues[:1] for one in queue["computeEnvironmentOrder"]]
    environments: list[Any] = (
        list(batch.describe_compute_environments(computeEnvironments=arns)["computeEnvironments"]) if arns else []
    )
    return Found(
        definition=dict(definitions[-1]) if definitions else None,
        queue=dict(queues[0]) if queues else None,
        environments=tuple(environments),
    )
