"""What AWS Batch is sent is what botocore's model of it accepts, with nothing that the shape leaves open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator

from scaler_batch.aws import JobShape, JobSpec, retry_rules
from scaler_batch.aws.limits import EXIT_RULES
from scaler_batch.aws.requests import submit_request

SHAPE = JobShape("queue", "definition:3", 900)
PARAMETERS = {"run": "s3://b/r", "pack": "-"}


def request(shape: JobShape, size: int = 1) -> dict[str, Any]:
    """Write a request, and have botocore look at it."""
    written = submit_request(JobSpec("scaler-batch-run-1", shape, PARAMETERS, size))
    model = boto3.Session()._session.get_service_model("batch").operation_model("SubmitJob")
    report = ParamValidator().validate(written, model.input_shape)
    assert not report.has_errors(), report.generate_report()
    return written


def test_a_plain_job_says_nothing_but_what_it_must():
    assert request(SHAPE) == {
        "jobName": "scaler-batch-run-1",
        "jobQueue": "queue",
        "jobDefinition": "definition:3",
        "parameters": PARAMETERS,
        "timeout": {"attemptDurationSeconds": 900},
        "retryStrategy": {
            "attempts": 3,
            "evaluateOnExit": [
                {"action": "RETRY", "onStatusReason": "Host EC2*"},
                {"action": "RETRY", "onReason": "CannotPull*"},
                {"action": "RETRY", "onReason": "DockerTimeoutError*"},
                {"action": "RETRY", "onReason": "CannotInspectContainerError*"},
                {"action": "EXIT", "onReason": "*"},
            ],
        },
    }


def test_tags_are_on_the_job_and_on_the_task_that_costs():
    tags = (("scaler-batch:run", "r"), ("scaler-batch:worker", "me@here"))
    written = request(replace(SHAPE, tags=tags))
    assert written["tags"] == {"scaler-batch:run": "r", "scaler-batch:worker": "me@here"}
    assert written["propagateTags"] is True


def test_an_array_names_its_size():
    assert request(SHAPE, 500)["arrayProperties"] == {"size": 500}


def test_resources_replace_those_of_the_definition():
    shape = replace(SHAPE, vcpus=2.0, memory=1_048_576, gpus=1)
    assert request(shape)["containerOverrides"] == {
        "resourceRequirements": [
            {"type": "VCPU", "value": "2"},
            {"type": "MEMORY", "value": "1048576"},
            {"type": "GPU", "value": "1"},
        ]
    }


@pytest.mark.parametrize(("vcpus", "text"), [(0.25, "0.25"), (1, "1"), (10.0, "10"), (0.5, "0.5")])
def test_part_of_a_processor_is_written_as_aws_does(vcpus: float, text: str):
    overrides = request(replace(SHAPE, vcpus=vcpus))["containerOverrides"]
    assert overrides == {"resourceRequirements": [{"type": "VCPU", "value": text}]}


def test_variables_of_the_environment_go_along():
    overrides = request(replace(SHAPE, variables=(("NAME", "value"),)))["containerOverrides"]
    assert overrides == {"environment": [{"name": "NAME", "value": "value"}]}


def test_share_and_priority_go_along():
    written = request(replace(SHAPE, share="team", scheduling_priority=0))
    assert (written["shareIdentifier"], written["schedulingPriorityOverride"]) == ("team", 0)


def test_attempts_are_the_shapes():
    assert request(replace(SHAPE, attempts=1))["retryStrategy"]["attempts"] == 1


def test_no_failure_is_retried_for_want_of_a_rule():
    rules = retry_rules()
    assert rules[-1] == {"action": "EXIT", "onReason": "*"}
    assert all(rule["action"] == "RETRY" for rule in rules[:-1])
    assert len(rules) <= EXIT_RULES
