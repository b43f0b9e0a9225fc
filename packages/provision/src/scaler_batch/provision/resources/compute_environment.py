"""The managed compute environment: EC2 instances that come when jobs wait and go when none do.

No service role is named: AWS Batch then uses the role it keeps for itself in the account, and allows more of the
environment to be changed in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypedDict

from scaler_batch.provision.resources.batch_status import ENABLED, INVALID, Status, StatusWatch
from scaler_batch.provision.resources.handler import Handler
from scaler_batch.provision.vocabulary import Observed, Specification, Wanted

if TYPE_CHECKING:
    from collections.abc import Collection

    from mypy_boto3_batch import BatchClient
    from mypy_boto3_batch.type_defs import ComputeEnvironmentDetailTypeDef, ComputeResourceUpdateTypeDef

    from scaler_batch.provision.waiting import Waiter

ALLOCATION: Final = "BEST_FIT_PROGRESSIVE"
"""Takes further instance types when the best one is short; the API's own default waits for it."""


class _Update(TypedDict, total=False):
    """What an update names; what it leaves out stays as it is."""

    state: Literal["ENABLED"]
    computeResources: ComputeResourceUpdateTypeDef


@dataclass(frozen=True, slots=True)
class ComputeEnvironmentSpecification(Specification):
    """A compute environment.

    Attributes:
        state: ``ENABLED``, ``DISABLED``, or ``INVALID`` when AWS has found a fault with it.
        max_vcpus: Most vCPUs it may grow to.
        instance_types: EC2 types or families, or ``default_x86_64``.
        instance_profile: ARN of the profile of its instances.
        subnets: Where its instances lie.
        security_groups: What its instances may be reached by.
    """

    state: str
    max_vcpus: int
    instance_types: tuple[str, ...]
    instance_profile: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]


class ComputeEnvironmentHandler(Handler[ComputeEnvironmentSpecification]):
    """Looks after the compute environment."""

    def __init__(self, batch: BatchClient, waiter: Waiter) -> None:
        self._batch = batch
        self._waiter = waiter

    def observe(self, name: str) -> Observed[ComputeEnvironmentSpecification] | None:
        """Look at the environment."""
        found = self._find(name)
        if found is None:
            return None
        phase = _status(found).phase
        tags = dict(found.get("tags", {}))
        return Observed(name, found["computeEnvironmentArn"], _specification(found), tags, phase)

    def create(self, wanted: Wanted[ComputeEnvironmentSpecification]) -> None:
        """Make it, once one of the same name that is being removed has gone."""
        self._watch(wanted.name).until_gone()
        specification = wanted.specification
        self._batch.create_compute_environment(
            computeEnvironmentName=wanted.name,
            type="MANAGED",
            state="ENABLED",
            computeResources={
                "type": "EC2",
                "allocationStrategy": ALLOCATION,
                "minvCpus": 0,
                "maxvCpus": specification.max_vcpus,
                "instanceTypes": specification.instance_types,
                "instanceRole": specification.instance_profile,
                "subnets": specification.subnets,
                "securityGroupIds": specification.security_groups,
                "tags": wanted.tags,
            },
            tags=wanted.tags,
        )

    def change(self, wanted: Wanted[ComputeEnvironmentSpecification], fields: Collection[str]) -> None:
        """Update these fields and no others: some of them make AWS replace instances."""
        self._watch(wanted.name).until_still()
        update = _update(wanted.specification, fields)
        self._batch.update_compute_environment(computeEnvironment=wanted.name, **update)

    def settle(self, name: str) -> None:
        """Wait until it is valid."""
        self._watch(name).until_valid(
            lambda: self._batch.update_compute_environment(computeEnvironment=name, state="ENABLED")
        )

    def remove(self, observed: Observed[ComputeEnvironmentSpecification]) -> None:
        """Disable it, delete it, and wait until it is gone."""
        name = observed.name
        watch = self._watch(name)
        if (found := self._find(name)) and found.get("status") != "DELETING":
            watch.until_still()
            self._batch.update_compute_environment(computeEnvironment=name, state="DISABLED")
            watch.until_still()
            self._batch.delete_compute_environment(computeEnvironment=name)
        watch.until_gone()

    def _find(self, name: str) -> ComputeEnvironmentDetailTypeDef | None:
        found = self._batch.describe_compute_environments(computeEnvironments=[name])["computeEnvironments"]
        return next((one for one in found if one.get("status") != "DELETED"), None)

    def _watch(self, name: str) -> StatusWatch:
        def look() -> Status | None:
            found = self._find(name)
            return _status(found) if found else None

        return StatusWatch(f"compute environment {name}", look, self._waiter)


def _status(found: ComputeEnvironmentDetailTypeDef) -> Status:
    return Status(found.get("status", ""), found.get("statusReason", ""))


def _specification(found: ComputeEnvironmentDetailTypeDef) -> ComputeEnvironmentSpecification:
    resources = found.get("computeResources")
    return ComputeEnvironmentSpecification(
        state=INVALID if found.get("status") == INVALID else found.get("state", ENABLED),
        max_vcpus=resources["maxvCpus"] if resources else 0,
        instance_types=tuple(resources.get("instanceTypes", ())) if resources else (),
        instance_profile=resources.get("instanceRole", "") if resources else "",
        subnets=tuple(sorted(resources["subnets"])) if resources else (),
        security_groups=tuple(sorted(resources.get("securityGroupIds", ()))) if resources else (),
    )


def _update(wanted: ComputeEnvironmentSpecification, fields: Collection[str]) -> _Update:
    resources: ComputeResourceUpdateTypeDef = {}
    if "max_vcpus" in fields:
        resources["maxvCpus"] = wanted.max_vcpus
    if "instance_types" in fields:
        resources["instanceTypes"] = wanted.instance_types
    if "instance_profile" in fields:
        resources["instanceRole"] = wanted.instance_profile
    if "subnets" in fields:
        resources["subnets"] = wanted.subnets
    if "security_groups" in fields:
        resources["securityGroupIds"] = wanted.security_groups
    update: _Update = {"computeResources": resources} if resources else {}
    if "state" in fields:
        update["state"] = "ENABLED"
    return update
