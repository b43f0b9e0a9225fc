"""The examination as a whole: of an account of moto's, of no account at all, and of one that never answers."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from scaler_batch.provision import Files, Handover, Kind, Settings, policies, provision, write_env
from scaler_batch.provision.checks import image
from scaler_batch.provision.doctor import Patient, examine
from scaler_batch.provision.finding import Finding, Verdict, healthy

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.long

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(env=tmp_path / "env", python="3.12")


def examined(patient: Patient, session: boto3.Session) -> dict[str, Finding]:
    return {finding.subject: finding for finding in examine(patient, lambda: session)}


def problems(found: dict[str, Finding]) -> set[str]:
    return {subject for subject, finding in found.items() if finding.verdict is Verdict.PROBLEM}


def test_an_empty_account_lacks_queue_definition_and_bucket(aws: boto3.Session, patient: Patient) -> None:
    found = examined(patient, aws)
    assert problems(found) == {"job queue", "job definition", "bucket"}
    assert "No scaler job queue found" in found["job queue"].message


def test_what_was_provisioned_is_in_order(aws: boto3.Session, patient: Patient, settings: Settings, calls: Any) -> None:
    provision(settings, aws, files=Files(config=patient.env.with_name("config"), env=patient.env))
    calls.made.clear()
    found = examined(patient, aws)
    assert problems(found) == {"image"}, "nobody has pushed it"
    assert found["bucket"].verdict is found["job role"].verdict is found["instance role"].verdict is Verdict.OK
    assert found["quotas"].verdict is Verdict.SKIPPED, "moto knows none"
    assert calls.made == ["PutObject", "DeleteObject"], "a probe, and nothing else"


def test_the_names_in_the_env_file_are_looked_at_unless_a_prefix_is_given(
    aws: boto3.Session, patient: Patient, tmp_path: Path
) -> None:
    patient.env.write_text(
        "SCALER_AWS_REGION=eu-west-1\nSCALER_S3_BUCKET=b\nSCALER_JOB_QUEUE=mine\nSCALER_JOB_DEFINITION=d\n"
    )
    assert "none is called mine in eu-west-1" in examined(patient, aws)["job queue"].message
    named = Patient(env=patient.env, prefix="other")
    assert "none is called other-queue in us-east-1" in examined(named, aws)["job queue"].message


@pytest.mark.parametrize("by", ["name", "name and revision", "ARN"])
def test_a_definition_may_be_named_in_every_way_that_the_worker_takes(
    by: str, aws: boto3.Session, patient: Patient, settings: Settings
) -> None:
    made = provision(settings, aws)
    arn = made.resources[Kind.JOB_DEFINITION].arn
    named = {"name": made.job_definition, "name and revision": f"{made.job_definition}:1", "ARN": arn}[by]
    queue = made.resources[Kind.JOB_QUEUE].arn
    write_env(patient.env, Handover("us-east-1", made.bucket, queue, named))
    found = examined(patient, aws)
    assert (found["job definition"].verdict, found["job queue"].verdict) == (Verdict.OK, Verdict.OK), found
    assert found["job definition"].message.startswith("scaler-batch-job:1 ")


def test_roles_that_may_not_do_their_work_are_told_of(aws: boto3.Session, patient: Patient, settings: Settings) -> None:
    provision(settings, aws)
    iam = aws.client("iam", region_name="us-east-1")
    iam.delete_role_policy(RoleName="scaler-batch-us-east-1-job", PolicyName="run-tasks")
    iam.update_assume_role_policy(
        RoleName="scaler-batch-us-east-1-execution",
        PolicyDocument=json.dumps(policies.trust("lambda.amazonaws.com")),
    )
    name = "scaler-batch-us-east-1-instance"
    iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name)
    found = examined(patient, aws)
    assert "s3:GetObject" in found["job role"].message
    assert "assume" in found["execution role"].message
    assert "no role in it" in found["instance role"].message
    assert problems(found) >= {"job role", "execution role", "instance role"}


def test_a_job_role_that_may_more_than_the_runner_needs_is_told_of(
    aws: boto3.Session, patient: Patient, settings: Settings
) -> None:
    provision(settings, aws)
    everything = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "*"}
    aws.client("iam", region_name="us-east-1").put_role_policy(
        RoleName="scaler-batch-us-east-1-job",
        PolicyName="more",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [everything]}),
    )
    found = examined(patient, aws)["job role"]
    assert found.verdict is Verdict.WARNING
    assert "run/packs/0" in found.message
    assert "leases" not in found.message, "our own policy denies those"


def test_a_job_larger_than_all_instances_is_told_of(aws: boto3.Session, patient: Patient) -> None:
    provision(Settings(image="i", memory_mb=65536, instance_types=("m5.large",)), aws)
    assert "m5.large" in examined(patient, aws)["job size"].message


class Configured:
    """ECR with one image, whose configuration tells of its Python. moto serves manifests, and no configuration."""

    def __init__(self, aws: boto3.Session, monkeypatch: pytest.MonkeyPatch, *, python: str, listed: bool) -> None:
        configuration = {"config": {"Env": [f"PYTHON_VERSION={python}"]}}
        monkeypatch.setattr(image, "_fetch", lambda url: configuration if url == "https://ecr.test/config" else None)
        aws.events.register("before-call.ecr.GetDownloadUrlForLayer", self._sign)
        aws.events.register("before-call.ecr.BatchGetImage", self._manifest)
        self._listed = listed

    def _manifest(self, params: dict[str, Any], **_: Any) -> Any:
        asked = json.loads(params["body"])["imageIds"][0]
        manifest: dict[str, Any] = {"mediaType": MANIFEST, "config": {"digest": "sha256:config"}}
        if self._listed and "imageTag" in asked:
            amd64 = {"digest": "sha256:amd64", "platform": {"architecture": "amd64"}}
            arm64 = {"digest": "sha256:arm64", "platform": {"architecture": "arm64"}}
            manifest = {"manifests": [arm64, amd64]}
        return Answer(), {"images": [{"imageManifest": json.dumps(manifest)}]}

    def _sign(self, params: dict[str, Any], **_: Any) -> Any:
        assert json.loads(params["body"])["layerDigest"] == "sha256:config"
        return Answer(), {"downloadUrl": "https://ecr.test/config"}


class Answer:
    status_code = 200
    headers: dict[str, str] = {}  # noqa: RUF012


@pytest.mark.parametrize("listed", [False, True], ids=["one platform", "several platforms"])
@pytest.mark.parametrize(("python", "verdict"), [("3.12.1", Verdict.OK), ("3.11.4", Verdict.PROBLEM)])
def test_an_image_in_ecr_is_looked_into(
    listed: bool,
    python: str,
    verdict: Verdict,
    aws: boto3.Session,
    patient: Patient,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provision(settings, aws)
    ecr = aws.client("ecr", region_name="us-east-1")
    ecr.create_repository(repositoryName="scaler-batch")
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": {"digest": "x"}, "layers": []}
    ecr.put_image(repositoryName="scaler-batch", imageManifest=json.dumps(manifest), imageTag="1")
    Configured(aws, monkeypatch, python=python, listed=listed)
    found = examined(patient, aws)
    assert found["image"].verdict is Verdict.WARNING, "named by a tag"
    assert found["image's Python"].verdict is verdict, found["image's Python"]
    assert python in found["image's Python"].message


def test_an_image_that_is_named_by_its_digest_is_in_order_and_the_warning_names_it(
    aws: boto3.Session, patient: Patient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ecr = aws.client("ecr", region_name="us-east-1")
    ecr.create_repository(repositoryName="scaler-batch")
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": {"digest": "x"}, "layers": []}
    ecr.put_image(repositoryName="scaler-batch", imageManifest=json.dumps(manifest), imageTag="1")
    Configured(aws, monkeypatch, python="3.12.1", listed=False)
    provision(settings, aws)
    named = examined(patient, aws)["image"].fix.rpartition(" ")[2]
    assert "@sha256:" in named
    provision(replace(settings, image=named), aws)
    assert examined(patient, aws)["image"].verdict is Verdict.OK


@pytest.mark.parametrize(("quota", "verdict"), [(512.0, Verdict.OK), (5.0, Verdict.WARNING)])
def test_the_quota_of_the_account_is_compared_with_the_environment(
    quota: float, verdict: Verdict, aws: boto3.Session, patient: Patient, settings: Settings
) -> None:
    def answer(params: dict[str, Any], **_: Any) -> Any:
        assert json.loads(params["body"]) == {"ServiceCode": "ec2", "QuotaCode": "L-34B43A08"}
        return Answer(), {"Quota": {"Value": quota}}

    provision(replace(settings, spot=True), aws)
    aws.events.register("before-call.service-quotas.GetServiceQuota", answer)
    found = examined(patient, aws)["quotas"]
    assert (found.verdict, "Spot" in found.message) == (verdict, True), found


def test_a_look_that_is_refused_is_a_finding_and_the_others_go_on(
    aws: boto3.Session, patient: Patient, settings: Settings
) -> None:
    provision(settings, aws)

    def refuse(model: Any, **_: Any) -> None:
        if model.name in ("GetRole", "DescribeInstanceTypes"):
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, model.name)

    aws.events.register("before-call", refuse)
    found = examined(patient, aws)
    assert found["job role"].verdict is found["job size"].verdict is Verdict.SKIPPED
    assert "GetRole" in found["job role"].fix
    assert found["bucket"].verdict is Verdict.OK


def test_a_bucket_that_may_not_be_written_is_a_problem(
    aws: boto3.Session, patient: Patient, settings: Settings
) -> None:
    provision(settings, aws)

    def refuse(model: Any, **_: Any) -> None:
        if model.name == "PutObject":
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, model.name)

    aws.events.register("before-call", refuse)
    found = examined(patient, aws)["bucket"]
    assert (found.verdict, "PutObject" in found.message) == (Verdict.PROBLEM, True)


def test_a_bucket_that_may_be_listed_below_the_prefix_only_is_in_order(
    aws: boto3.Session, patient: Patient, settings: Settings
) -> None:
    provision(settings, aws)

    def refuse(model: Any, **_: Any) -> None:
        if model.name == "HeadBucket":
            raise ClientError({"Error": {"Code": "403", "Message": "no"}}, model.name)

    aws.events.register("before-call", refuse)
    assert examined(patient, aws)["bucket"].verdict is Verdict.OK


def test_a_bucket_in_another_region_is_a_problem(aws: boto3.Session, patient: Patient, settings: Settings) -> None:
    provision(settings, aws)

    def elsewhere(parsed: Any, **_: Any) -> None:
        parsed["BucketRegion"] = "eu-west-1"

    aws.events.register("after-call.s3.HeadBucket", elsewhere)
    found = examined(patient, aws)["bucket"]
    assert (found.verdict, "lies in eu-west-1" in found.message) == (Verdict.PROBLEM, True), found


def test_who_looks_for_credentials_for_ever_is_not_waited_for(patient: Patient, tmp_path: Path) -> None:
    released = threading.Event()

    def hang() -> boto3.Session:
        released.wait()
        return boto3.Session()

    first, second = examine(Patient(env=patient.env, seconds=0.01), hang)
    released.set()
    assert (first.subject, first.verdict) == ("credentials", Verdict.PROBLEM)
    assert "export-credentials" in first.fix
    assert second.verdict is Verdict.SKIPPED


@pytest.fixture
def profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A function that opens a session with a configuration of these lines, and nothing else to find."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))

    def opened(*lines: str) -> boto3.Session:
        (tmp_path / "config").write_text("\n".join(["[default]", *lines, ""]))
        return boto3.Session()

    return opened


def test_no_credentials_are_told_of_with_all_ways_to_get_some(profile: Any, patient: Patient) -> None:
    found = examined(patient, profile())
    assert problems(found) == {"credentials"}
    assert "env | grep AWS" in found["credentials"].message


def test_a_credential_process_that_is_not_in_the_container_is_told_of(profile: Any, patient: Patient) -> None:
    found = examined(patient, profile("credential_process = /nowhere/helper"))["credentials"]
    assert found.verdict is Verdict.PROBLEM
    assert "/nowhere/helper" in found.message
    assert "docker run -e" in found.fix


def test_a_credential_process_that_fails_is_told_of(profile: Any, patient: Patient) -> None:
    found = examined(patient, profile("credential_process = /bin/false"))["credentials"]
    assert (found.verdict, "renew" in found.fix) == (Verdict.PROBLEM, True)


@pytest.mark.parametrize(
    ("ends", "verdict", "words"),
    [
        (timedelta(hours=2), Verdict.OK, "they end in 119 minutes"),
        (timedelta(minutes=11), Verdict.WARNING, "they end in 10 minutes"),
        (timedelta(minutes=-5), Verdict.PROBLEM, "have ended"),
    ],
)
def test_credentials_that_were_handed_over_with_their_end_are_judged_by_it(
    ends: timedelta, verdict: Verdict, words: str, aws: boto3.Session, patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", (datetime.now(UTC) + ends).isoformat())
    found = {finding.subject: finding for finding in examine(patient, boto3.Session)}["credentials"]
    assert (found.verdict, words in found.message) == (verdict, True), found


def test_aws_out_of_reach_is_told_of(profile: Any, patient: Patient) -> None:
    session = profile("aws_access_key_id = a", "aws_secret_access_key = b")
    there = Patient(env=patient.env, endpoint_url="http://127.0.0.1:9")
    found = examined(there, session)["credentials"]
    assert (found.verdict, "--endpoint-url" in found.fix) == (Verdict.PROBLEM, True)


def test_the_scheduler_is_looked_for_without_credentials(profile: Any, patient: Patient) -> None:
    found = examined(Patient(env=patient.env, scheduler="tcp://127.0.0.1:9"), profile())
    assert "failed to connect to scheduler" in found["scheduler"].message
    assert not healthy(found.values())
