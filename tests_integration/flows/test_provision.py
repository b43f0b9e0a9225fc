"""From an empty account to a working queue and back to nothing, on a local AWS."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from inventory import Client, everything
from scaler_batch.local import LocalAWS
from scaler_batch.local.permissions.requirements import S3_ACTIONS
from scaler_batch.payload.contract import ExitCode
from scaler_batch.provision import Files, Kind, Settings, Target, cleanup, provision
from scaler_batch.provision.access import provisioner_policy
from scaler_batch.provision.apply import Silent
from scaler_batch.provision.doctor import Patient, examine
from scaler_batch.provision.finding import healthy
from scaler_batch.provision.naming import Names
from scaler_batch.provision.why import explain

SETTINGS = Settings(image="local/scaler-batch")

ON_REQUEST = (Kind.REPOSITORY, Kind.PAYLOAD_KEY, Kind.SPOT_ENVIRONMENT, Kind.SCHEDULING_POLICY)
KINDS = tuple(kind for kind in Kind if kind not in ON_REQUEST)
"""What is made where the image is named."""


class Interruption(BaseException):
    """What a SIGKILL is to the code that it hits."""


class CutsOff(Silent):
    """An audience that ends everything after so many steps."""

    def __init__(self, after: int) -> None:
        self._left = after

    def done(self, words: str) -> None:
        self._left -= 1
        if not self._left:
            raise Interruption(words)


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAWS]:
    with LocalAWS() as running:
        yield running


@pytest.fixture(scope="module")
def session(aws: LocalAWS) -> boto3.Session:
    return boto3.Session(
        aws_access_key_id=aws.environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=aws.environment["AWS_SECRET_ACCESS_KEY"],
    )


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(config=tmp_path / "config.json", env=tmp_path / "env")


@pytest.fixture(scope="module")
def client(aws: LocalAWS) -> Client:
    """A function that hands out clients, each made once."""
    return functools.cache(aws.client)


@pytest.fixture
def before(client: Client) -> Iterator[dict[str, list[str]]]:
    """All there is before the test; whatever the test did, the same must be there after it."""
    found = everything(client)
    yield found
    assert everything(client) == found


def test_from_nothing_to_everything_and_back(
    aws: LocalAWS, client: Client, session: boto3.Session, files: Files, before: dict[str, list[str]]
) -> None:
    made = provision(SETTINGS, session, endpoint_url=aws.endpoint_url, files=files)
    found = everything(client)
    assert found["buckets"] == [*before["buckets"], made.bucket]
    assert [len(found[kind]) - len(before[kind]) for kind in ("roles", "instance profiles", "log groups")] == [3, 1, 1]
    assert {identity.arn for identity in made.resources.values()} >= {
        *found["definitions"],
        *found["environments"],
        *found["queues"],
    }

    aws.reset_counters()
    assert provision(SETTINGS, session, endpoint_url=aws.endpoint_url, files=files).changed == ()
    assert [call for call in aws.counters().operations if not reads(call)] == []

    assert cleanup(Target(), session, endpoint_url=aws.endpoint_url, files=files).complete
    assert list(files.config.parent.iterdir()) == []


def test_other_sizes_change_what_they_are_about_and_are_kept(
    aws: LocalAWS, session: boto3.Session, before: dict[str, list[str]]
) -> None:
    larger = replace(SETTINGS, vcpus=2, memory_mb=4000, max_vcpus=512)
    nonce = provision(SETTINGS, session, endpoint_url=aws.endpoint_url).nonce
    changed = provision(larger, session, endpoint_url=aws.endpoint_url, nonce=nonce).changed
    assert changed == (Kind.JOB_DEFINITION, Kind.COMPUTE_ENVIRONMENT)
    assert provision(larger, session, endpoint_url=aws.endpoint_url, nonce=nonce).changed == ()
    assert cleanup(Target(), session, endpoint_url=aws.endpoint_url, nonce=nonce).complete


@pytest.mark.parametrize("steps", range(1, len(KINDS) + 1))
def test_stopped_after_any_step_the_next_run_completes_it(
    steps: int, aws: LocalAWS, session: boto3.Session, files: Files, before: dict[str, list[str]]
) -> None:
    with pytest.raises(Interruption):
        provision(SETTINGS, session, endpoint_url=aws.endpoint_url, files=files, audience=CutsOff(steps))
    made = provision(SETTINGS, session, endpoint_url=aws.endpoint_url, files=files)
    assert made.changed == KINDS[steps:]
    assert cleanup(Target(), session, endpoint_url=aws.endpoint_url, files=files).complete


@pytest.mark.parametrize("steps", range(1, len(KINDS) + 1))
def test_stopped_after_any_step_a_cleanup_leaves_nothing(
    steps: int, aws: LocalAWS, session: boto3.Session, files: Files, before: dict[str, list[str]]
) -> None:
    with pytest.raises(Interruption):
        provision(SETTINGS, session, endpoint_url=aws.endpoint_url, files=files, audience=CutsOff(steps))
    assert cleanup(Target(), session, endpoint_url=aws.endpoint_url, files=files).complete
    assert list(files.config.parent.iterdir()) == []


@pytest.mark.parametrize("steps", range(1, len(KINDS) + 1))
def test_a_cleanup_stopped_after_any_step_is_completed_by_the_next(
    steps: int, aws: LocalAWS, session: boto3.Session, before: dict[str, list[str]]
) -> None:
    nonce = provision(SETTINGS, session, endpoint_url=aws.endpoint_url).nonce
    with pytest.raises(Interruption):
        cleanup(Target(), session, endpoint_url=aws.endpoint_url, nonce=nonce, audience=CutsOff(steps))
    report = cleanup(Target(), session, endpoint_url=aws.endpoint_url, nonce=nonce)
    assert [kind for kind, _ in report.removed] == list(reversed(KINDS))[steps:]


def test_the_command_line_goes_the_same_way(aws: LocalAWS, before: dict[str, list[str]], tmp_path: Path) -> None:
    plan = command(aws, tmp_path, "plan", "--image", "local/scaler-batch", "--json")
    assert json.loads(plan)["pending"] == len(KINDS)
    command(aws, tmp_path, "provision", "--image", "local/scaler-batch")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".scaler_aws_batch_config.json", ".scaler_aws_hpc.env"]
    assert "Nothing changed" in command(aws, tmp_path, "provision", "--image", "local/scaler-batch")
    assert "job-queue/scaler-batch-queue" in command(aws, tmp_path, "show")
    assert "Nothing is left." in command(aws, tmp_path, "cleanup")
    assert list(tmp_path.iterdir()) == []


def test_the_definition_starts_the_runner_and_the_bucket_takes_its_objects(
    aws: LocalAWS, client: Client, session: boto3.Session, before: dict[str, list[str]]
) -> None:
    made = provision(SETTINGS, session, endpoint_url=aws.endpoint_url)
    key = f"{made.task_prefix}/run/packs/0"
    s3, batch = client("s3"), client("batch")
    s3.put_object(Bucket=made.bucket, Key=key, Body=b"pack")
    assert s3.get_object(Bucket=made.bucket, Key=key)["Body"].read() == b"pack"

    submitted = batch.submit_job(jobName="by-hand", jobQueue=made.job_queue, jobDefinition=made.job_definition)
    job = finished(batch, submitted["jobId"])
    assert job["status"] == "FAILED"
    assert job["container"]["exitCode"] == ExitCode.USAGE, "the runner ran, and was given no run"
    assert cleanup(Target(), session, endpoint_url=aws.endpoint_url, nonce=made.nonce).complete


def test_the_permissions_in_the_policy_are_all_that_is_needed(aws: LocalAWS, tmp_path: Path) -> None:
    session = boto3.Session(
        aws_access_key_id=aws.environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=aws.environment["AWS_SECRET_ACCESS_KEY"],
    )
    called: set[str] = set()
    session.events.register("before-call", lambda model, **_: called.add(action_of(model)))
    made = provision(SETTINGS, session, endpoint_url=aws.endpoint_url)
    for changes in ({"max_vcpus": 8, "vcpus": 2, "tags": {"team": "t"}}, {"vcpus": 3}, {"vcpus": 4}):
        provision(replace(SETTINGS, **changes), session, endpoint_url=aws.endpoint_url, nonce=made.nonce)
    patient = Patient(env=tmp_path / "env", endpoint_url=aws.endpoint_url)
    assert healthy(examine(patient, lambda: session))
    submitted = aws.client("batch").submit_job(jobName="x", jobQueue=made.job_queue, jobDefinition=made.job_definition)
    finished(aws.client("batch"), submitted["jobId"])
    explain(submitted["jobId"], patient, lambda: session)
    assert cleanup(Target(), session, endpoint_url=aws.endpoint_url, nonce=made.nonce).complete

    names = Names(Target(), made.account)
    listed = {action for statement in provisioner_policy(names)["Statement"] for action in statement["Action"]}
    assert len(called) > 40
    assert called - listed - {"sts:GetCallerIdentity"} == set(), "that one needs no permission"


def action_of(model: Any) -> str:
    """What IAM calls an operation: mostly as the service does, but for S3."""
    service = {"service-quotas": "servicequotas"}.get(
        model.service_model.service_name, model.service_model.service_name
    )
    return f"{service}:{S3_ACTIONS.get(model.name, model.name) if service == 's3' else model.name}"


def test_why_says_what_a_job_died_of_and_shows_its_log(
    aws: LocalAWS, client: Client, session: boto3.Session, before: dict[str, list[str]], tmp_path: Path
) -> None:
    made = provision(SETTINGS, session, endpoint_url=aws.endpoint_url)
    batch = client("batch")
    submitted = batch.submit_job(jobName="by-hand", jobQueue=made.job_queue, jobDefinition=made.job_definition)
    finished(batch, submitted["jobId"])
    said = json.loads(command(aws, tmp_path, "why", submitted["jobId"], "--json"))
    assert said["status"] == "FAILED"
    assert f"exit code {int(ExitCode.USAGE)}" in said["story"][0]
    assert any("runner_failed" in line for line in said["log"])
    assert cleanup(Target(), session, endpoint_url=aws.endpoint_url, nonce=made.nonce).complete


def command(aws: LocalAWS, directory: Path, *arguments: str) -> str:
    """Run the provisioner in a directory, and return what it says."""
    found = subprocess.run(
        [sys.executable, "-m", "scaler_batch.provision", *arguments],
        cwd=directory,
        env={**os.environ, **aws.environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def finished(batch: Any, job: str) -> dict[str, Any]:
    """Wait until a job has ended."""
    while True:
        (found,) = batch.describe_jobs(jobs=[job])["jobs"]
        if found["status"] in ("SUCCEEDED", "FAILED"):
            return dict(found)
        time.sleep(0.05)


def reads(call: str) -> bool:
    """Whether a call, such as ``batch.DescribeJobs``, leaves everything as it is."""
    return call.partition(".")[2].startswith(("Describe", "Get", "Head", "List"))
