"""Cleaning up against moto: all of ours goes, nothing of others', and a failure does not stop the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from scaler_batch.provision import (
    AwsError,
    ConflictError,
    DeclinedError,
    Files,
    Kind,
    Settings,
    Target,
    cleanup,
    provision,
)
from scaler_batch.provision.apply import Silent

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import boto3

    Everything = Callable[[], dict[str, list[str]]]

pytestmark = pytest.mark.long

NONCE = "0123456789abcdef0123456789abcdef"
ON_REQUEST = (Kind.REPOSITORY, Kind.PAYLOAD_KEY, Kind.SPOT_ENVIRONMENT, Kind.SCHEDULING_POLICY)
KINDS = tuple(kind for kind in Kind if kind not in ON_REQUEST)

REMOVING_CALLS = [
    "UpdateJobQueue",
    "DeleteJobQueue",
    "UpdateComputeEnvironment",
    "DeleteComputeEnvironment",
    "DeregisterJobDefinition",
    "DeleteLaunchTemplate",
    "DeleteSecurityGroup",
    "RemoveRoleFromInstanceProfile",
    "DeleteInstanceProfile",
    "DetachRolePolicy",
    "DeleteRole",
    "DeleteRolePolicy",
    "DeleteRole",
    "DeleteRolePolicy",
    "DeleteRole",
    "DeleteBucket",
    "DeleteLogGroup",
]


class Refusing:
    """AWS, when it refuses one kind of call."""

    def __init__(self, session: boto3.Session, operation: str, code: str = "AccessDenied") -> None:
        self._operation = operation
        self._code = code
        session.events.register("before-call", self._before_call)

    def _before_call(self, model: Any, **_: Any) -> None:
        if model.name == self._operation:
            raise ClientError({"Error": {"Code": self._code, "Message": "no"}}, model.name)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(config=tmp_path / "config.json", env=tmp_path / "env")


def test_everything_goes_in_order_and_nothing_is_left(
    aws: boto3.Session, settings: Settings, files: Files, calls: Any, everything: Everything
) -> None:
    before = everything()
    provision(settings, aws, files=files)
    calls.made.clear()
    report = cleanup(Target(), aws, files=files)
    assert calls.made == REMOVING_CALLS
    assert [kind for kind, _ in report.removed] == list(reversed(KINDS))
    assert everything() == before
    assert report.files == (files.config, files.env)
    assert not files.config.exists()
    assert not files.env.exists()


def test_prefix_and_nonce_are_enough(
    aws: boto3.Session, settings: Settings, everything: Everything, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything()
    nonce = provision(settings, aws).nonce
    monkeypatch.setattr("scaler_batch.provision.state.new_nonce", lambda: "f" * 32)
    assert cleanup(Target(), aws, nonce=nonce).complete
    assert everything() == before


def test_without_the_nonce_nothing_is_removed_and_the_report_says_what_may_be_ours(
    aws: boto3.Session, settings: Settings, everything: Everything, monkeypatch: pytest.MonkeyPatch
) -> None:
    provision(settings, aws)
    there = everything()
    monkeypatch.setattr("scaler_batch.provision.state.new_nonce", lambda: "f" * 32)
    report = cleanup(Target(), aws)
    assert (report.complete, report.removed) == (False, ())
    assert [kind for kind, _ in report.unproven] == list(reversed(KINDS))
    assert everything() == there


def test_a_second_cleanup_finds_nothing(aws: boto3.Session, settings: Settings, calls: Any) -> None:
    provision(settings, aws)
    cleanup(Target(), aws)
    calls.made.clear()
    report = cleanup(Target(), aws)
    assert (report.complete, report.removed, calls.made) == (True, (), [])


@pytest.mark.parametrize("last", range(1, len(REMOVING_CALLS) + 1))
def test_an_interrupted_cleanup_is_completed_by_the_next(
    last: int, aws: boto3.Session, settings: Settings, calls: Any, files: Files, everything: Everything
) -> None:
    before = everything()
    provision(settings, aws, files=files)
    calls.made.clear()
    calls.cut_after = last
    with pytest.raises(BaseException) as cut:  # noqa: PT011
        cleanup(Target(), aws, files=files)
    assert type(cut.value).__name__ == "Interruption"
    calls.cut_after = None
    assert cleanup(Target(), aws, files=files).complete
    assert everything() == before
    assert list(files.config.parent.iterdir()) == []


def test_an_interrupted_cleanup_can_be_provisioned_again(aws: boto3.Session, settings: Settings, calls: Any) -> None:
    provision(settings, aws)
    calls.made.clear()
    calls.cut_after = REMOVING_CALLS.index("DeleteInstanceProfile")
    with pytest.raises(BaseException):  # noqa: B017, PT011
        cleanup(Target(), aws)
    calls.cut_after = None
    provision(settings, aws)
    assert provision(settings, aws).changed == ()


def test_a_bucket_is_emptied_in_all_versions(aws: boto3.Session, settings: Settings, everything: Everything) -> None:
    before = everything()
    bucket = provision(settings, aws).bucket
    s3 = aws.client("s3", region_name="us-east-1")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"one", b"two"):
        s3.put_object(Bucket=bucket, Key="scaler-tasks/run/packs/0", Body=body)
    s3.delete_object(Bucket=bucket, Key="scaler-tasks/run/packs/0")
    s3.create_multipart_upload(Bucket=bucket, Key="scaler-tasks/run/packs/1")
    assert cleanup(Target(), aws).complete
    assert everything() == before


def test_all_revisions_are_deregistered_but_those_of_others(
    aws: boto3.Session, settings: Settings, everything: Everything
) -> None:
    batch = aws.client("batch", region_name="us-east-1")
    container = {
        "image": "i",
        "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
    }
    definition = {"jobDefinitionName": "scaler-batch-job", "type": "container", "containerProperties": container}
    batch.register_job_definition(**definition)
    with pytest.raises(ConflictError, match="not known to be ours"):
        provision(settings, aws)
    ours = {"scaler-batch:prefix": "scaler-batch", "scaler-batch:nonce": NONCE}
    batch.register_job_definition(**definition, tags=ours)
    report = cleanup(Target(), aws)
    assert report.removed == ((Kind.JOB_DEFINITION, "scaler-batch-job"),)
    assert everything()["job definitions"] == ["scaler-batch-job:1"]


def test_what_lacks_our_tag_is_left_alone(aws: boto3.Session, settings: Settings, files: Files) -> None:
    provision(settings, aws, files=files)
    iam = aws.client("iam", region_name="us-east-1")
    iam.untag_role(RoleName="scaler-batch-us-east-1-job", TagKeys=["scaler-batch:prefix"])
    report = cleanup(Target(), aws, files=files)
    assert report.complete
    assert report.foreign == ((Kind.JOB_ROLE, "scaler-batch-us-east-1-job"),)
    assert [one["RoleName"] for one in iam.list_roles()["Roles"]] == ["scaler-batch-us-east-1-job"]


def test_another_prefix_is_left_alone(aws: boto3.Session, settings: Settings) -> None:
    provision(settings, aws)
    assert cleanup(Target(prefix="scaler"), aws).removed == ()
    assert provision(settings, aws).changed == ()


def test_what_cannot_be_removed_is_reported_and_the_rest_goes(
    aws: boto3.Session, settings: Settings, files: Files, everything: Everything
) -> None:
    provision(settings, aws, files=files)
    Refusing(aws, "DeleteJobQueue")
    report = cleanup(Target(), aws, files=files)
    assert not report.complete
    (left,) = [one for one in report.left if one.kind is Kind.JOB_QUEUE]
    assert isinstance(left.error, AwsError)
    assert left.error.code == "AccessDenied"
    assert "DeleteJobQueue" in left.error.fix
    assert everything()["buckets"] == []
    assert files.config.exists(), "it still has something to tell"
    assert "job_queue" in files.config.read_text()


def test_a_refused_object_is_reported(aws: boto3.Session, settings: Settings) -> None:
    bucket = provision(settings, aws).bucket
    s3 = aws.client("s3", region_name="us-east-1")
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    aws.events.register("after-call.s3.DeleteObjects", _refuse_all)
    report = cleanup(Target(), aws)
    (left,) = report.left
    assert left.kind is Kind.BUCKET
    assert "AccessDenied" in str(left.error)


def test_files_about_other_resources_stay(aws: boto3.Session, settings: Settings, files: Files) -> None:
    provision(settings, aws, files=files)
    cleanup(Target(prefix="other"), aws, files=files)
    assert files.config.exists()
    assert files.env.exists()


def test_an_env_file_that_cannot_be_read_stays(aws: boto3.Session, settings: Settings, files: Files) -> None:
    provision(settings, aws, files=files)
    files.env.write_text("if true; then export SCALER_AWS_REGION=us-east-1; fi\n")
    assert cleanup(Target(), aws, files=files).files == (files.config,)
    assert files.env.exists()


def test_without_agreement_nothing_is_removed(aws: boto3.Session, settings: Settings, calls: Any) -> None:
    class Reluctant(Silent):
        def agrees_to_removal(self, plan: Any) -> bool:
            return False

    provision(settings, aws)
    calls.made.clear()
    with pytest.raises(DeclinedError):
        cleanup(Target(), aws, audience=Reluctant())
    assert calls.made == []


def _refuse_all(parsed: dict[str, Any], **_: Any) -> None:
    parsed["Errors"] = [{"Key": "k", "Code": "AccessDenied", "Message": "no"}]
