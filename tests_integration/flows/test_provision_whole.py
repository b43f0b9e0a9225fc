"""From an empty account to answered tasks and back to nothing: by the provisioner, and by a stack of its template."""

from __future__ import annotations

import json

import pytest

from inventory import Client, everything
from stack import Stack

OUTPUTS = {
    "SCALER_AWS_REGION": "Region",
    "SCALER_S3_BUCKET": "Bucket",
    "SCALER_JOB_QUEUE": "JobQueue",
    "SCALER_JOB_DEFINITION": "JobDefinition",
}
"""Outputs of the CloudFormation template, by the variables of the env file."""


def test_provisioned_examined_used_and_cleaned_up_nothing_is_left() -> None:
    with Stack() as stack:
        stack.start_aws()
        before = everything(stack.aws)
        stack.provision()
        found = json.loads(stack.run("doctor", "-m", "scaler_batch.provision", "doctor", "--json"))
        assert found["healthy"], found
        stack.start_storage()
        stack.start_scheduler()
        adapter = stack.start_adapter()
        said = stack.run("doctor", "-m", "scaler_batch.provision", "doctor", "--scheduler", stack.scheduler_address)
        assert "somebody listens" in said
        assert harness(stack).endswith("Results: 4/4 passed\n")
        stack.stop(adapter)
        assert "Nothing is left." in stack.run("cleanup", "-m", "scaler_batch.provision", "cleanup", "--yes")
        assert everything(stack.aws) == before


@pytest.mark.long
def test_the_harness_passes_on_a_stack_that_cloudformation_makes_of_the_template() -> None:
    with Stack() as stack:
        stack.start_aws()
        template = stack.run(
            "template",
            "-m",
            "scaler_batch.provision",
            "template",
            "--format",
            "cloudformation",
            "--image",
            "local/image",
        )
        cloudformation, batch = stack.aws("cloudformation"), stack.aws("batch")
        cloudformation.create_stack(
            StackName="scaler-batch",
            TemplateBody=as_moto_takes_it(template),
            Parameters=network_of(stack.aws),
            Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        (made,) = cloudformation.describe_stacks(StackName="scaler-batch")["Stacks"]
        assert made["StackStatus"] == "CREATE_COMPLETE"
        outputs = {one["OutputKey"]: one["OutputValue"] for one in made["Outputs"]}
        stack.provisioned = {variable: outputs[key] for variable, key in OUTPUTS.items()}
        stack.start_storage()
        stack.start_scheduler()
        stack.start_adapter()
        assert harness(stack).endswith("Results: 4/4 passed\n")
        said = stack.run("cleanup", "-m", "scaler_batch.provision", "cleanup", "--yes")
        assert "left alone, lacks our tags: bucket" in said, "what a stack made belongs to the stack"
        assert batch.describe_job_queues()["jobQueues"]


def harness(stack: Stack) -> str:
    """Run the test harness, and return what it says."""
    arguments = ("--scheduler", stack.scheduler_address, "--test", "all")
    return stack.run("harness", "-m", "scaler_batch.adapter.harness", *arguments)


def as_moto_takes_it(template: str) -> str:
    """The template with two properties that CloudFormation can do without, and moto cannot."""
    document = json.loads(template)
    document["Resources"]["ComputeEnvironment"]["Properties"]["ServiceRole"] = ""
    document["Resources"]["JobDefinition"]["Properties"]["RetryStrategy"] = {"Attempts": 1}
    return json.dumps(document)


def network_of(client: Client) -> list[dict[str, str]]:
    """The default network as parameters of a stack."""
    subnets = client("ec2").describe_subnets()["Subnets"]
    found = {"Subnets": ",".join(one["SubnetId"] for one in subnets), "Vpc": subnets[0]["VpcId"]}
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in found.items()]
