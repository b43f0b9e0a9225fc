"""Attacks on the provisioner: by whoever can write its JSON file, or make resources under its names in the account."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from scaler_batch.provision import ConflictError, FileError, Files, Kind, Settings, Target, cleanup, provision
from scaler_batch.provision.naming import Account, Names
from scaler_batch.provision.vocabulary import NONCE_TAG, PREFIX_TAG
from stack import Stack

pytestmark = pytest.mark.long

ACCOUNT = Account("123456789012", "aws")
REGION = "us-east-1"
OTHER_NONCE = "f" * 32


@dataclass(frozen=True)
class Site:
    """A prefix of the victim's own, on an AWS that all attacks share."""

    cloud: Stack
    directory: Path
    names: Names

    @property
    def target(self) -> Target:
        return self.names.target

    @property
    def files(self) -> Files:
        return Files(config=self.directory / "config.json", env=self.directory / "env")

    @property
    def options(self) -> dict[str, Any]:
        return {"endpoint_url": self.cloud.environment["AWS_ENDPOINT_URL"], "files": self.files}

    @property
    def session(self) -> boto3.Session:
        names = {"AWS_ACCESS_KEY_ID": "aws_access_key_id", "AWS_SECRET_ACCESS_KEY": "aws_secret_access_key"}
        return boto3.Session(**{argument: self.cloud.environment[name] for name, argument in names.items()})

    def provision(self, **chosen: Any) -> Any:
        settings = Settings(image="local/scaler-batch", prefix=self.target.prefix, **chosen)
        return provision(settings, self.session, **self.options)

    def cleanup(self) -> Any:
        return cleanup(self.target, self.session, **self.options)

    def record(self, **changes: Any) -> None:
        """Write a record as an attacker would, who knows everything but the nonce."""
        document = {
            "version": 2,
            "written_by": "scaler-batch-provision 0.1.0",
            "prefix": self.target.prefix,
            "region": REGION,
            "account": ACCOUNT.number,
            "partition": "aws",
            "nonce": OTHER_NONCE,
            "settings": {},
            "complete": True,
            "unfinished": [],
            "resources": {},
            **changes,
        }
        self.files.config.write_text(json.dumps({key: one for key, one in document.items() if one is not None}))

    def kinds_left(self, **tags: str) -> set[str]:
        """What a stranger made, and is there still."""
        return {kind for kind, look in strangers(self).items() if look.is_there()}


@dataclass(frozen=True)
class Strangers:
    """A resource of somebody else's under one of the victim's names."""

    make: Any
    is_there: Any


def strangers(site: Site) -> dict[str, Strangers]:
    """One of each kind that costs somebody dearly to lose."""
    aws, names = site.cloud.aws, site.names
    s3, iam, ecr, logs, batch = (aws(service) for service in ("s3", "iam", "ecr", "logs", "batch"))
    bucket, role, repository = names.of(Kind.BUCKET), names.of(Kind.JOB_ROLE), names.of(Kind.REPOSITORY)
    group, queue = names.of(Kind.LOG_GROUP), names.of(Kind.JOB_QUEUE)

    def make_bucket(tags: dict[str, str]) -> None:
        s3.create_bucket(Bucket=bucket)
        if tags:
            s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": listed(tags)})
        s3.put_object(Bucket=bucket, Key="precious", Body=b"data")

    def make_queue(tags: dict[str, str]) -> None:
        environment = batch.describe_compute_environments()["computeEnvironments"][0]["computeEnvironmentArn"]
        order = [{"order": 1, "computeEnvironment": environment}]
        batch.create_job_queue(jobQueueName=queue, priority=1, computeEnvironmentOrder=order, tags=tags)

    return {
        "bucket": Strangers(make_bucket, lambda: bucket in [one["Name"] for one in s3.list_buckets()["Buckets"]]),
        "role": Strangers(
            lambda tags: iam.create_role(RoleName=role, AssumeRolePolicyDocument=ANYBODY, Tags=listed(tags)),
            lambda: role in [one["RoleName"] for one in iam.list_roles()["Roles"]],
        ),
        "repository": Strangers(
            lambda tags: ecr.create_repository(repositoryName=repository, tags=listed(tags)),
            lambda: repository in [one["repositoryName"] for one in ecr.describe_repositories()["repositories"]],
        ),
        "log group": Strangers(
            lambda tags: logs.create_log_group(logGroupName=group, **({"tags": tags} if tags else {})),
            lambda: bool(logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]),
        ),
        "queue": Strangers(make_queue, lambda: bool(batch.describe_job_queues(jobQueues=[queue])["jobQueues"])),
    }


