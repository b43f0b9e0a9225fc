"""What is found before the first task, against an AWS over HTTP."""

from __future__ import annotations

from dataclasses import replace

import boto3
import pytest

from scaler_batch.adapter.errors import ResourceError
from scaler_batch.adapter.member import Cloud, leases_of
from scaler_batch.adapter.preflight import check_resources, check_storage, ranked
from scaler_batch.adapter.routes import Routes
from scaler_batch.adapter.settings import WorkerSettings
from scaler_batch.aws import open_session
from scaler_batch.tasks import TaskManagerSettings

REGION = "eu-west-1"


@pytest.fixture(autouse=True)
def account(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def resources(endpoint: str) -> dict[str, str]:
    """A queue, a definition with two revisions, and a bucket in each of two regions; return the ARNs."""
    session = boto3.Session("key", "secret", region_name=REGION)

    def client(service: str, region: str = REGION):
        return session.client(service, endpoint_url=endpoint, region_name=region)

    trust = '{"Version": "2012-10-17", "Statement": []}'
    role = client("iam").create_role(RoleName="batch", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    batch = client("batch")
    environment = batch.create_compute_environment(
        computeEnvironmentName="hosts", type="UNMANAGED", state="ENABLED", serviceRole=role
    )["computeEnvironmentArn"]
    order = [{"order": 1, "computeEnvironment": environment}]
    queue = batch.create_job_queue(jobQueueName="q", state="ENABLED", priority=1, computeEnvironmentOrder=order)[
        "jobQueueArn"
    ]
    found = {"queue": queue}
    policy = batch.create_scheduling_policy(name="fair", fairsharePolicy={})["arn"]
    batch.create_job_queue(
        jobQueueName="fair", state="ENABLED", priority=1, computeEnvironmentOrder=order, schedulingPolicyArn=policy
    )
    for vcpus in ("1", "4"):
        container = {
            "image": "busybox",
            "resourceRequirements": [{"type": "VCPU", "value": vcpus}, {"type": "MEMORY", "value": "99"}],
        }
        made = batch.register_job_definition(
            jobDefinitionName="pi",
            type="container",
            containerProperties=container,
            tags={"scaler-batch:prefix": "mine"} if vcpus == "4" else {},
        )
        found["definition"] = made["jobDefinitionArn"]
    for name, region in (("here", REGION), ("elsewhere", "us-west-2")):
        client("s3", region).create_bucket(
            Bucket=f"bucket-{name}", CreateBucketConfiguration={"LocationConstraint": region}
        )
    return found


def settings(definition: str = "pi", bucket: str = "bucket-here", queue: str = "q") -> WorkerSettings:
    return replace(
        WorkerSettings("tcp://h:1", bucket, TaskManagerSettings(queue, definition)),
        aws_region=REGION,
    )


@pytest.mark.parametrize(
    ("form", "vcpus"), [("pi", 4), ("pi:1", 1), ("pi:2", 4), ("{arn}", 4), ("{arn}:1", 1), ("{arn}:2", 4)]
)
async def test_a_definition_is_accepted_in_every_form_that_submitjob_takes(
    form: str, vcpus: int, resources: dict[str, str]
) -> None:
    name = form.format(arn=resources["definition"].rpartition(":")[0])
    assert (await check_resources(settings(name), open_session(region=REGION))).vcpus == vcpus


@pytest.mark.parametrize(("form", "prefix"), [("pi:1", ""), ("pi:2", "mine")])
async def test_the_prefix_of_a_provisioned_definition_is_learned(
    form: str, prefix: str, resources: dict[str, str]
) -> None:
    assert (await check_resources(settings(form), open_session(region=REGION))).prefix == prefix


async def test_a_queue_is_accepted_by_its_arn(resources: dict[str, str]) -> None:
    assert await check_resources(settings(queue=resources["queue"]), open_session(region=REGION))


@pytest.mark.parametrize(
    ("share", "priority", "unranked", "expected"),
    [
        ("blue", None, {"d"}, 0),
        ("blue", 7, {"d"}, 7),
        ("blue", None, set(), None),
        (None, None, {"d"}, None),
    ],
    ids=["would have none", "has its own", "has the definition's", "has no share"],
)
def test_a_job_with_a_share_has_a_priority(
    share: str | None, priority: int | None, unranked: set[str], expected: int | None
) -> None:
    told = settings()
    tasks = replace(told.tasks, job_definition="d", share_identifier=share, scheduling_priority=priority)
    routes = Routes({"gpu": replace(tasks.shape, queue="gpu")})
    found = ranked(replace(told, tasks=tasks, routes=routes), unranked)
    assert found.tasks.scheduling_priority == expected
    assert found.routes.shapes["gpu"].scheduling_priority == expected


@pytest.mark.parametrize(
    ("queue", "share", "table", "said"),
    [
        ("q", None, None, None),
        ("fair", "blue", None, None),
        ("fair", None, None, r"'fair' has a scheduling policy.*--share-identifier"),
        ("q", "blue", None, r"'q' has no scheduling policy.*'blue'.*leave --share-identifier out"),
        ("q", None, {"job_queue": "fair"}, r"'fair' has a scheduling policy"),
        ("q", None, {"job_queue": "fair", "share_identifier": "blue"}, None),
        ("fair", "blue", {"job_queue": "q"}, r"'q' has no scheduling policy"),
        ("fair", "blue", {"job_queue": "q", "share_identifier": ""}, None),
    ],
)
async def test_a_share_identifier_is_demanded_by_fair_share_queues_and_refused_for_others(
    queue: str, share: str | None, table: dict[str, str] | None, said: str | None, resources: dict[str, str]
) -> None:
    tasks = replace(settings(queue=queue).tasks, share_identifier=share)
    routes = Routes.read({"big": table} if table else {}, tasks.shape, "x.toml")
    chosen = replace(settings(queue=queue), tasks=tasks, routes=routes)
    if said is None:
        assert await check_resources(chosen, open_session(region=REGION))
    else:
        with pytest.raises(ResourceError, match=said):
            await check_resources(chosen, open_session(region=REGION))


@pytest.mark.parametrize("name", ["other", "pi:7", "pi:x", "arn:aws:batch:eu-west-1:123456789012:job-definition/other"])
async def test_a_definition_that_is_not_there_is_said(name: str, resources: dict[str, str]) -> None:
    with pytest.raises(ResourceError, match=f"no active job definition '{name}'"):
        await check_resources(settings(name), open_session(region=REGION))


async def test_a_bucket_in_another_region_than_the_queue_is_refused_with_both(resources: dict[str, str]) -> None:
    with pytest.raises(ResourceError, match=r"lies in us-west-2, .* in eu-west-1: .*--aws-region us-west-2"):
        await check_resources(settings(bucket="bucket-elsewhere"), open_session(region=REGION))


async def test_a_bucket_that_is_not_there_is_said(resources: dict[str, str]) -> None:
    with pytest.raises(ResourceError, match=r"bucket 'bucket-none' cannot be used \(404\)"):
        await check_resources(settings(bucket="bucket-none"), open_session(region=REGION))


async def test_an_aws_that_is_not_there_is_not_said_to_lack_a_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(ResourceError, match="AWS does not answer as it should in eu-west-1"):
        await check_resources(settings(), open_session(region=REGION))


async def test_credentials_that_fail_are_said_with_the_way_to_renew_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    (tmp_path / "config").write_text("[default]\ncredential_process = /nowhere/helper\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with pytest.raises(ResourceError, match=r"no AWS credentials can be used: .*/nowhere/helper.*credential_process"):
        await check_resources(settings(), open_session(region=REGION))


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("AWS_CA_BUNDLE", "nowhere.pem", "AWS_CA_BUNDLE names 'nowhere.pem'"),
        ("AWS_ENDPOINT_URL_S3", "localhost:9000", "is not of the form http"),
        ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9", "S3"),
    ],
)
async def test_what_only_the_library_for_task_data_cannot_do_is_found_before_the_first_task(
    resources: dict[str, str], monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
):
    monkeypatch.setattr("scaler_batch.adapter.preflight.STORAGE_PATIENCE", 1.0)
    monkeypatch.setenv(variable, value)
    if variable == "AWS_CA_BUNDLE":
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://localhost:1")
    session = open_session(region=REGION)
    cloud = Cloud(session, jobs=None, logs=None)  # type: ignore[arg-type]
    with pytest.raises(ResourceError, match="the library that carries task data cannot use it") as error:
        await check_storage(settings(), lambda: cloud.store(leases_of(settings())))
    assert said in str(error.value)
