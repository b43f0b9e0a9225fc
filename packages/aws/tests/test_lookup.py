from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from scaler_batch.aws import DefinitionReference, bucket_region, find_definition, find_queue, vcpus_of

ARN = "arn:aws:batch:eu-west-1:123456789012:job-definition/pi"


@pytest.fixture
def batch() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.Session("key", "secret").client("batch", region_name="eu-west-1")
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def s3() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.Session("key", "secret").client("s3", region_name="eu-west-1")
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


def revision(number: int) -> dict[str, Any]:
    return {
        "jobDefinitionName": "pi",
        "jobDefinitionArn": f"{ARN}:{number}",
        "revision": number,
        "type": "container",
        "status": "ACTIVE",
    }


@pytest.mark.parametrize(
    ("reference", "expected"),
    [("pi", 12), ("pi:9", 9), (ARN, 12), (f"{ARN}:9", 9), ("pi:7", None), (ARN.replace("eu-west", "us-west"), None)],
)
def test_a_definition_is_found_by_every_name_that_submitjob_takes(
    reference: str, expected: int | None, batch: tuple[Any, Stubber]
):
    client, aws = batch
    request = {"jobDefinitionName": "pi", "status": "ACTIVE"}
    aws.add_response("describe_job_definitions", {"jobDefinitions": [revision(9)], "nextToken": "1"}, request)
    aws.add_response("describe_job_definitions", {"jobDefinitions": [revision(12)]}, {**request, "nextToken": "1"})
    found = find_definition(client, reference)
    assert (found and found["revision"]) == expected


@pytest.mark.parametrize("text", ["", "a:b", "a:1:2", "a/b", "arn:aws:batch:eu-west-1:1:job-queue/q"])
def test_what_submitjob_would_not_take_names_no_definition(text: str, batch: tuple[Any, Stubber]):
    assert DefinitionReference.parse(text) is None
    assert find_definition(batch[0], text) is None


def test_a_queue_is_found_or_not(batch: tuple[Any, Stubber]):
    client, aws = batch
    queue = {
        "jobQueueName": "q",
        "jobQueueArn": "arn:q",
        "state": "ENABLED",
        "priority": 1,
        "computeEnvironmentOrder": [],
    }
    aws.add_response("describe_job_queues", {"jobQueues": [queue]}, {"jobQueues": ["q"]})
    aws.add_response("describe_job_queues", {"jobQueues": []}, {"jobQueues": ["other"]})
    assert find_queue(client, "q") == queue
    assert find_queue(client, "other") is None


def test_the_region_of_a_bucket_is_what_s3_says(s3: tuple[Any, Stubber]):
    client, aws = s3
    aws.add_response("head_bucket", {"BucketRegion": "us-west-2"}, {"Bucket": "b"})
    assert bucket_region(client, "b", "tasks") == "us-west-2"
    aws.add_response("head_bucket", {"ResponseMetadata": {"HTTPHeaders": {"x-amz-bucket-region": "eu-west-1"}}})
    assert bucket_region(client, "b", "tasks") == "eu-west-1"
    aws.add_response("head_bucket", {"ResponseMetadata": {"HTTPHeaders": {}}})
    assert bucket_region(client, "b", "tasks") is None


def test_who_may_list_below_the_prefix_only_may_use_the_bucket(s3: tuple[Any, Stubber]):
    client, aws = s3
    aws.add_client_error(
        "head_bucket",
        "403",
        http_status_code=403,
        response_meta={"HTTPHeaders": {"x-amz-bucket-region": "us-west-2"}},
    )
    aws.add_response("list_objects_v2", {"KeyCount": 0}, {"Bucket": "b", "Prefix": "tasks/", "MaxKeys": 1})
    assert bucket_region(client, "b", "tasks") == "us-west-2"


@pytest.mark.parametrize("codes", [["403", "AccessDenied"], ["404"]])
def test_a_bucket_that_is_not_there_or_not_for_us_is_refused(codes: list[str], s3: tuple[Any, Stubber]):
    client, aws = s3
    for operation, code in zip(["head_bucket", "list_objects_v2"], codes, strict=False):
        aws.add_client_error(operation, code, http_status_code=403)
    with pytest.raises(ClientError) as caught:
        bucket_region(client, "b", "tasks")
    assert caught.value.operation_name == "HeadBucket"


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({"resourceRequirements": [{"type": "VCPU", "value": "4"}, {"type": "MEMORY", "value": "99"}]}, 4),
        ({"resourceRequirements": [{"type": "VCPU", "value": "0.25"}]}, 1),
        ({"resourceRequirements": [{"type": "VCPU", "value": "2.5"}], "vcpus": 7}, 2),
        ({"vcpus": 8}, 8),
        ({}, 1),
    ],
)
def test_the_vcpus_of_a_definition_are_read_where_they_stand(container: Any, expected: int) -> None:
    definition: Any = {"containerProperties": container}
    assert vcpus_of(definition) == expected


def test_a_definition_without_a_container_has_one() -> None:
    definition: Any = {"eksProperties": {}}
    assert vcpus_of(definition) == 1