ANYBODY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
)


def listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


@pytest.fixture
def site(cloud: Stack, tmp_path: Path) -> Site:
    return Site(cloud, tmp_path, Names(Target(prefix=f"atk-{secrets.token_hex(3)}", region=REGION), ACCOUNT))


def the_honest_user_is_served(site: Site) -> None:
    """Under a name of the user's own everything is made and removed."""
    directory = site.directory / "honest"
    directory.mkdir()
    names = Names(Target(prefix=f"own-{secrets.token_hex(3)}", region=REGION), ACCOUNT)
    honest = Site(site.cloud, directory, names)
    honest.provision()
    assert honest.cleanup().complete


KINDS = ("bucket", "role", "repository", "log group", "queue")


@pytest.mark.parametrize("version", [1, 2])
def test_a_crafted_record_does_not_remove_a_strangers_untagged_bucket(site: Site, version: int) -> None:
    strangers(site)["bucket"].make({})
    nonce = {1: None, 2: OTHER_NONCE}[version]
    site.record(version=version, nonce=nonce, complete=False, unfinished=["bucket"])
    if version == 1:
        with pytest.raises(FileError, match="earlier release"):
            site.cleanup()
    else:
        assert site.cleanup().removed == ()
    assert site.cloud.aws("s3").get_object(Bucket=site.names.of(Kind.BUCKET), Key="precious")["Body"].read() == b"data"
    the_honest_user_is_served(site)


@pytest.mark.parametrize("copied", [{}, {NONCE_TAG: "0" * 32}], ids=["prefix", "another-nonce"])
def test_a_copied_tag_does_not_make_a_strangers_resource_ours(site: Site, copied: dict[str, str]) -> None:
    for one in strangers(site).values():
        one.make({PREFIX_TAG: site.target.prefix, **copied})
    site.record()
    report = site.cleanup()
    assert (report.removed, report.complete) == ((), False)
    assert site.kinds_left() == set(KINDS)
    the_honest_user_is_served(site)


@pytest.mark.parametrize("kind", KINDS)
def test_a_resource_that_was_planted_before_the_first_run_is_not_taken_over(site: Site, kind: str) -> None:
    strangers(site)[kind].make({PREFIX_TAG: site.target.prefix})
    with pytest.raises(ConflictError):
        site.provision()
    assert site.kinds_left() == {kind}, "and nothing else was made"
    assert not site.files.config.exists()
    the_honest_user_is_served(site)


def test_a_record_behind_a_symbolic_link_is_refused_and_what_it_points_to_stays(site: Site) -> None:
    made = site.provision()
    moved = site.directory / "elsewhere.json"
    site.files.config.rename(moved)
    site.files.config.symlink_to(moved)
    before = moved.read_bytes()
    with pytest.raises(FileError, match="symbolic link"):
        site.cleanup()
    assert site.cloud.aws("s3").list_objects_v2(Bucket=made.bucket)["KeyCount"] == 0, "the bucket is there"
    assert moved.read_bytes() == before
    site.files.config.unlink()
    moved.rename(site.files.config)
    assert site.cleanup().complete


def test_a_link_beside_the_record_is_not_written_through(site: Site) -> None:
    """The name of the file beside it was made of the process's number, which anybody can guess."""
    victim = site.directory / "authorized_keys"
    victim.write_text("the victim's own")
    beside = site.files.config.with_name(f"{site.files.config.name}.{os.getpid()}.new")
    beside.symlink_to(victim)
    site.provision()
    assert victim.read_text() == "the victim's own"
    assert site.cleanup().complete


