"""The managed compute environment: EC2 instances that come when jobs wait and go when none do.

No service role is named: AWS Batch then uses the role it keeps for itself in the account, and allows more of the
environment to be changed in place.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict, cast

from scaler_batch.provision.resources.batch_status import ENABLED, INVALID, Status, StatusWatch, once_unrelated
from scaler_batch.provision.resources.handler import Handler
from scaler_batch.provision.vocabulary import VERSION_TAG, Observed, Specification, Untold, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from mypy_boto3_batch import BatchClient
    from mypy_boto3_batch.type_defs import (
        ComputeEnvironmentDetailTypeDef,
        ComputeResourceOutputTypeDef,
        ComputeResourceUpdateTypeDef,
    )

    from scaler_batch.provision.waiting import Waiter

ON_DEMAND: Final = ("EC2", "BEST_FIT_PROGRESSIVE")
"""Takes further instance types when the best one is short; the API's own default waits for it."""

SPOT: Final = ("SPOT", "SPOT_PRICE_CAPACITY_OPTIMIZED")
"""Takes what is cheap among what AWS is least likely to want back."""

FIXED_ALLOCATION: Final = "BEST_FIT"
"""What AWS takes where no allocation strategy is named. An environment that has it keeps it, and most of the rest."""

_ALWAYS_CHANGEABLE: Final = frozenset({"state", "max_vcpus"})


_PURCHASE: Final = frozenset({"capacity", "allocation"})
_BATCH_OWN_ROLE: Final = ":role/aws-service-role/batch"


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
        security_groups: Their ids, or the name of ours where that is still to be made.
        launch_template: Name of the launch template of its instances; empty for none.
        capacity: ``EC2`` for on-demand instances, ``SPOT``.
        allocation: How AWS chooses among the instance types.
        instance_tags: Tags that its instances bear.
        keep_minutes: How long an instance without jobs is kept; 0 for as long as AWS Batch likes.
        image_type: AWS Batch's type of the image of instances; untold where its choice will do.
        managed: Whether AWS Batch looks after its instances.
        service_role: Role that AWS Batch acts in, where it is one of the account's own; empty for that of AWS Batch.
    """

    state: str
    max_vcpus: int
    instance_types: tuple[str, ...]
    instance_profile: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    launch_template: str = ""
    capacity: str = ON_DEMAND[0]
    allocation: str = ON_DEMAND[1]
    instance_tags: Mapping[str, str] = field(default_factory=dict)
    keep_minutes: int = 0
    image_type: str | Untold = Untold.UNTOLD
    managed: bool = True
    service_role: str = ""

    def obstacle(self, field: str, wanted: Any) -> str | None:
        """AWS changes little of what was made by other means."""
        if field in ("managed", "service_role"):
            return "AWS cannot change it; remove the environment and provision again"
        if field not in _ALWAYS_CHANGEABLE and (self.allocation == FIXED_ALLOCATION or self.service_role):
            return f"AWS fixes it where the allocation strategy is {FIXED_ALLOCATION}, or a service role is named"
        return None


_ALL: Final = frozenset(field.name for field in fields(ComputeEnvironmentSpecification))


class ComputeEnvironmentHandler(Handler[ComputeEnvironmentSpecification]):
    """Looks after the compute environment.

    Args:
        batch: Reaches the service.
        waiter: Bounds waits.
        group_ids: Exchanges names of security groups that were made meanwhile for their ids.
    """

    def __init__(self, batch: BatchClient, waiter: Waiter, group_ids: Callable[[Sequence[str]], list[str]]) -> None:
        self._batch = batch
        self._waiter = waiter
        self._group_ids = group_ids

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
        specification = self._resolved(wanted.specification)
        resources = _sent(specification, _given(specification))
        self._batch.create_compute_environment(
            computeEnvironmentName=wanted.name,
            type="MANAGED",
            state="ENABLED",
            computeResources=cast("Any", {"minvCpus": 0, **resources, "tags": _tags_of_instances(wanted)}),
            tags=wanted.tags,
        )

    def change(self, wanted: Wanted[ComputeEnvironmentSpecification], fields: Collection[str]) -> None:
        """Update these fields and no others: some of them make AWS replace instances."""
        self._watch(wanted.name).until_still()
        update = _update(self._resolved(wanted.specification), fields)
        self._batch.update_compute_environment(computeEnvironment=wanted.name, **update)

    def settle(self, name: str) -> None:
        """Wait until it is valid."""
        self._watch(name).until_valid(
            lambda: self._batch.update_compute_environment(computeEnvironment=name, state="ENABLED")
        )

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Tag it."""
        self._batch.tag_resource(resourceArn=arn, tags=tags)

    def remove(self, observed: Observed[ComputeEnvironmentSpecification]) -> None:
        """Disable it, delete it, and wait until it is gone."""
        name = observed.name
        watch = self._watch(name)
        if (found := self._find(name)) and found.get("status") != "DELETING":
            watch.until_still()
            self._batch.update_compute_environment(computeEnvironment=name, state="DISABLED")
            watch.until_still()
            what = f"compute environment {name}"
            once_unrelated(self._waiter, what, lambda: self._batch.delete_compute_environment(computeEnvironment=name))
        watch.until_gone()

    def _resolved(self, specification: ComputeEnvironmentSpecification) -> ComputeEnvironmentSpecification:
        """The same with ids of security groups only."""
        return replace(specification, security_groups=tuple(self._group_ids(specification.security_groups)))

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
        launch_template=resources.get("launchTemplate", {}).get("launchTemplateName", "") if resources else "",
        capacity=resources["type"] if resources else "",
        allocation=resources.get("allocationStrategy", FIXED_ALLOCATION) if resources else "",
        instance_tags=_without_version(resources.get("tags", {})) if resources else {},
        keep_minutes=resources.get("scalingPolicy", {}).get("minScaleDownDelayMinutes", 0) if resources else 0,
        image_type=_image_type(resources) if resources else Untold.UNTOLD,
        managed=found.get("type", "MANAGED") == "MANAGED",
        service_role=_own(found.get("serviceRole", "")),
    )


