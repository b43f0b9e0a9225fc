"""Which machines jobs get: with GPUs, kept while idle, on Spot capacity first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from scaler_batch.provision import Kind, Settings, Target, cleanup, provision
from scaler_batch.provision.options import build_parser
from scaler_batch.provision.options import settings as settings_of

if TYPE_CHECKING:
    import boto3

pytestmark = pytest.mark.long


def environments(aws: boto3.Session) -> dict[str, Any]:
    batch = aws.client("batch", region_name="us-east-1")
    found = batch.describe_compute_environments()["computeEnvironments"]
    return {one["computeEnvironmentName"]: one["computeResources"] for one in found}


def test_jobs_go_to_spot_first_and_then_on_demand(aws: boto3.Session, settings: Settings, everything: Any) -> None:
    before = everything()
    both = replace(settings, spot_then_ec2=True)
    assert provision(both, aws).changed[-3:] == (Kind.SPOT_ENVIRONMENT, Kind.COMPUTE_ENVIRONMENT, Kind.JOB_QUEUE)
    found = environments(aws)
    bought = {name: (one["type"], one["allocationStrategy"]) for name, one in found.items()}
    assert bought == {
        "scaler-batch-spot": ("SPOT", "SPOT_PRICE_CAPACITY_OPTIMIZED"),
        "scaler-batch-compute": ("EC2", "BEST_FIT_PROGRESSIVE"),
    }
    (queue,) = aws.client("batch", region_name="us-east-1").describe_job_queues()["jobQueues"]
    order = sorted(queue["computeEnvironmentOrder"], key=lambda one: one["order"])
    assert [one["computeEnvironment"].rpartition("/")[2] for one in order] == list(bought)
    assert provision(both, aws).changed == ()
    assert cleanup(Target(), aws).complete
    assert everything() == before


def test_spot_first_can_be_chosen_later_and_given_up_again(aws: boto3.Session, settings: Settings) -> None:
    provision(settings, aws)
    changed = provision(replace(settings, spot_then_ec2=True), aws).changed
    assert changed == (Kind.SPOT_ENVIRONMENT, Kind.JOB_QUEUE)
    assert provision(settings, aws).changed == (Kind.JOB_QUEUE,)
    (queue,) = aws.client("batch", region_name="us-east-1").describe_job_queues()["jobQueues"]
    assert len(queue["computeEnvironmentOrder"]) == 1
    assert cleanup(Target(), aws).complete
    assert environments(aws) == {}, "the one that nothing led to any more, too"


def test_idle_instances_are_kept_as_long_as_is_asked(aws: boto3.Session, settings: Settings, calls: Any) -> None:
    provision(settings, aws)
    assert "scalingPolicy" not in environments(aws)["scaler-batch-compute"], "an older AWS does not know it"
    for minutes in (30, 0):
        calls.made.clear()
        assert provision(replace(settings, keep_minutes=minutes), aws).changed == (Kind.COMPUTE_ENVIRONMENT,)
        assert calls.made == ["UpdateComputeEnvironment"]
        policy = environments(aws)["scaler-batch-compute"]["scalingPolicy"]
        assert policy == {"minScaleDownDelayMinutes": minutes}
        assert provision(replace(settings, keep_minutes=minutes), aws).changed == ()


def test_jobs_with_gpus_get_instances_that_have_some_and_drivers_for_them(
    aws: boto3.Session, settings: Settings
) -> None:
    with_gpus = replace(settings, gpus=1, instance_types=("g4dn", "g5"))
    provision(with_gpus, aws)
    batch = aws.client("batch", region_name="us-east-1")
    (definition,) = batch.describe_job_definitions()["jobDefinitions"]
    assert {"type": "GPU", "value": "1"} in definition["containerProperties"]["resourceRequirements"]
    resources = environments(aws)["scaler-batch-compute"]
    assert resources["ec2Configuration"] == [{"imageType": "ECS_AL2023_NVIDIA"}]
    assert provision(with_gpus, aws).changed == ()
    assert provision(settings, aws).changed == (Kind.JOB_DEFINITION, Kind.COMPUTE_ENVIRONMENT)
    assert provision(settings, aws).changed == ()


@pytest.mark.parametrize(
    ("arguments", "types"),
    [
        ([], ("default_x86_64",)),
        (["--gpus", "1"], ("g4dn", "g5")),
        (["--gpus", "1", "--instance-types", "p4d"], ("p4d",)),
        (["--platform", "linux/arm64"], ("default_arm64",)),
    ],
)
def test_instance_types_follow_from_what_jobs_need(arguments: list[str], types: tuple[str, ...]) -> None:
    options = build_parser().parse_args(["plan", *arguments])
    assert settings_of(options).instance_types == types
