"""Compute environments and job queues of an AWS Batch that takes its time, as the real one does and moto does not."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from scaler_batch.provision import BrokenError, Kind, Patience, Phase, WaitError, Wanted
from scaler_batch.provision.resources.compute_environment import (
    ComputeEnvironmentHandler,
    ComputeEnvironmentSpecification,
)
from scaler_batch.provision.resources.handler import Handler
from scaler_batch.provision.resources.job_queue import JobQueueHandler, JobQueueSpecification
from scaler_batch.provision.resources.scheduling_policy import SchedulingPolicyHandler
from scaler_batch.provision.waiting import Waiter

ENVIRONMENT = Wanted(
    Kind.COMPUTE_ENVIRONMENT,
    "x-compute",
    "arn:x-compute",
    ComputeEnvironmentSpecification("ENABLED", 8, ("c6i",), "arn:profile", ("subnet-1",), ("sg-1",)),
)
QUEUE = Wanted(Kind.JOB_QUEUE, "x-queue", "arn:x-queue", JobQueueSpecification("ENABLED", 1, ("arn:x-compute",)))


class SlowBatch:
    """One resource, compute environment or job queue, whose status moves with each look at it.

    Like AWS it refuses what comes at the wrong moment: changes while the status moves, and deletion while enabled.
    """

    def __init__(self, kind: Kind, *, invalid_times: int = 0) -> None:
        self._kind = kind
        self._invalid_times = invalid_times
        self.related_times = 0
        self.calls: list[str] = []
        self.statuses: list[str] = []
        self.attributes: dict[str, Any] = {}
        for operation in ("compute_environment", "job_queue"):
            for verb in ("create", "update", "delete"):
                setattr(self, f"{verb}_{operation}", getattr(self, f"_{verb}"))
        self.describe_compute_environments = self._describe
        self.describe_job_queues = self._describe

    @property
    def status(self) -> str | None:
        return self.statuses[0] if self.statuses else None

    def _describe(self, **_: Any) -> dict[str, Any]:
        if len(self.statuses) > 1:
            self.statuses.pop(0)
        found = [] if self.status in (None, "gone") else [self._described()]
        return {"computeEnvironments": found, "jobQueues": found}

    def _described(self) -> dict[str, Any]:
        return {
            "computeEnvironmentArn": "arn:x-compute",
            "jobQueueArn": "arn:x-queue",
            "status": self.status,
            "statusReason": "a reason",
            "tags": {},
            **self.attributes,
        }

    def _create(self, **arguments: Any) -> None:
        self._call("create", only_when=(None, "gone"))
        self.attributes = {"computeResources": {}, **arguments}
        self.statuses = ["CREATING", "CREATING", *self._judged()]

    def _update(self, **arguments: Any) -> None:
        self._call("update", only_when=("VALID", "INVALID"))
        resources = {**self.attributes["computeResources"], **arguments.pop("computeResources", {})}
        self.attributes |= {**arguments, "computeResources": resources}
        self.statuses = ["UPDATING", "UPDATING", *self._judged()]

    def _delete(self, **_: Any) -> None:
        self._call("delete", only_when=("VALID", "INVALID"))
        if self.attributes["state"] != "DISABLED":
            raise _refusal("must be disabled")
        self.related_times -= 1
        if self.related_times >= 0:
            raise _refusal("Cannot delete, found existing JobQueue relationship")
        self.statuses = ["DELETING", "DELETING", "DELETED", "gone"]

    def _judged(self) -> list[str]:
        self._invalid_times -= 1
        return ["VALID" if self._invalid_times < 0 else "INVALID"]

    def _call(self, name: str, *, only_when: tuple[str | None, ...]) -> None:
        self.calls.append(name)
        if self.status not in only_when:
            raise _refusal(f"cannot {name} while {self.status}")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def handle(batch: Any, wanted: Wanted[Any]) -> Handler[Any]:
    clock = Clock()
    waiter = Waiter(Patience(ready=300, gone=300, propagation=60), clock=clock, sleep=clock.sleep)
    if wanted is ENVIRONMENT:
        return ComputeEnvironmentHandler(batch, waiter, list)
    return JobQueueHandler(batch, waiter)


@pytest.fixture(params=[ENVIRONMENT, QUEUE], ids=lambda wanted: str(wanted.kind))
def wanted(request: pytest.FixtureRequest) -> Wanted[Any]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def batch(wanted: Wanted[Any]) -> SlowBatch:
    return SlowBatch(wanted.kind)


def made(batch: SlowBatch, wanted: Wanted[Any]) -> Handler[Any]:
    """A handler whose resource is made and ready."""
    handler = handle(batch, wanted)
    handler.create(wanted)
    handler.settle(wanted.name)
    return handler


def observed(handler: Handler[Any], wanted: Wanted[Any]) -> Any:
    found = handler.observe(wanted.name)
    assert found
    return found


def test_making_is_over_when_it_is_valid(batch: SlowBatch, wanted: Wanted[Any]) -> None:
    handler = made(batch, wanted)
    assert batch.status == "VALID"
    assert observed(handler, wanted).specification == wanted.specification
    assert batch.calls == ["create"]


def test_what_is_still_being_made_is_settling(batch: SlowBatch, wanted: Wanted[Any]) -> None:
    handler = handle(batch, wanted)
    handler.create(wanted)
    assert observed(handler, wanted).phase is Phase.SETTLING


def test_a_change_waits_for_the_one_before(batch: SlowBatch, wanted: Wanted[Any]) -> None:
    handler = made(batch, wanted)
    handler.change(wanted, ["state"])
    handler.change(wanted, ["state"])
    handler.settle(wanted.name)
    assert (batch.status, batch.calls) == ("VALID", ["create", "update", "update"])


def test_removing_disables_waits_deletes_and_waits(batch: SlowBatch, wanted: Wanted[Any]) -> None:
    handler = made(batch, wanted)
    handler.remove(observed(handler, wanted))
    assert batch.calls == ["create", "update", "delete"]
    assert handler.observe(wanted.name) is None


def test_an_environment_is_removed_once_batch_has_forgotten_its_queue() -> None:
    batch = SlowBatch(Kind.COMPUTE_ENVIRONMENT)
    handler = made(batch, ENVIRONMENT)
    batch.related_times = 3
    handler.remove(observed(handler, ENVIRONMENT))
    assert batch.calls == ["create", "update", "delete", "delete", "delete", "delete"]
    assert handler.observe(ENVIRONMENT.name) is None


def test_an_environment_that_a_queue_still_leads_to_is_given_up_with_the_reason() -> None:
    batch = SlowBatch(Kind.COMPUTE_ENVIRONMENT)
    handler = made(batch, ENVIRONMENT)
    batch.related_times = 1000
    with pytest.raises(WaitError, match="found existing JobQueue relationship"):
        handler.remove(observed(handler, ENVIRONMENT))


def test_a_scheduling_policy_is_removed_once_batch_has_forgotten_its_queue() -> None:
    batch, clock = Policies(related_times=2), Clock()
    waiter = Waiter(Patience(related=60), clock=clock, sleep=clock.sleep)
    handler = SchedulingPolicyHandler(batch, waiter, lambda name: f"arn:{name}")  # type: ignore[arg-type]
    found = handler.observe("x")
    assert found
    handler.remove(found)
    assert (batch.related_times, handler.observe("x")) == (0, None)


class Policies:
    """AWS Batch with one scheduling policy, which it knows some queue to have for some time."""

    def __init__(self, related_times: int) -> None:
        self.related_times = related_times
        self._found: list[dict[str, Any]] = [{"arn": "arn:x", "name": "x", "fairsharePolicy": {}}]

    def describe_scheduling_policies(self, arns: list[str]) -> dict[str, Any]:
        return {"schedulingPolicies": [one for one in self._found if one["arn"] in arns]}

    def delete_scheduling_policy(self, arn: str) -> None:
        if self.related_times:
            self.related_times -= 1
            raise _refusal("Cannot delete, found existing JobQueue relationship")
        self._found.clear()


def test_removing_what_is_still_being_made_waits_first(batch: SlowBatch, wanted: Wanted[Any]) -> None:
    handler = handle(batch, wanted)
    handler.create(wanted)
    handler.remove(observed(handler, wanted))
    assert handler.observe(wanted.name) is None


def test_removing_what_is_being_removed_only_waits(batch: SlowBatch, wanted: Wanted[Any]) -> None:
    handler = made(batch, wanted)
    before = observed(handler, wanted)
    batch.statuses = ["DELETING", "DELETING", "DELETING", "gone"]
    assert observed(handler, wanted).phase is Phase.LEAVING
    handler.remove(before)
    assert batch.calls == ["create"]


def test_removing_what_is_gone_does_nothing(batch: SlowBatch, wanted: Wanted[Any]) -> None:
    handler = made(batch, wanted)
    before = observed(handler, wanted)
    batch.statuses = ["gone"]
    handler.remove(before)
    assert batch.calls == ["create"]


def test_making_waits_until_one_of_the_same_name_is_gone(batch: SlowBatch, wanted: Wanted[Any]) -> None:
    handler = made(batch, wanted)
    batch.statuses = ["DELETING", "DELETING", "DELETING", "gone"]
    handler.create(wanted)
    handler.settle(wanted.name)
    assert batch.status == "VALID"


def test_what_is_invalid_too_soon_becomes_valid_when_looked_at_again(wanted: Wanted[Any]) -> None:
    batch = SlowBatch(wanted.kind, invalid_times=2)
    made(batch, wanted)
    assert batch.calls == ["create", "update", "update"]


def test_what_stays_invalid_is_broken_and_seen_as_such(wanted: Wanted[Any]) -> None:
    batch = SlowBatch(wanted.kind, invalid_times=1000)
    handler = handle(batch, wanted)
    handler.create(wanted)
    with pytest.raises(BrokenError, match="is invalid: a reason"):
        handler.settle(wanted.name)
    assert observed(handler, wanted).specification.state == "INVALID"


def test_only_the_fields_that_differ_are_sent() -> None:
    batch = SlowBatch(Kind.COMPUTE_ENVIRONMENT)
    handler = made(batch, ENVIRONMENT)
    sent: dict[str, Any] = {}
    batch.update_compute_environment = lambda **arguments: sent.update(arguments)  # type: ignore[attr-defined]
    handler.change(ENVIRONMENT, ["max_vcpus"])
    assert sent == {"computeEnvironment": "x-compute", "computeResources": {"maxvCpus": 8}}
    sent.clear()
    handler.change(ENVIRONMENT, ["state", "subnets", "security_groups", "instance_types", "instance_profile"])
    assert sent["state"] == "ENABLED"
    assert sent["computeResources"].keys() == {"subnets", "securityGroupIds", "instanceTypes", "instanceRole"}


def _refusal(words: str) -> ClientError:
    return ClientError({"Error": {"Code": "ClientException", "Message": words}}, "Batch")
