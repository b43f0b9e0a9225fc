"""The key that seals tasks and results: made once, read by nobody here, handed to containers and workers only."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from scaler_batch.provision import Files, Kind, Settings, SettingsError, Target, cleanup, provision, read_env, show
from scaler_batch.provision.access import provisioner_policy, worker_policy
from scaler_batch.provision.handover import Handover
from scaler_batch.provision.naming import Account, Names
from scaler_batch.provision.permissions import Request, allowed

pytestmark = pytest.mark.long

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import boto3

    Everything = Callable[[], dict[str, list[str]]]

NAME = "/scaler-batch/payload-key"
ARN = f"arn:aws:ssm:us-east-1:123456789012:parameter{NAME}"
KMS = "arn:aws:kms:us-east-1:123456789012:key/0123-abc"
ACCOUNT = Account("123456789012", "aws")
NAMES = Names(Target(), ACCOUNT)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(config=tmp_path / "config.json", env=tmp_path / "env")


@pytest.fixture
def keyed(settings: Settings) -> Settings:
    return replace(settings, payload_key=True)


def value(aws: boto3.Session) -> str:
    ssm = aws.client("ssm", region_name="us-east-1")
    return str(ssm.get_parameter(Name=NAME, WithDecryption=True)["Parameter"]["Value"])


def test_the_key_is_made_once_from_32_random_bytes_and_encrypted(
    aws: boto3.Session, keyed: Settings, everything: Everything
) -> None:
    before = everything()
    assert Kind.PAYLOAD_KEY in provision(keyed, aws).changed
    first = value(aws)
    assert re.fullmatch(r"[0-9a-f]{64}", first)
    (stored,) = aws.client("ssm", region_name="us-east-1").describe_parameters()["Parameters"]
    assert stored["Type"] == "SecureString"
    assert provision(keyed, aws).changed == ()
    assert value(aws) == first
    assert cleanup(Target(), aws).complete
    assert everything() == before
    provision(keyed, aws)
    assert value(aws) != first


def test_whoever_provisions_never_reads_the_key(aws: boto3.Session, keyed: Settings, files: Files) -> None:
    called: list[str] = []
    aws.events.register("before-call.ssm", lambda model, **_: called.append(model.name))
    provision(keyed, aws, files=files)
    provision(replace(keyed, tags={"a": "b"}), aws, files=files)
    assert set(called) == {"DescribeParameters", "ListTagsForResource", "PutParameter", "AddTagsToResource"}
    assert value(aws) not in files.config.read_text() + files.env.read_text()
    may = [provisioner_policy(NAMES, payload_key=True)]
    assert not allowed(may, Request("ssm:GetParameter", ARN))
    assert not allowed(may, Request("ssm:GetParameters", ARN))


def test_containers_get_it_through_the_execution_role_and_no_other(aws: boto3.Session, keyed: Settings) -> None:
    made = provision(keyed, aws)
    batch = aws.client("batch", region_name="us-east-1")
    (definition,) = batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"]
    container = definition["containerProperties"]
    assert container["secrets"] == [{"name": "SCALER_BATCH_PAYLOAD_KEY", "valueFrom": ARN}]
    assert container["executionRoleArn"] == made.resources[Kind.EXECUTION_ROLE].arn
    assert "SCALER_BATCH_PAYLOAD_KEY" not in [one["name"] for one in container["environment"]]
    observed = show(Target(), aws).observed
    policies = {kind: list(observed[kind].specification.policies.values()) for kind in ROLES}  # type: ignore[union-attr]
    read = Request("ssm:GetParameters", ARN)
    assert {kind: allowed(documents, read) for kind, documents in policies.items()} == {
        Kind.JOB_ROLE: False,
        Kind.EXECUTION_ROLE: True,
        Kind.INSTANCE_ROLE: False,
    }
    another = Request("ssm:GetParameters", ARN.replace("scaler-batch", "scaler-batch-2"))
    assert not allowed(policies[Kind.EXECUTION_ROLE], another)
    assert not allowed(policies[Kind.EXECUTION_ROLE], Request("kms:Decrypt", KMS))


ROLES = (Kind.JOB_ROLE, Kind.EXECUTION_ROLE, Kind.INSTANCE_ROLE)


def test_a_key_of_kms_is_permitted_where_it_is_named_and_only_then(aws: boto3.Session, keyed: Settings) -> None:
    provision(replace(keyed, kms_key=KMS), aws)
    observed: Any = show(Target(), aws).observed
    assert observed[Kind.PAYLOAD_KEY].specification.kms_key == KMS
    execution = list(observed[Kind.EXECUTION_ROLE].specification.policies.values())
    assert allowed(execution, Request("kms:Decrypt", KMS))
    handover = Handover.of(NAMES, payload_key=True)
    for key in (KMS, None):
        worker = [worker_policy(handover, ACCOUNT, task_prefix="t", log_group="l", kms_key=key)]
        assert allowed(worker, Request("kms:Decrypt", KMS)) is (key is not None)
        assert allowed(worker, Request("ssm:GetParameter", ARN))
    made = provision(replace(keyed, kms_key=KMS.replace("0123", "4567")), aws)
    assert [kind for kind, _ in made.obstacles] == [Kind.PAYLOAD_KEY], "it cannot be encrypted anew"


def test_a_worker_without_a_key_may_read_none() -> None:
    worker = [worker_policy(Handover.of(NAMES), ACCOUNT, task_prefix="t", log_group="l", kms_key=KMS)]
    assert not allowed(worker, Request("ssm:GetParameter", ARN))
    assert not allowed(worker, Request("kms:Decrypt", KMS))


def test_the_worker_is_told_where_it_lies(
    aws: boto3.Session, keyed: Settings, settings: Settings, files: Files
) -> None:
    made = provision(keyed, aws, files=files)
    assert made.environment()["SCALER_PAYLOAD_KEY"] == f"ssm:{NAME}"
    assert read_env(files.env) == made.handover
    assert json.loads(files.config.read_text())["resources"]["payload_key"] == {"name": NAME, "arn": ARN}
    without = provision(replace(keyed, payload_key=False), aws, files=files)
    assert "SCALER_PAYLOAD_KEY" not in files.env.read_text()
    assert without.changed == (Kind.EXECUTION_ROLE, Kind.JOB_DEFINITION), "the key stays until the cleanup"
    provision(keyed, aws, files=files)
    assert cleanup(Target(), aws, files=files).files == (files.config, files.env)


@pytest.mark.parametrize("prefix", ["aws-mine", "ssm"])
def test_a_prefix_that_systems_manager_keeps_for_itself_is_refused(prefix: str) -> None:
    with pytest.raises(SettingsError, match="AWS keeps names"):
        Settings(image="i", prefix=prefix, payload_key=True)
    Settings(image="i", prefix=prefix)


@pytest.mark.parametrize("arn", ["alias/mine", "arn:aws:kms:us-east-1:123456789012:alias/mine", "", "*"])
def test_what_is_not_the_arn_of_a_key_is_refused(arn: str) -> None:
    with pytest.raises(SettingsError, match="not the ARN of a key"):
        Settings(image="i", payload_key=True, kms_key=arn)


def test_a_key_of_kms_without_a_payload_key_is_refused() -> None:
    with pytest.raises(SettingsError, match="there is none"):
        Settings(image="i", kms_key=KMS)
