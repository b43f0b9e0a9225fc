"""The machines behind a queue, and what a RUNNABLE job waits for, as far as AWS Batch itself does not say.

AWS Batch asks EC2 for instances, and each joins the ECS cluster of its compute environment once it has started. Where
none joins, jobs wait for ever and instances bill: the subnets have no way out, most often.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scaler_batch.provision.resources.clients import EcsClient

JOINING_SECONDS: Final = 600
"""Longest that an instance takes to join, with room: measured times of cold clusters end at 329 s."""


@dataclass(frozen=True, slots=True)
class Machines:
    """The instances of one compute environment.

    Attributes:
        environment: Its name.
        most: vCPUs that it may grow to.
        desired: vCPUs that AWS Batch has asked EC2 for.
        joined: Instances that have joined its cluster; ``None`` where that is not known.
    """

    environment: str
    most: int
    desired: int
    joined: int | None

    @property
    def missing(self) -> bool:
        """Whether instances were asked for, and none has joined."""
        return self.desired > 0 and self.joined == 0


@dataclass(frozen=True, slots=True)
class Wait:
    """What jobs wait for.

    Attributes:
        message: In words.
        fix: What to do about it.
        hopeless: Whether waiting longer will not help.
    """

    message: str
    fix: str
    hopeless: bool = False


def count_joined(ecs: EcsClient, environments: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Ask ECS how many instances have joined the clusters of environments, and return that by ARN of the cluster."""
    arns = [one["ecsClusterArn"] for one in environments if one.get("ecsClusterArn")]
    answer = ecs.describe_clusters(clusters=arns)["clusters"] if arns else []
    return {one["clusterArn"]: one.get("registeredContainerInstancesCount", 0) for one in answer}


def machines_of(environments: Iterable[Mapping[str, Any]], joined: Mapping[str, int]) -> tuple[Machines, ...]:
    """The machines of environments, as AWS Batch describes them, that have some."""
    managed = (one for one in environments if one.get("computeResources"))
    return tuple(_machines(one, joined.get(one.get("ecsClusterArn", ""))) for one in managed)


def seconds_since(milliseconds: int | None) -> float:
    """How long ago something was that AWS Batch gives a time of; 0 where it gives none."""
    return max(0.0, time.time() - milliseconds / 1000) if milliseconds else 0.0


def describe_wait(machines: Iterable[Machines], waited: float) -> Wait:
    """Say what RUNNABLE jobs wait for.

    Args:
        machines: Those of all environments of the queue.
        waited: Seconds for which the job has waited that has waited longest.
    """
    behind = list(machines)
    wanting = [one for one in behind if one.desired > 0]
    if wanting and all(one.missing for one in wanting):
        return _for_instances_to_join(wanting, waited)
    if wanting:
        return Wait(
            f"it waits for room: {_counted(wanting)}",
            "wait for jobs before it to end, or let more run: --max-vcpus, and the worker's --max-concurrent-jobs",
        )
    limits = f" (its environments grow to {sum(one.most for one in behind)} vCPUs)" if behind else ""
    return Wait(
        f"it waits for a machine{limits}: for one to be started, or for jobs before it to end",
        "give it some minutes; if it stays: scaler-batch-provision doctor looks at job size, network and quotas",
    )


def _for_instances_to_join(wanting: list[Machines], waited: float) -> Wait:
    names = ", ".join(one.environment for one in wanting)
    asked = f"{sum(one.desired for one in wanting)} vCPUs were asked for"
    if waited < JOINING_SECONDS:
        return Wait(f"it waits for an instance: {asked}, and none has joined yet", "give it some minutes")
    return Wait(
        f"{asked}, and after {waited / 60:.0f} minutes no instance has joined {names}: instances "
        "bill, and no job will start",
        "see that subnets and security groups let instances out (scaler-batch-provision doctor looks), and that EC2 "
        "starts them: its console shows why where it does not",
        hopeless=True,
    )


def _counted(machines: list[Machines]) -> str:
    return "; ".join(f"{one.environment} has {one.desired} of {one.most} vCPUs" for one in machines)


def _machines(environment: Mapping[str, Any], joined: int | None) -> Machines:
    resources = environment["computeResources"]
    return Machines(
        environment["computeEnvironmentName"], resources.get("maxvCpus", 0), resources.get("desiredvCpus", 0), joined
    )
