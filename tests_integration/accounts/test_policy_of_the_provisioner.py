"""The provisioner's policy, enforced: it is enough, and whoever lacks one of its actions is told which."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from identities import EMPTY, REFUSED, Identity, actions_of, named, only
from inventory import everything
from scaler_batch.local import LocalAWS, LocalSettings
from scaler_batch.provision import (
    ConflictError,
    Files,
    Patience,
    ProvisionError,
    Settings,
    Target,
    adopt,
    cleanup,
    provision,
)
from scaler_batch.provision.access import provisioner_policy
from scaler_batch.provision.doctor import Patient, examine
from scaler_batch.provision.naming import Account, Names
from scaler_batch.provision.policies import trust
from scaler_batch.provision.resources.repository import Login
from scaler_batch.provision.vocabulary import Kind
from scaler_batch.provision.why import explain

pytestmark = pytest.mark.long

ACCOUNT = Account("123456789012", "aws")
NAMES = Names(Target(), ACCOUNT)
BOUNDARY = f"arn:aws:iam::{ACCOUNT.number}:policy/boundary"
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
SETTINGS = Settings(fair_share=True, spot_then_ec2=True, permissions_boundary=BOUNDARY)
PATIENCE = Patience(ready=30, gone=30, propagation=0, related=0)
MANIFEST = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    "config": {
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "size": 2,
        "digest": f"sha256:{'0' * 64}",
    },
    "layers": [],
}

OF_THE_ENGINE = {
    "ecr:BatchCheckLayerAvailability",
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
}
"""What a Docker engine asks the registry for, which the local AWS has none of."""


@dataclass
class Pushed:
    """An image that another identity pushes: what an engine says to a registry is not seen here."""

    ecr: Any
    tag: str = "built-1"

    def check(self) -> None: ...

    def push(self, repository: str, login: Login) -> None:
        name = repository.partition("/")[2].partition(":")[0]
        self.ecr.put_image(repositoryName=name, imageManifest=json.dumps(MANIFEST), imageTag=self.tag)


@dataclass
class Life:
    """A set of resources from its making to its removal, by one identity, with what others do to it meanwhile.

    Attributes:
        files: Where the provisioner's files lie.
        messages: What it said of what went wrong.
    """

    aws: LocalAWS
    session: boto3.Session
    files: Files
    messages: list[str] = field(default_factory=list)

    def run(self) -> bool:
        """Go through all of it, as far as that is possible; whether nothing went wrong."""
        self.messages = []
        steps = (self.provision, self.repair, self.examine, self.explain_failure, self.explain_waiting, self.cleanup)
        return all(self._succeeds(step) for step in steps)

    def _succeeds(self, step: Callable[[], object]) -> bool:
        try:
            step()
        except ProvisionError as error:
            self.messages.append(f"{error} {error.fix}")
        return not self.messages

    def provision(self, **changes: Any) -> None:
        """Provision; where S3 takes no tags at creation, and tagging was refused, say that the bucket is ours."""
        try:
            self._provision(**changes)
        except ConflictError as conflict:
            if "adopt" not in conflict.fix:
                raise
            adopt(SETTINGS.target, self.session, self.files, endpoint_url=self.aws.endpoint_url)
            self._provision(**changes)

    def _provision(self, **changes: Any) -> None:
        provision(
            replace(SETTINGS, **changes),
            self.session,
            image=Pushed(self.aws.client("ecr")),
            endpoint_url=self.aws.endpoint_url,
            files=self.files,
            patience=PATIENCE,
        )

    def repair(self) -> None:
        spoil(self.aws)
        self.provision(tags={"team": "blue"}, max_vcpus=8, vcpus=2)
        for vcpus in (3, 4):
            self.provision(tags={"team": "blue"}, max_vcpus=8, vcpus=vcpus)

    def examine(self) -> None:
        for finding in examine(self._patient(), lambda: self.session):
            if REFUSED.search(finding.message) or finding.verdict == "problem":
                self.messages.append(f"{finding.message} {finding.fix}")

    def explain_failure(self) -> None:
        self._explain(self._job(until=("FAILED",)))

    def explain_waiting(self) -> None:
        batch = self.aws.client("batch")
        for kind in (Kind.SPOT_ENVIRONMENT, Kind.COMPUTE_ENVIRONMENT):
            batch.update_compute_environment(computeEnvironment=NAMES.of(kind), state="DISABLED")
        self._explain(self._job(until=("RUNNABLE",)))

    def cleanup(self) -> None:
        s3, bucket = self.aws.client("s3"), NAMES.of(Kind.BUCKET)
        if any(one["Name"] == bucket for one in s3.list_buckets()["Buckets"]):
            s3.put_object(Bucket=bucket, Key="x", Body=b"x")
            s3.create_multipart_upload(Bucket=bucket, Key="unfinished")
        report = cleanup(
            SETTINGS.target, self.session, endpoint_url=self.aws.endpoint_url, files=self.files, patience=PATIENCE
        )
        self.messages += [f"{left.error} {left.error.fix}" for left in report.left]

    def _explain(self, job: str) -> None:
        found = explain(job, self._patient(), lambda: self.session)
        self.messages += [sentence for sentence in found.story if REFUSED.search(sentence)]

    def _patient(self) -> Patient:
        return Patient(env=self.files.env, endpoint_url=self.aws.endpoint_url, share="blue")

    def _job(self, until: tuple[str, ...]) -> str:
        """A job of the owner's that has come so far; it fails when it starts, as it is given no run."""
        batch = self.aws.client("batch")
        job = batch.submit_job(
            jobName="x",
            jobQueue=NAMES.of(Kind.JOB_QUEUE),
            jobDefinition=NAMES.of(Kind.JOB_DEFINITION),
            shareIdentifier="blue",
            schedulingPriorityOverride=1,
        )["jobId"]
        while batch.describe_jobs(jobs=[job])["jobs"][0]["status"] not in until:
            time.sleep(0.05)
        return str(job)