def _image_type(resources: ComputeResourceOutputTypeDef) -> str | Untold:
    """The type of the image. AWS tells it also where it was AWS's choice; imitations do not."""
    told = [one["imageType"] for one in resources.get("ec2Configuration", [])]
    return told[0] if told else Untold.UNTOLD


def _tags_of_instances(wanted: Wanted[ComputeEnvironmentSpecification]) -> dict[str, str]:
    """What new instances bear: what was asked for, and which version made the environment."""
    version = {key: value for key, value in wanted.tags.items() if key == VERSION_TAG}
    return {**wanted.specification.instance_tags, **version}


def _without_version(tags: Mapping[str, str]) -> dict[str, str]:
    """A new version of this package alone must not have AWS replace all instances."""
    return {key: value for key, value in tags.items() if key != VERSION_TAG}


def _own(role: str) -> str:
    """The role, unless it is the one that AWS Batch keeps for itself in every account."""
    return "" if _BATCH_OWN_ROLE in role else role


def _sent(wanted: ComputeEnvironmentSpecification, fields: Collection[str]) -> dict[str, Any]:
    """These fields, as AWS Batch takes them among the resources of an environment."""
    template = {"launchTemplateName": wanted.launch_template, "version": "$Default"}
    by_field: dict[str, tuple[str, Any]] = {
        "max_vcpus": ("maxvCpus", wanted.max_vcpus),
        "instance_types": ("instanceTypes", wanted.instance_types),
        "instance_profile": ("instanceRole", wanted.instance_profile),
        "subnets": ("subnets", wanted.subnets),
        "security_groups": ("securityGroupIds", wanted.security_groups),
        "launch_template": ("launchTemplate", template),
        "capacity": ("type", wanted.capacity),
        "allocation": ("allocationStrategy", wanted.allocation),
        "instance_tags": ("tags", wanted.instance_tags),
        "keep_minutes": ("scalingPolicy", {"minScaleDownDelayMinutes": wanted.keep_minutes}),
        "image_type": ("ec2Configuration", [{"imageType": wanted.image_type}]),
    }
    return dict(sent for field, sent in by_field.items() if field in fields)


def _given(wanted: ComputeEnvironmentSpecification) -> frozenset[str]:
    """The fields that a new environment is told: no more than is wanted, as an older AWS knows fewer."""
    left_out = {"keep_minutes": not wanted.keep_minutes, "image_type": isinstance(wanted.image_type, Untold)}
    return _ALL - {field for field, left in left_out.items() if left}


def _update(wanted: ComputeEnvironmentSpecification, fields: Collection[str]) -> _Update:
    # With other fields too: AWS judges them together.
    together = _PURCHASE if not _PURCHASE.isdisjoint(fields) else frozenset()
    resources = _sent(wanted, {*fields, *together})
    update: _Update = {"computeResources": cast("ComputeResourceUpdateTypeDef", resources)} if resources else {}
    if "state" in fields:
        update["state"] = "ENABLED"
    return update
