from __future__ import annotations

from typing import Any

import pytest

from scaler_batch.local.batch import limits
from scaler_batch.local.batch.specification import specify
from scaler_batch.local.batch.vocabulary import (
    Definition,
    Dependency,
    ExitAction,
    ExitRule,
    JobSpec,
    Queue,
    Resources,
    RetryStrategy,
    Scope,
)
from scaler_batch.local.errors import ApiError

SCOPE = Scope("123456789012", "us-east-1")
QUEUE = Queue("arn:queue", "queue", enabled=True)
CONTAINER = {
    "image": "image",
    "command": ["run", "Ref::what"],
    "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
    "resourceRequirements": [{"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "512"}],
}


def definition(**changes: Any) -> Definition:
    given = {"arn": SCOPE.arn("job-definition/d:1"), "name": "d", "container": CONTAINER, "parameters": {"what": "x"}}
    return Definition(**{**given, **changes})


def settle(definition: Definition, **request: Any) -> JobSpec:
    return specify({"jobName": "job", **request}, definition, QUEUE, SCOPE, 60)


def test_a_job_is_its_definition_where_the_request_says_nothing() -> None:
    spec = settle(definition(timeout=90, retry={"attempts": 3}))
    assert spec.command == ("run", "x")
    assert spec.environment == {"A": "1", "B": "2"}
    assert spec.resources == Resources(2, 512)
    assert (spec.timeout, spec.retry, spec.array_size) == (90, RetryStrategy(3), None)


def test_a_request_lays_over_its_definition() -> None:
    spec = settle(
        definition(timeout=90, retry={"attempts": 3}),
        parameters={"what": "y"},
        containerOverrides={
            "environment": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}],
            "resourceRequirements": [{"type": "MEMORY", "value": "1024"}],
        },
        timeout={"attemptDurationSeconds": 120},
        retryStrategy={"attempts": 1},
    )
    assert spec.command == ("run", "y")
    assert spec.environment == {"A": "1", "B": "3", "C": "4"}
    assert spec.resources == Resources(2, 1024)
    assert (spec.timeout, spec.retry) == (120, RetryStrategy(1))


def test_who_submits_decides_whether_tags_are_propagated_and_else_the_definition() -> None:
    assert settle(definition(propagate_tags=True)).propagate_tags is True
    assert settle(definition(propagate_tags=True), propagateTags=False).propagate_tags is False
    assert settle(definition(), propagateTags=True).propagate_tags is True


def test_an_overriding_command_is_substituted_too() -> None:
    assert settle(definition(), containerOverrides={"command": ["echo", "Ref::what"]}).command == ("echo", "x")


def test_a_definition_is_not_changed_by_what_is_laid_over_it() -> None:
    before = repr(CONTAINER)
    settle(definition(), containerOverrides={"environment": [{"name": "A", "value": "9"}]})
    assert repr(CONTAINER) == before


def test_older_resource_fields_count_when_there_is_nothing_newer() -> None:
    older = definition(container={"command": ["x"], "vcpus": 4, "memory": 256})
    assert settle(older).resources == Resources(4, 256)
    assert settle(older, containerOverrides={"vcpus": 8}).resources == Resources(8, 256)


def test_rules_of_a_strategy_are_read_whatever_their_case() -> None:
    strategy = {"attempts": 5, "evaluateOnExit": [{"onStatusReason": "Host EC2*", "action": "retry"}]}
    assert settle(definition(retry=strategy)).retry == RetryStrategy(
        5, (ExitRule(ExitAction.RETRY, on_status_reason="Host EC2*"),)
    )


def test_dependencies_are_kept() -> None:
    depends_on = [{"jobId": "a"}, {"jobId": "b", "type": "N_TO_N"}, {"type": "SEQUENTIAL"}]
    spec = settle(definition(), arrayProperties={"size": 2}, dependsOn=depends_on)
    assert spec.depends_on == (Dependency("a", None), Dependency("b", "N_TO_N"), Dependency(None, "SEQUENTIAL"))


@pytest.mark.parametrize("size", [2, 10_000])
def test_array_sizes_at_the_limits_are_accepted(size: int) -> None:
    assert settle(definition(), arrayProperties={"size": size}).array_size == size


@pytest.mark.parametrize(
    "request_",
    [
        {"arrayProperties": {"size": 1}},
        {"arrayProperties": {"size": 10_001}},
        {"arrayProperties": {"size": "3"}},
        {"arrayProperties": {"size": True}},
        {"timeout": {"attemptDurationSeconds": 59}},
        {"timeout": {"attemptDurationSeconds": "60"}},
        {"retryStrategy": {"attempts": 11}},
        {"retryStrategy": {"attempts": 0}},
        {"retryStrategy": {"evaluateOnExit": [{"action": "EXIT"}]}},
        {"retryStrategy": {"attempts": 2, "evaluateOnExit": [{"action": "STOP"}]}},
        {"retryStrategy": {"attempts": 2, "evaluateOnExit": [{"action": "EXIT"}] * 6}},
        {"dependsOn": [{"jobId": str(n)} for n in range(21)]},
        {"dependsOn": [{"jobId": "a", "type": "N_TO_N"}]},
        {"dependsOn": [{"type": "SEQUENTIAL"}]},
        {"dependsOn": [{"type": "N_TO_N"}], "arrayProperties": {"size": 2}},
        {"dependsOn": [{"jobId": "a", "type": "ALL"}], "arrayProperties": {"size": 2}},
        {"dependsOn": [{}]},
        {"tags": {str(n): "" for n in range(51)}},
        {"jobName": "with space"},
        {"jobName": "-begins-badly"},
        {"jobName": ""},
        {"jobName": "x" * 129},
        {"jobName": "newline\n"},
        {"containerOverrides": {"environment": [{"name": "AWS_BATCH_JOB_ID", "value": "mine"}]}},
        {"containerOverrides": {"resourceRequirements": [{"type": "VCPU", "value": "many"}]}},
        {"containerOverrides": {"resourceRequirements": [{"type": "VCPU", "value": "nan"}]}},
        {"containerOverrides": {"resourceRequirements": [{"type": "MEMORY", "value": "3"}]}},
    ],
)
def test_what_aws_refuses_is_refused_at_once(request_: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as refusal:
        settle(definition(), **request_)
    assert (refusal.value.code, refusal.value.status) == ("ClientException", 400)


def test_a_name_of_128_characters_is_accepted() -> None:
    assert settle(definition(), jobName="x" * 128).name == "x" * 128


def test_a_size_limit_counts_bytes() -> None:
    limits.check_size(b"x" * limits.SUBMIT_BYTES, limits.SUBMIT_BYTES, "it")
    with pytest.raises(ApiError, match="30721 bytes"):
        limits.check_size(b"x" * (limits.SUBMIT_BYTES + 1), limits.SUBMIT_BYTES, "it")


@pytest.mark.parametrize("ids", [None, "abc", [1], ["x"] * 101])
def test_lists_of_ids_are_checked(ids: object) -> None:
    with pytest.raises(ApiError):
        limits.check_ids(ids, 100)
