"""What is wanted, from settings and surroundings."""

from __future__ import annotations

from typing import Any

import pytest

from scaler_batch.payload.contract import RUNNER_COMMAND
from scaler_batch.provision import Kind, Settings, Target
from scaler_batch.provision.description import DEFAULT_PARAMETERS, describe
from scaler_batch.provision.naming import Account, Names
from scaler_batch.provision.resources.network import Network


def described(partition: str = "aws", **choices: Any) -> dict[Kind, Any]:
    names = Names(Target(), Account("123456789012", partition))
    wanted = describe(Settings(image="i", **choices), names, Network(("subnet-1",), ("sg-1",)))
    return {one.kind: one.specification for one in wanted}


def test_every_reference_of_the_command_has_a_default() -> None:
    references = {word.removeprefix("Ref::") for word in RUNNER_COMMAND if word.startswith("Ref::")}
    assert DEFAULT_PARAMETERS.keys() == references
    assert all(DEFAULT_PARAMETERS.values()), "AWS takes no empty parameters"


def test_sizes_reach_the_definition_and_the_environment() -> None:
    wanted = described(vcpus=4, memory_mb=4000, max_vcpus=8, instance_types=("c6i",), job_timeout_minutes=10)
    definition, environment = wanted[Kind.JOB_DEFINITION], wanted[Kind.COMPUTE_ENVIRONMENT]
    assert (definition.vcpus, definition.memory_mb, definition.timeout_seconds) == (4, 3686, 600)
    assert (environment.max_vcpus, environment.instance_types) == (8, ("c6i",))


def test_ecs_may_assume_roles_for_this_account_only() -> None:
    wanted = described()
    for kind in (Kind.JOB_ROLE, Kind.EXECUTION_ROLE):
        (statement,) = wanted[kind].trust["Statement"]
        assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    assert "Condition" not in wanted[Kind.INSTANCE_ROLE].trust["Statement"][0], "EC2 does not say for whom"


def test_everything_is_tagged_with_prefix_nonce_and_version() -> None:
    names = Names(Target(prefix="mine"), Account("123456789012", "aws"))
    settings = Settings(image="i", prefix="mine", tags={"team": "ours"})
    for one in describe(settings, names, Network((), ()), nonce="f" * 32):
        assert one.tags.keys() == {"scaler-batch:prefix", "scaler-batch:nonce", "scaler-batch:version", "team"}
        assert [one.tags[f"scaler-batch:{key}"] for key in ("prefix", "nonce")] == ["mine", "f" * 32]
        assert one.tags["team"] == "ours"


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_no_arn_points_to_another_partition(partition: str) -> None:
    text = repr(described(partition))
    found = {part.split(":")[0] for part in text.split("arn:")[1:]}
    assert found == {partition}
