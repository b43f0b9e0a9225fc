"""Queues with a fair-share policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError


def names(world: Any) -> list[str]:
    """The jobs that were started, in this order."""
    jobs = {
        attempt.id: job.spec.name for job in world.engine.table for attempt in [*job.attempts, job.current] if attempt
    }
    return [jobs[attempt] for attempt in world.launched()]


def run_all(world: Any) -> list[str]:
    for _ in range(20):
        for job in [job for job in world.engine.table if job.current]:
            world.run(job)
    return names(world)


def test_the_share_that_has_used_least_goes_next(make_world: Any) -> None:
    world = make_world(slots=1)
    for name in ("a1", "a2", "a3", "b1", "b2"):
        world.submit(name=name, share_identifier=name[0])
    assert run_all(world) == ["a1", "b1", "a2", "b2", "a3"]


def test_a_share_of_half_the_weight_runs_twice_as_much(make_world: Any) -> None:
    world = make_world(slots=1)
    for name, weight in [("a", 0.5)] * 6 + [("b", 1.0)] * 3:
        world.submit(name=name, share_identifier=name, share_weight=weight)
    assert run_all(world).count("b") == 3
    assert sorted(run_all(world)[:6]) == ["a"] * 4 + ["b"] * 2


def test_within_a_share_the_higher_scheduling_priority_goes_first(make_world: Any) -> None:
    world = make_world(slots=1)
    for name, priority in (("first", 0), ("low", 1), ("high", 9), ("low too", 1)):
        world.submit(name=name, share_identifier="a", scheduling_priority=priority)
    assert run_all(world) == ["first", "high", "low", "low too"]


@pytest.fixture
def fair(account: Any) -> Iterator[Any]:
    policy = account.batch.create_scheduling_policy(
        name="policy", fairsharePolicy={"shareDistribution": [{"shareIdentifier": "team*", "weightFactor": 0.5}]}
    )["arn"]
    order = [{"order": 1, "computeEnvironment": "fleet"}]
    account.batch.create_job_queue(
        jobQueueName="fair", priority=1, schedulingPolicyArn=policy, computeEnvironmentOrder=order
    )
    yield account
    account.batch.update_job_queue(jobQueue="fair", state="DISABLED")
    account.batch.delete_job_queue(jobQueue="fair")
    account.batch.delete_scheduling_policy(arn=policy)


@pytest.mark.parametrize(
    ("queue", "request_", "message"),
    [
        ("fair", {}, "shareIdentifier must be specified."),
        ("fair", {"shareIdentifier": "teamA"}, "Either schedulingPriority in job definition or"),
        ("fair", {"shareIdentifier": "no space", "schedulingPriorityOverride": 1}, "letters and digits"),
        ("fair", {"shareIdentifier": "teamA", "schedulingPriorityOverride": 10_000}, "between 0 and 9999"),
        ("queue", {"shareIdentifier": "teamA"}, "can only be submitted to job queue with fair share"),
        ("queue", {"schedulingPriorityOverride": 1}, "can only be submitted to job queue with fair share"),
    ],
)
def test_queues_refuse_jobs_that_do_not_fit_their_policy(
    fair: Any, queue: str, request_: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match=message):
        fair.submit("true", jobQueue=queue, **request_)


def test_a_job_with_a_share_runs_and_shows_it(fair: Any) -> None:
    job = fair.run("true", jobQueue="fair", shareIdentifier="teamA", schedulingPriorityOverride=7)
    assert (job["status"], job["shareIdentifier"], job["schedulingPriority"]) == ("SUCCEEDED", "teamA", 7)


def test_the_priority_of_a_definition_is_enough_and_is_shown(fair: Any) -> None:
    definition = fair.define("true", schedulingPriority=3)
    job = fair.run(definition=definition, jobQueue="fair", shareIdentifier="teamA")
    assert (job["status"], job["schedulingPriority"]) == ("SUCCEEDED", 3)
    shown = fair.batch.describe_job_definitions(jobDefinitionName=definition)["jobDefinitions"][0]
    assert shown["schedulingPriority"] == 3


def test_a_policy_that_is_used_cannot_be_deleted_nor_given_to_another_queue_later(fair: Any) -> None:
    policy = fair.batch.describe_job_queues(jobQueues=["fair"])["jobQueues"][0]["schedulingPolicyArn"]
    with pytest.raises(ClientError, match="found existing JobQueue relationship"):
        fair.batch.delete_scheduling_policy(arn=policy)
    with pytest.raises(ClientError, match="cannot be given one"):
        fair.batch.update_job_queue(jobQueue="queue", schedulingPolicyArn=policy)
    with pytest.raises(ClientError, match="does not exist"):
        fair.batch.update_job_queue(jobQueue="fair", schedulingPolicyArn=f"{policy}x")
