"""A payload key that worker and containers share, and what is said where only one of them has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scaler_batch.payload.contract import KEY_PARAMETER, PAYLOAD_KEY_VARIABLE
from stack import Stack
from systems import SECONDS, Gate, System, hold
from watching import wait_for

DIGITS = bytes(range(32)).hex()
PARAMETER = "/keyed/payload-key"


@pytest.fixture(scope="module")
def keyed(cloud: Stack) -> str:
    """A job definition that delivers the key as a secret."""
    account = cloud.aws("sts").get_caller_identity()["Account"]
    region = cloud.environment["AWS_DEFAULT_REGION"]
    cloud.aws("ssm").put_parameter(Name=PARAMETER, Value=DIGITS, Type="SecureString")
    batch, name = cloud.aws("batch"), cloud.provisioned["SCALER_JOB_DEFINITION"]
    plain: Any = batch.describe_job_definitions(jobDefinitionName=name.partition(":")[0])["jobDefinitions"][0]
    trust = '{"Version": "2012-10-17", "Statement": []}'
    role = cloud.aws("iam").create_role(RoleName="keyed-execution", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    secret = {"name": PAYLOAD_KEY_VARIABLE, "valueFrom": f"arn:aws:ssm:{region}:{account}:parameter{PARAMETER}"}
    container = {**plain["containerProperties"], "executionRoleArn": role, "secrets": [secret]}
    batch.register_job_definition(jobDefinitionName="keyed", type="container", containerProperties=container)
    return "keyed"


def test_with_a_payload_key_tasks_are_answered_and_no_key_stands_in_their_jobs(
    system: System, keyed: str, gate: Gate
) -> None:
    worker = system.start_worker("keyed", "--job-definition", keyed, "--payload-key", f"ssm:{PARAMETER}")
    client = system.client()
    held = client.submit(hold, str(gate.folder), 7)
    wait_for(lambda: gate.started == 1)
    told = system.parameters()
    assert told[KEY_PARAMETER].startswith("container:")
    gate.open()
    assert held.result(SECONDS) == 7
    assert client.map(abs, [-1, -2, -3]) == [1, 2, 3]
    assert DIGITS not in worker.log.read_text()


@pytest.mark.long
def test_a_container_without_the_workers_key_says_what_helps(system: System, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(DIGITS)
    key.chmod(0o600)
    system.start_worker("alone", "--payload-key", f"file:{key}")
    with pytest.raises(Exception, match="have the job definition deliver it as a secret"):
        system.client().submit(abs, -1).result(SECONDS)


@pytest.mark.long
def test_a_worker_without_the_containers_key_is_told_what_helps(system: System, keyed: str) -> None:
    system.start_worker("keyless", "--job-definition", keyed)
    with pytest.raises(Exception, match="start the worker with --payload-key and the same key"):
        system.client().submit(abs, -1).result(SECONDS)


@pytest.mark.long
def test_a_worker_with_another_key_than_the_containers_is_told_what_helps(
    system: System, keyed: str, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text(DIGITS[::-1])
    key.chmod(0o600)
    system.start_worker("other", "--job-definition", keyed, "--payload-key", f"file:{key}")
    with pytest.raises(Exception, match="give both the same"):
        system.client().submit(abs, -1).result(SECONDS)
