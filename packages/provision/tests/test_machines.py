"""What a job waits for where AWS Batch does not say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from scaler_batch.provision import Files, Settings, provision
from scaler_batch.provision.checks import instances
from scaler_batch.provision.doctor import Patient, examine
from scaler_batch.provision.explanation import Around, explain_waiting
from scaler_batch.provision.finding import Verdict
from scaler_batch.provision.machines import JOINING_SECONDS, Machines, describe_wait, machines_of, seconds_since

if TYPE_CHECKING:
    from pathlib import Path

    import boto3

IDLE = Machines("c", most=256, desired=0, joined=0)
STARTING = Machines("c", most=256, desired=4, joined=0)
RUNNING = Machines("c", most=256, desired=4, joined=1)
UNKNOWN = Machines("c", most=256, desired=4, joined=None)


@pytest.mark.parametrize(
    ("machines", "waited", "words", "hopeless"),
    [
        ([], 5, "waits for a machine", False),
        ([IDLE], 5, "256 vCPUs", False),
        ([STARTING], 5, "none has joined yet", False),
        ([STARTING], JOINING_SECONDS + 1, "no instance has joined c", True),
        ([STARTING, RUNNING], JOINING_SECONDS + 1, "waits for room", False),
        ([RUNNING], 5, "c has 4 of 256 vCPUs", False),
        ([UNKNOWN], JOINING_SECONDS + 1, "waits for room", False),
    ],
)
def test_what_a_job_waits_for(machines: list[Machines], waited: float, words: str, hopeless: bool) -> None:
    wait = describe_wait(machines, waited)
    assert (words in wait.message, wait.hopeless) == (True, hopeless), wait
    assert wait.fix


@pytest.mark.parametrize(
    ("machines", "waited", "verdict"),
    [
        ([IDLE], 0.0, Verdict.OK),
        ([RUNNING], 0.0, Verdict.OK),
        ([STARTING], 5.0, Verdict.WARNING),
        ([STARTING], JOINING_SECONDS + 1.0, Verdict.PROBLEM),
    ],
)
def test_instances_that_never_join_are_a_problem(machines: list[Machines], waited: float, verdict: Verdict) -> None:
    assert instances.judge(machines, waited).verdict is verdict


def test_why_tells_of_instances_that_do_not_join() -> None:
    environment = {
        "computeEnvironmentName": "c",
        "ecsClusterArn": "arn",
        "computeResources": {"maxvCpus": 8, "desiredvCpus": 2},
    }
    around = Around(None, (environment,), joined={"arn": 0}, waited=JOINING_SECONDS + 1)
    said = explain_waiting({"jobId": "j", "status": "RUNNABLE", "createdAt": 1}, around)
    assert any("no instance has joined c" in sentence for sentence in said.story)
    assert "network" in said.fix or "subnets" in said.fix
    assert machines_of((environment, {"computeEnvironmentName": "fargate"}), {}) == (Machines("c", 8, 2, None),)


def test_time_that_aws_does_not_tell_is_none() -> None:
    assert seconds_since(None) == 0
    assert seconds_since(1) > 1e9


@pytest.mark.long
def test_the_doctor_looks_at_the_cluster_of_the_environment(
    aws: boto3.Session, settings: Settings, tmp_path: Path
) -> None:
    patient = Patient(env=tmp_path / "env")
    provision(settings, aws, files=Files(config=tmp_path / "config", env=patient.env))

    def examined() -> dict[str, Any]:
        return {finding.subject: finding for finding in examine(patient, lambda: aws)}

    assert examined()["instances"].verdict is Verdict.OK

    def asked_for(parsed: Any, **_: Any) -> None:
        for one in parsed["computeEnvironments"]:
            one["computeResources"]["desiredvCpus"] = 4

    def waiting(parsed: Any, **_: Any) -> None:
        parsed["jobSummaryList"] = [{"jobId": "j", "jobName": "n", "createdAt": 1_000}]

    aws.events.register("after-call.batch.DescribeComputeEnvironments", asked_for)
    aws.events.register("after-call.batch.ListJobs", waiting)
    found = examined()["instances"]
    assert (found.verdict, "no instance has joined scaler-batch-compute" in found.message) == (Verdict.PROBLEM, True)
