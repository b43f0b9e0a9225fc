"""Queues that are shared out among their users."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from scaler_batch.provision import Action, Kind, Settings, Target, cleanup, plan_provision, provision
from scaler_batch.provision.doctor import Patient, examine
from scaler_batch.provision.finding import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    import boto3

pytestmark = pytest.mark.long

POLICY = "arn:aws:batch:us-east-1:123456789012:scheduling-policy/scaler-batch-fair-share"


def queue_of(aws: boto3.Session) -> Any:
    return aws.client("batch", region_name="us-east-1").describe_job_queues()["jobQueues"][0]


def test_a_fair_share_queue_is_made_with_its_policy_and_removed_with_it(
    aws: boto3.Session, settings: Settings, everything: Any
) -> None:
    before, fair = everything(), replace(settings, fair_share=True)
    assert provision(fair, aws).changed[-2:] == (Kind.SCHEDULING_POLICY, Kind.JOB_QUEUE)
    assert queue_of(aws)["schedulingPolicyArn"] == POLICY
    assert provision(fair, aws).changed == ()
    assert cleanup(Target(), aws).complete
    assert everything() == before


def test_a_policy_that_somebody_changed_is_changed_back_but_for_the_weights_of_shares(
    aws: boto3.Session, settings: Settings
) -> None:
    fair = replace(settings, fair_share=True)
    provision(fair, aws)
    batch = aws.client("batch", region_name="us-east-1")
    weights = [{"shareIdentifier": "blue", "weightFactor": 0.5}]
    batch.update_scheduling_policy(arn=POLICY, fairsharePolicy={"shareDecaySeconds": 60, "shareDistribution": weights})
    assert provision(fair, aws).changed == (Kind.SCHEDULING_POLICY,)
    (policy,) = batch.describe_scheduling_policies(arns=[POLICY])["schedulingPolicies"]
    assert policy["fairsharePolicy"]["shareDecaySeconds"] == 3600
    assert policy["fairsharePolicy"]["shareDistribution"] == weights
    assert provision(fair, aws).changed == ()


def test_a_policy_of_another_making_is_exchanged(aws: boto3.Session, settings: Settings) -> None:
    fair = replace(settings, fair_share=True)
    provision(fair, aws)
    batch = aws.client("batch", region_name="us-east-1")
    batch.update_job_queue(jobQueue="scaler-batch-queue", schedulingPolicyArn=POLICY.replace("fair-share", "other"))
    assert provision(fair, aws).changed == (Kind.JOB_QUEUE,)
    assert queue_of(aws)["schedulingPolicyArn"] == POLICY


def test_a_queue_that_was_made_without_a_policy_cannot_be_given_one_and_that_is_said(
    aws: boto3.Session, settings: Settings
) -> None:
    provision(settings, aws)
    steps = plan_provision(replace(settings, fair_share=True), aws).steps
    (queue,) = [step for step in steps if step.wanted.kind is Kind.JOB_QUEUE]
    assert queue.action is Action.KEEP
    ((obstacle,),) = [[change.obstacle for change in queue.obstacles]]
    assert "--prefix" in obstacle


def test_the_doctor_compares_the_workers_share_with_the_queue(
    aws: boto3.Session, settings: Settings, tmp_path: Path
) -> None:
    provision(replace(settings, fair_share=True), aws)
    verdicts = {}
    for share in (None, "blue"):
        patient = Patient(env=tmp_path / "env", share=share)
        found = {one.subject: one.verdict for one in examine(patient, lambda: aws)}
        verdicts[share] = found["fair share"]
    assert verdicts == {None: Verdict.WARNING, "blue": Verdict.OK}
