"""The job queue: where jobs wait for the compute environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scaler_batch.provision.resources.batch_status import ENABLED, INVALID, Status, StatusWatch
from scaler_batch.provision.resources.handler import Handler
from scaler_batch.provision.vocabulary import Observed, Specification, Untold, Wanted

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from mypy_boto3_batch import BatchClient
    from mypy_boto3_batch.type_defs import (
        ComputeEnvironmentOrderTypeDef,
        JobQueueDetailTypeDef,
        JobStateTimeLimitActionTypeDef,
    )

    from scaler_batch.provision.waiting import Waiter


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """How long a job at the head of the queue may be unable to start, for one reason.

    Attributes:
        reason: AWS's code of the reason; a RUNNABLE job's ``statusReason`` begins with it.
        seconds: From 600 to 86,400; then AWS Batch cancels the job.
    """

    reason: str
    seconds: int


@dataclass(frozen=True, slots=True)
class JobQueueSpecification(Specification):
    """A job queue.

    Attributes:
        state: ``ENABLED``, ``DISABLED``, or ``INVALID`` when AWS has found a fault with it.
        priority: Among queues that share a compute environment, the higher goes first.
        compute_environments: ARNs, in the order in which they are tried.
        time_limits: For each reason for which a job cannot start; sorted by reason.
        fair_share: ARN of the scheduling policy that shares it out among its users; empty for first come, first served.
    """

    state: str
    priority: int
    compute_environments: tuple[str, ...]
    time_limits: tuple[TimeLimit, ...] | Untold = ()
    fair_share: str = ""

    def obstacle(self, field: str, wanted: Any) -> str | None:
        """A scheduling policy can be exchanged for another, but neither added nor taken away."""
        if field != "fair_share" or (self.fair_share and wanted):
            return None
        if self.fair_share:
            return "AWS cannot take a scheduling policy away; remove the queue, or pass --fair-share"
        return "AWS cannot give one to a queue that was made without; remove the queue, or pass another --prefix"


class JobQueueHandler(Handler[JobQueueSpecification]):
    """Looks after the job queue."""

    def __init__(self, batch: BatchClient, waiter: Waiter) -> None:
        self._batch = batch
        self._waiter = waiter

    def observe(self, name: str) -> Observed[JobQueueSpecification] | None:
        """Look at the queue."""
        found = self._find(name)
        if found is None:
            return None
        phase = _status(found).phase
        return Observed(name, found["jobQueueArn"], _specification(found), dict(found.get("tags", {})), phase)

    def create(self, wanted: Wanted[JobQueueSpecification]) -> None:
        """Make it, once one of the same name that is being removed has gone."""
        self._watch(wanted.name).until_gone()
        self._batch.create_job_queue(
            jobQueueName=wanted.name,
            state="ENABLED",
            priority=wanted.specification.priority,
            computeEnvironmentOrder=_order(wanted.specification.compute_environments),
            jobStateTimeLimitActions=_actions(wanted.specification.time_limits),
            tags=wanted.tags,
            **_policy(wanted.specification),
        )

    def change(self, wanted: Wanted[JobQueueSpecification], fields: Collection[str]) -> None:
        """Bring it to what is wanted; all fields are cheap to set."""
        self._watch(wanted.name).until_still()
        self._batch.update_job_queue(
            jobQueue=wanted.name,
            state="ENABLED",
            priority=wanted.specification.priority,
            computeEnvironmentOrder=_order(wanted.specification.compute_environments),
            jobStateTimeLimitActions=_actions(wanted.specification.time_limits),
            **(_policy(wanted.specification) if "fair_share" in fields else {}),
        )

    def settle(self, name: str) -> None:
        """Wait until it is valid."""
        self._watch(name).until_valid(lambda: self._batch.update_job_queue(jobQueue=name, state="ENABLED"))

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Tag it."""
        self._batch.tag_resource(resourceArn=arn, tags=tags)

    def remove(self, observed: Observed[JobQueueSpecification]) -> None:
        """Disable it, delete it, and wait until it is gone; AWS ends the jobs in it."""
        name = observed.name
        watch = self._watch(name)
        if (found := self._find(name)) and found["status"] != "DELETING":
            watch.until_still()
            self._batch.update_job_queue(jobQueue=name, state="DISABLED")
            watch.until_still()
            self._batch.delete_job_queue(jobQueue=name)
        watch.until_gone()

    def _find(self, name: str) -> JobQueueDetailTypeDef | None:
        found = self._batch.describe_job_queues(jobQueues=[name])["jobQueues"]
        return next((one for one in found if one["status"] != "DELETED"), None)

    def _watch(self, name: str) -> StatusWatch:
        def look() -> Status | None:
            found = self._find(name)
            return _status(found) if found else None

        return StatusWatch(f"job queue {name}", look, self._waiter)


def _status(found: JobQueueDetailTypeDef) -> Status:
    return Status(found["status"], found.get("statusReason", ""))


def _specification(found: JobQueueDetailTypeDef) -> JobQueueSpecification:
    ordered = sorted(found["computeEnvironmentOrder"], key=lambda one: one["order"])
    return JobQueueSpecification(
        state=INVALID if found["status"] == INVALID else found.get("state", ENABLED),
        priority=found["priority"],
        compute_environments=tuple(one["computeEnvironment"] for one in ordered),
        time_limits=_time_limits(found),
        fair_share=found.get("schedulingPolicyArn") or "",
    )


def _policy(wanted: JobQueueSpecification) -> Any:
    return {"schedulingPolicyArn": wanted.fair_share} if wanted.fair_share else {}


def _order(environments: Sequence[str]) -> list[ComputeEnvironmentOrderTypeDef]:
    return [{"order": order, "computeEnvironment": arn} for order, arn in enumerate(environments, start=1)]


def _actions(limits: Sequence[TimeLimit] | Untold) -> list[JobStateTimeLimitActionTypeDef]:
    if isinstance(limits, Untold):
        return []
    return [
        {"reason": limit.reason, "state": "RUNNABLE", "maxTimeSeconds": limit.seconds, "action": "CANCEL"}
        for limit in limits
    ]


def _time_limits(found: JobQueueDetailTypeDef) -> tuple[TimeLimit, ...] | Untold:
    """Imitations of AWS Batch take the limits and never speak of them again."""
    actions = found.get("jobStateTimeLimitActions")
    if actions is None:
        return Untold.UNTOLD
    return tuple(
        sorted((TimeLimit(one["reason"], one["maxTimeSeconds"]) for one in actions), key=lambda one: one.reason)
    )