@pytest.mark.parametrize(
    "resources",
    [
        {"bucket": {"name": "strangers-bucket", "arn": "arn:aws:s3:::strangers-bucket"}},
        {"job_role": {"name": "Admin", "arn": "arn:aws:iam::123456789012:role/Admin"}},
        {"job_queue": {"name": "OURS", "arn": "arn:aws:batch:us-east-1:210987654321:job-queue/OURS"}},
        {"job_queue": {"name": "OURS", "arn": "arn:aws:batch:eu-west-1:123456789012:job-queue/OURS"}},
        {"bucket": ["x"]},
    ],
    ids=["name", "role", "account", "region", "type"],
)
def test_a_record_that_names_what_does_not_follow_from_its_prefix_is_refused(
    site: Site, resources: dict[str, Any]
) -> None:
    made = site.provision()
    record = json.loads(site.files.config.read_text())
    before = site.files.config.read_text()
    queue = made.job_queue
    crafted = json.loads(json.dumps({**record["resources"], **resources}).replace("OURS", queue))
    site.files.config.write_text(json.dumps({**record, "resources": crafted}))
    for attempt in (site.provision, site.cleanup):
        with pytest.raises(FileError, match="not a record"):
            attempt()
    assert site.cloud.aws("batch").describe_job_queues(jobQueues=[queue])["jobQueues"]
    site.files.config.write_text(before)
    assert site.cleanup().complete


def test_a_strangers_revision_of_the_definition_is_neither_used_nor_removed(site: Site) -> None:
    batch, name = site.cloud.aws("batch"), site.names.of(Kind.JOB_DEFINITION)
    site.provision()
    sizes = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
    planted = batch.register_job_definition(
        jobDefinitionName=name,
        type="container",
        containerProperties={"image": "evil", "resourceRequirements": sizes},
        tags={PREFIX_TAG: site.target.prefix},
    )["jobDefinitionArn"]
    with pytest.raises(ConflictError):
        site.provision()
    report = site.cleanup()
    assert report.unproven == ((Kind.JOB_DEFINITION, name),)
    active = batch.describe_job_definitions(jobDefinitionName=name, status="ACTIVE")["jobDefinitions"]
    assert planted in [one["jobDefinitionArn"] for one in active]
    batch.deregister_job_definition(jobDefinition=planted)
    assert site.cleanup().complete, "once it is gone, the user's own go too"


def test_a_strangers_security_group_of_the_same_name_is_not_given_to_instances(site: Site) -> None:
    ec2, name = site.cloud.aws("ec2"), site.names.of(Kind.SECURITY_GROUP)
    made = site.provision()
    own = made.resources[Kind.SECURITY_GROUP].arn.rpartition("/")[2]
    vpc = ec2.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    tags = [{"ResourceType": "security-group", "Tags": listed({PREFIX_TAG: site.target.prefix})}]
    planted = ec2.create_security_group(GroupName=name, Description="open", VpcId=vpc, TagSpecifications=tags)
    batch, environment = site.cloud.aws("batch"), made.resources[Kind.COMPUTE_ENVIRONMENT].name
    batch.update_compute_environment(computeEnvironment=environment, computeResources={"securityGroupIds": []})
    site.provision()
    (found,) = batch.describe_compute_environments(computeEnvironments=[environment])["computeEnvironments"]
    assert found["computeResources"]["securityGroupIds"] == [own]
    assert site.cleanup().complete
    assert ec2.describe_security_groups(GroupIds=[planted["GroupId"]])["SecurityGroups"]
    ec2.delete_security_group(GroupId=planted["GroupId"])
    ec2.delete_vpc(VpcId=vpc)


def test_nothing_is_taken_over_without_somebodys_word(site: Site) -> None:
    made = site.provision()
    site.files.config.unlink()
    site.record()
    environment = {**site.cloud.environment}
    command = [sys.executable, "-m", "scaler_batch.provision"]
    options = ["--prefix", site.target.prefix, "--config", str(site.files.config), "--json"]
    done = subprocess.run([*command, "adopt", *options], env=environment, capture_output=True, stdin=subprocess.DEVNULL)
    assert (done.returncode, "--yes" in done.stdout.decode()) == (2, True)
    tags = site.cloud.aws("s3").get_bucket_tagging(Bucket=made.bucket)["TagSet"]
    assert {NONCE_TAG: made.nonce}.items() <= {one["Key"]: one["Value"] for one in tags}.items()
    assert cleanup(site.target, site.session, endpoint_url=site.options["endpoint_url"], nonce=made.nonce).complete
