"""Accounts, regions and capacity of other kinds than the usual: what is provisioned there works, and goes again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from inventory import everything
from scaler_batch.aws import PREFIX_TAG
from scaler_batch.local.accounts import PRIVATE_SUBNETS
from stack import Options, Stack

pytestmark = pytest.mark.long

Look = Callable[[Callable[[str], Any]], object]


def private_subnets(client: Callable[[str], Any]) -> tuple[str, ...]:
    """Options for an account without a default VPC."""
    filters = [{"Name": "tag:Name", "Values": [PRIVATE_SUBNETS]}]
    found = client("ec2").describe_subnets(Filters=filters)["Subnets"]
    return ("--subnets", ",".join(one["SubnetId"] for one in found))


def instance_types(client: Callable[[str], Any]) -> set[str]:
    """Families of the instances that bear our tag."""
    filters = [{"Name": f"tag:{PREFIX_TAG}", "Values": ["scaler-batch"]}]
    found = client("ec2").describe_instances(Filters=filters)["Reservations"]
    return {one["InstanceType"].partition(".")[0] for each in found for one in each["Instances"]}


@dataclass(frozen=True)
class Kind:
    """A kind of account and of capacity.

    Attributes:
        local: Options of the local AWS.
        provision: Options of the provisioner.
        share: Share identifier of worker and doctor.
        shown: What must be seen in the account while it is in use.
    """

    local: tuple[str, ...] = ()
    provision: tuple[str, ...] = ()
    share: tuple[str, ...] = ()
    region: str = "us-east-1"
    shown: Look = bool


HARDENED = ("--account", "hardened")
KINDS = {
    "hardened account": Kind(HARDENED, shown=instance_types),
    "region in China": Kind(
        ("--region", "cn-northwest-1"),
        region="cn-northwest-1",
        shown=lambda client: (
            client("batch")
            .describe_job_queues()["jobQueues"][0]["jobQueueArn"]
            .startswith("arn:aws-cn:batch:cn-northwest-1:")
        ),
    ),
    "fair-share queue": Kind(
        provision=("--fair-share",),
        share=("--share-identifier", "blue"),
        shown=lambda client: client("batch").describe_job_queues()["jobQueues"][0]["schedulingPolicyArn"],
    ),
    "ARM": Kind(
        HARDENED,
        ("--platform", "linux/arm64"),
        shown=lambda client: instance_types(client) & {"m6g", "c6g", "r6g", "c7g"},
    ),
    "GPU": Kind(
        HARDENED,
        ("--gpus", "1"),
        shown=lambda client: instance_types(client) & {"g4dn", "g5"},
    ),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_is_provisioned_there_is_healthy_works_and_goes(kind: Kind) -> None:
    with Stack(Options(local=kind.local, worker=kind.share)) as stack:
        stack.start_aws()
        before = everything(stack.aws)
        network = private_subnets(stack.aws) if kind.local == HARDENED else ()
        where = ("--region", kind.region)
        stack.provision(*where, *kind.provision, *network)
        found = json.loads(stack.run("doctor", "-m", "scaler_batch.provision", "doctor", *kind.share, "--json"))
        assert found["healthy"], found
        stack.start_storage()
        stack.start_scheduler()
        adapter = stack.start_adapter()
        said = stack.run("harness", "-m", "scaler_batch.adapter.harness", "--scheduler", stack.scheduler_address)
        assert said.endswith("Results: 4/4 passed\n")
        assert kind.shown(stack.aws), instance_types(stack.aws)
        stack.stop(adapter)
        assert "Nothing is left." in stack.run("cleanup", "-m", "scaler_batch.provision", "cleanup", *where, "--yes")
        after = everything(stack.aws)
        assert {**after, "instances": []} == {**before, "instances": []}