def spoil(aws: LocalAWS) -> None:
    """Change by hand what the provisioner changes back."""
    iam, ec2, ecr, batch = map(aws.client, ("iam", "ec2", "ecr", "batch"))
    role = NAMES.of(Kind.JOB_ROLE)
    iam.delete_role_permissions_boundary(RoleName=role)
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(trust("lambda.amazonaws.com")))
    profile, other = NAMES.of(Kind.INSTANCE_PROFILE), NAMES.of(Kind.INSTANCE_ROLE)
    iam.remove_role_from_instance_profile(InstanceProfileName=profile, RoleName=other)
    (group,) = ec2.describe_security_groups(
        Filters=[{"Name": "group-name", "Values": [NAMES.of(Kind.SECURITY_GROUP)]}]
    )["SecurityGroups"]
    if group["IpPermissionsEgress"]:
        ec2.revoke_security_group_egress(GroupId=group["GroupId"], IpPermissions=group["IpPermissionsEgress"])
    if not group["IpPermissions"]:
        ec2.authorize_security_group_ingress(
            GroupId=group["GroupId"], IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="192.0.2.0/24"
        )
    made = ec2.create_launch_template_version(
        LaunchTemplateName=NAMES.of(Kind.LAUNCH_TEMPLATE), LaunchTemplateData={"InstanceType": "m5.large"}
    )["LaunchTemplateVersion"]
    ec2.modify_launch_template(LaunchTemplateId=made["LaunchTemplateId"], DefaultVersion=str(made["VersionNumber"]))
    ecr.put_image_scanning_configuration(
        repositoryName=NAMES.of(Kind.REPOSITORY), imageScanningConfiguration={"scanOnPush": False}
    )
    ecr.put_image_tag_mutability(repositoryName=NAMES.of(Kind.REPOSITORY), imageTagMutability="MUTABLE")
    batch.update_job_queue(jobQueue=NAMES.of(Kind.JOB_QUEUE), state="DISABLED")
    shares = NAMES.arn(Kind.SCHEDULING_POLICY)
    batch.update_scheduling_policy(arn=shares, fairsharePolicy={"shareDecaySeconds": 7})


POLICY = provisioner_policy(NAMES, boundary=BOUNDARY)
ACTIONS = actions_of(POLICY)


@pytest.fixture
def aws() -> Iterator[LocalAWS]:
    with LocalAWS(LocalSettings(enforce_iam=True)) as running:
        running.client("iam").create_policy(PolicyName="boundary", PolicyDocument=json.dumps(EVERYTHING))
        yield running


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(config=tmp_path / "config.json", env=tmp_path / "env")


def test_the_policy_is_enough_from_nothing_to_everything_and_back(aws: LocalAWS, files: Files) -> None:
    identity = Identity(aws.client, "whole")
    identity.may(POLICY)
    before = everything(aws.client)
    life = Life(aws, boto3.Session(identity.key, identity.secret), files)
    assert life.run(), life.messages
    assert everything(aws.client) == before


@pytest.mark.timeout(900)
def test_whoever_lacks_an_action_is_told_which_until_he_has_the_policy_and_no_more(aws: LocalAWS, files: Files) -> None:
    """From no permission on, each message is obeyed; so every action but the granted ones has been missed once."""
    identity, granted = Identity(aws.client, "growing"), set[str]()
    before = everything(aws.client)
    life = Life(aws, boto3.Session(identity.key, identity.secret), files)
    identity.may(EMPTY)
    while not life.run():
        missing = ACTIONS - granted
        found = {action for message in life.messages for action in named(message, missing)}
        assert found & missing, f"names no action that is missing: {life.messages}"
        granted |= found
        identity.may(only(POLICY, granted))
    assert granted == ACTIONS - OF_THE_ENGINE
    assert everything(aws.client) == before
