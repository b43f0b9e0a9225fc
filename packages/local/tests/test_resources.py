"""Compute environments, queues, definitions and buckets, where moto's are not like AWS's."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from scaler_batch.local import LocalAWS


def test_resources_in_use_are_not_deleted(account: Any) -> None:
    with pytest.raises(ClientError, match="must be DISABLED"):
        account.batch.delete_job_queue(jobQueue="queue")
    with pytest.raises(ClientError, match="must be DISABLED"):
        account.batch.delete_compute_environment(computeEnvironment="fleet")


def test_an_environment_without_a_role_gets_the_service_linked_one(account: Any) -> None:
    (environment,) = account.batch.describe_compute_environments(computeEnvironments=["fleet"])["computeEnvironments"]
    assert environment["serviceRole"].endswith("/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch")
    assert environment["computeResources"]["instanceTypes"] == ["default_x86_64"]
    assert (environment["state"], environment["status"]) == ("ENABLED", "VALID")


def test_the_size_of_an_environment_can_be_changed(account: Any) -> None:
    account.batch.update_compute_environment(computeEnvironment="fleet", computeResources={"maxvCpus": 65})
    (environment,) = account.batch.describe_compute_environments(computeEnvironments=["fleet"])["computeEnvironments"]
    assert environment["computeResources"]["maxvCpus"] == 65
    account.batch.update_compute_environment(computeEnvironment="fleet", computeResources={"maxvCpus": 64})


def test_a_queue_shows_its_environments_by_arn(account: Any) -> None:
    for change in ({}, {"computeEnvironmentOrder": [{"order": 1, "computeEnvironment": "fleet"}]}):
        account.batch.update_job_queue(jobQueue="queue", priority=1, **change)
        (queue,) = account.batch.describe_job_queues(jobQueues=["queue"])["jobQueues"]
        (environment,) = queue["computeEnvironmentOrder"]
        assert environment["computeEnvironment"].endswith(":123456789012:compute-environment/fleet")


def test_an_environment_that_is_not_there_makes_no_queue(account: Any) -> None:
    order = [{"order": 1, "computeEnvironment": "nowhere"}]
    with pytest.raises(ClientError, match="ClientException"):
        account.batch.create_job_queue(jobQueueName="nothing", priority=1, computeEnvironmentOrder=order)


def test_a_definition_over_twenty_four_kibibytes_is_refused(account: Any) -> None:
    with pytest.raises(ClientError, match="at most 24576"):
        account.define("echo", "x" * 24 * 1024)


@pytest.mark.parametrize(
    "wrong",
    [
        {"retryStrategy": {"attempts": 11}},
        {"retryStrategy": {"attempts": 2, "evaluateOnExit": [{"action": "EXIT", "onReason": "*"}] * 6}},
        {"timeout": {"attemptDurationSeconds": 0}},
        {"tags": {str(number): "" for number in range(51)}},
        {"jobDefinitionName": "with space"},
    ],
)
def test_a_definition_that_no_job_could_have_is_refused(account: Any, wrong: dict[str, Any]) -> None:
    container = {"image": "none", "command": ["true"], "vcpus": 1, "memory": 64}
    given = {"jobDefinitionName": "wrong", "type": "container", "containerProperties": container}
    with pytest.raises(ClientError, match="ClientException"):
        account.batch.register_job_definition(**{**given, **wrong})


@pytest.mark.parametrize("name", ["Upper", "under_score", "-first", "last-", "two..dots", "127.0.0.1", "x" * 64])
def test_a_bucket_that_aws_would_not_name_so_is_not_made(aws: LocalAWS, name: str) -> None:
    s3 = aws.client("s3")
    with pytest.raises(ClientError, match="InvalidBucketName"):
        s3.create_bucket(Bucket=name)
    s3.close()


def test_a_bucket_may_have_dots_and_digits(aws: LocalAWS) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="0.my-bucket.1")
    s3.delete_bucket(Bucket="0.my-bucket.1")
    s3.close()
