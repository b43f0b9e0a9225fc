"""Taking over: the one way to what is there and not known to be ours."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from scaler_batch.provision import (
    ConflictError,
    DeclinedError,
    FileError,
    Files,
    Kind,
    Settings,
    Target,
    adopt,
    cleanup,
    plan_adoption,
    provision,
    show,
)
from scaler_batch.provision.apply import Silent
from scaler_batch.provision.naming import Account
from scaler_batch.provision.state import State

pytestmark = pytest.mark.long

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import boto3

    Everything = Callable[[], dict[str, list[str]]]

NONCE = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(config=tmp_path / "config.json", env=tmp_path / "env")


class Reluctant(Silent):
    def agrees_to_adoption(self, plan: Any) -> bool:
        return False


def made_by_an_earlier_release(aws: boto3.Session, settings: Settings, files: Files) -> None:
    """Everything, but without the nonce, and a record of version 1."""
    provision(settings, aws, files=files)
    forget_the_nonce(aws)
    record = json.loads(files.config.read_text())
    del record["nonce"]
    files.config.write_text(json.dumps({**record, "version": 1}))


def forget_the_nonce(aws: boto3.Session) -> None:
    """Take the tag of the nonce from everything."""
    batch, ec2, iam, logs, s3 = (
        aws.client(name, region_name="us-east-1") for name in ("batch", "ec2", "iam", "logs", "s3")
    )
    for kind, one in show(Target(), aws).observed.items():
        if one is None:
            continue
        keys = ["scaler-batch:nonce"]
        if ":batch:" in one.arn:
            batch.untag_resource(resourceArn=one.arn, tagKeys=keys)
        elif ":ec2:" in one.arn:
            ec2.delete_tags(Resources=[one.arn.rpartition("/")[2]], Tags=[{"Key": keys[0]}])
        elif ":logs:" in one.arn:
            logs.untag_resource(resourceArn=one.arn, tagKeys=keys)
        elif kind is Kind.BUCKET:
            kept = [{"Key": key, "Value": value} for key, value in one.tags.items() if key not in keys]
            s3.put_bucket_tagging(Bucket=one.name, Tagging={"TagSet": kept})
        elif kind is Kind.INSTANCE_PROFILE:
            iam.untag_instance_profile(InstanceProfileName=one.name, TagKeys=keys)
        else:
            iam.untag_role(RoleName=one.name, TagKeys=keys)


def nonces(aws: boto3.Session) -> set[str | None]:
    return {one.tags.get("scaler-batch:nonce") for one in show(Target(), aws).observed.values() if one}


def test_resources_and_record_of_an_earlier_release_are_used_again_once_somebody_has_agreed(
    aws: boto3.Session, settings: Settings, files: Files, everything: Everything
) -> None:
    before = everything()
    made_by_an_earlier_release(aws, settings, files)
    there, record = everything(), files.config.read_text()
    for refused in (provision, lambda settings, aws, files: cleanup(Target(), aws, files=files)):
        with pytest.raises(FileError, match="earlier release") as error:
            refused(settings, aws, files=files)  # type: ignore[operator]
        assert "adopt" in error.value.fix
    with pytest.raises(DeclinedError):
        adopt(Target(), aws, files, audience=Reluctant())
    assert (everything(), files.config.read_text(), nonces(aws)) == (there, record, {None})

    report = adopt(Target(), aws, files)
    assert len(report.adopted) == len([one for one in show(Target(), aws).observed.values() if one])
    assert everything() == there, "nothing is lost"
    assert nonces(aws) == {State.from_json(files.config.read_text()).nonce}
    assert provision(settings, aws, files=files).changed == ()
    assert cleanup(Target(), aws, files=files).complete
    assert everything() == before


def test_nothing_in_a_record_of_an_earlier_release_makes_a_resource_ours(
    aws: boto3.Session, settings: Settings, files: Files, everything: Everything
) -> None:
    made_by_an_earlier_release(aws, settings, files)
    s3 = aws.client("s3", region_name="us-east-1")
    bucket = "scaler-batch-123456789012-us-east-1"
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": []})
    record = json.loads(files.config.read_text())
    files.config.write_text(json.dumps({**record, "unfinished": ["bucket"]}))
    report = adopt(Target(), aws, files)
    assert report.foreign == ((Kind.BUCKET, bucket),)
    assert Kind.BUCKET not in [kind for kind, _ in report.adopted]
    assert cleanup(Target(), aws, files=files).foreign == ((Kind.BUCKET, bucket),)
    assert everything()["buckets"] == [bucket]


def test_a_lost_record_is_written_again_with_the_nonce_that_everything_bears(
    aws: boto3.Session, settings: Settings, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    provision(settings, aws, files=files)
    record = json.loads(files.config.read_text())
    files.config.unlink()
    monkeypatch.setattr("scaler_batch.provision.state.new_nonce", lambda: OTHER)
    with pytest.raises(ConflictError) as error:
        provision(settings, aws, files=files)
    assert "adopt" in error.value.fix
    adopt(Target(), aws, files)
    again = json.loads(files.config.read_text())
    assert [again[key] for key in ("nonce", "resources")] == [record[key] for key in ("nonce", "resources")]
    assert provision(settings, aws, files=files).changed == ()


def test_what_bears_the_nonce_of_another_record_is_offered_and_said_to_be_so(
    aws: boto3.Session, settings: Settings, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    provision(settings, aws, nonce=OTHER)
    files.config.write_text(recorded(settings))
    plan = plan_adoption(Target(), aws, files)
    assert plan.adopt
    assert all(OTHER in one.reason for one in plan.adopt)
    adopt(Target(), aws, files)
    assert nonces(aws) == {NONCE}


def recorded(settings: Settings) -> str:
    """A record of the same prefix that made nothing of what is there."""
    return State(settings.target, Account("123456789012", "aws"), NONCE).to_json()


def test_an_adoption_that_was_cut_off_is_completed_by_the_next(
    aws: boto3.Session, settings: Settings, files: Files, calls: Any
) -> None:
    made_by_an_earlier_release(aws, settings, files)
    calls.made.clear()
    calls.cut_after = 3
    with pytest.raises(BaseException):  # noqa: B017, PT011
        adopt(Target(), aws, files)
    calls.cut_after = None
    nonce = State.from_json(files.config.read_text()).nonce
    assert nonces(aws) == {None, nonce}
    adopt(Target(), aws, files)
    assert nonces(aws) == {nonce}
    assert provision(settings, aws, files=files).changed == ()


def test_a_record_about_another_prefix_is_not_replaced(aws: boto3.Session, settings: Settings, files: Files) -> None:
    made_by_an_earlier_release(aws, settings, files)
    before = files.config.read_bytes()
    with pytest.raises(ConflictError, match="records prefix 'scaler-batch'"):
        adopt(Target(prefix="other"), aws, files)
    assert files.config.read_bytes() == before


def test_all_revisions_of_the_definition_are_taken_over_but_those_of_others(
    aws: boto3.Session, settings: Settings, files: Files, everything: Everything
) -> None:
    batch = aws.client("batch", region_name="us-east-1")
    provision(settings, aws)
    provision(replace(settings, vcpus=2), aws)
    forget_the_nonce(aws)
    arn = "arn:aws:batch:us-east-1:123456789012:job-definition/scaler-batch-job"
    first, second = f"{arn}:1", f"{arn}:2"
    batch.untag_resource(resourceArn=first, tagKeys=["scaler-batch:nonce"])
    adopt(Target(), aws, files)
    tags = [batch.list_tags_for_resource(resourceArn=arn)["tags"] for arn in (first, second)]
    assert {one["scaler-batch:nonce"] for one in tags} == {State.from_json(files.config.read_text()).nonce}
    assert cleanup(Target(), aws, files=files).complete
    assert everything()["job definitions"] == []
