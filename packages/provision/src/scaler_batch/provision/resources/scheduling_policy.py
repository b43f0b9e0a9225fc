"""The scheduling policy of a fair-share queue: who has used little of late goes first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scaler_batch.provision.resources.batch_status import once_unrelated
from scaler_batch.provision.resources.handler import Handler
from scaler_batch.provision.vocabulary import Observed, Specification, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from mypy_boto3_batch import BatchClient

    from scaler_batch.provision.waiting import Waiter


@dataclass(frozen=True, slots=True)
class SchedulingPolicySpecification(Specification):
    """A fair-share scheduling policy. Shares with no weight of their own weigh the same.

    Attributes:
        decay_seconds: How far back usage counts, the latest the most; at most a week.
        reservation: Percentage of the vCPUs that is kept free for shares that use none at present.
    """

    decay_seconds: int
    reservation: int = 0


class SchedulingPolicyHandler(Handler[SchedulingPolicySpecification]):
    """Looks after the scheduling policy.

    Args:
        batch: Reaches the service.
        waiter: Bounds waits.
        arn_of: Makes the ARN of a name, by which alone AWS Batch finds policies.
    """

    def __init__(self, batch: BatchClient, waiter: Waiter, arn_of: Callable[[str], str]) -> None:
        self._batch = batch
        self._waiter = waiter
        self._arn_of = arn_of

    def observe(self, name: str) -> Observed[SchedulingPolicySpecification] | None:
        """Look at the policy."""
        found = self._batch.describe_scheduling_policies(arns=[self._arn_of(name)])["schedulingPolicies"]
        if not found:
            return None
        (policy,) = found
        share = policy.get("fairsharePolicy", {})
        specification = SchedulingPolicySpecification(
            share.get("shareDecaySeconds", 0), share.get("computeReservation", 0)
        )
        return Observed(name, policy["arn"], specification, dict(policy.get("tags", {})))

    def create(self, wanted: Wanted[SchedulingPolicySpecification]) -> None:
        """Make it."""
        self._batch.create_scheduling_policy(
            name=wanted.name, fairsharePolicy=fair_share(wanted.specification), tags=wanted.tags
        )

    def change(self, wanted: Wanted[SchedulingPolicySpecification], fields: Collection[str]) -> None:
        """Bring it to what is wanted; weights that somebody gave to shares stay."""
        (policy,) = self._batch.describe_scheduling_policies(arns=[wanted.arn])["schedulingPolicies"]
        weights = policy.get("fairsharePolicy", {}).get("shareDistribution", [])
        changed: Any = {**fair_share(wanted.specification), "shareDistribution": weights}
        self._batch.update_scheduling_policy(arn=wanted.arn, fairsharePolicy=changed)

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Tag it."""
        self._batch.tag_resource(resourceArn=arn, tags=tags)

    def remove(self, observed: Observed[SchedulingPolicySpecification]) -> None:
        """Remove it."""
        what = f"scheduling policy {observed.name}"
        once_unrelated(self._waiter, what, lambda: self._batch.delete_scheduling_policy(arn=observed.arn))


def fair_share(specification: SchedulingPolicySpecification) -> Any:
    """The policy, as AWS Batch takes it."""
    return {"shareDecaySeconds": specification.decay_seconds, "computeReservation": specification.reservation}
