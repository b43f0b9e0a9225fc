"""Refused credentials and permissions, and answers that show jobs otherwise than they are, on a running server."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from scaler_batch.local import LocalAWS
from scaler_batch.local.faults import Deny, ExpiredToken, HoldRunnable, InvalidCredentials, Omit, Stale, UnknownState

ONCE = Config(retries={"total_max_attempts": 1})


@pytest.fixture(autouse=True)
def no_faults_left(aws: LocalAWS) -> Iterator[None]:
    yield
    aws.remove_faults()


@pytest.fixture
def client(aws: LocalAWS) -> Iterator[Callable[[str], Any]]:
    made: list[Any] = []

    def make(service: str) -> Any:
        made.append(aws.client(service, config=ONCE))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def bucket(aws: LocalAWS) -> str:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="answers")
    s3.put_object(Bucket="answers", Key="here", Body=b"")
    s3.close()
    return "answers"


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as refusal:
        call(**arguments)
    response = refusal.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize(
    ("fault", "batch", "s3", "sts", "ec2", "ecr"),
    [
        (
            InvalidCredentials(),
            ("UnrecognizedClientException", 403),
            ("InvalidAccessKeyId", 403),
            ("InvalidClientTokenId", 403),
            ("AuthFailure", 401),
            ("UnrecognizedClientException", 400),
        ),
        (
            Deny(),
            ("AccessDeniedException", 403),
            ("AccessDenied", 403),
            ("AccessDenied", 403),
            ("UnauthorizedOperation", 403),
            ("AccessDeniedException", 400),
        ),
    ],
)
def test_each_service_refuses_credentials_and_permissions_in_its_own_protocol(
    aws: LocalAWS, client: Callable[..., Any], fault: Any, batch: Any, s3: Any, sts: Any, ec2: Any, ecr: Any
) -> None:
    with aws.suffering(fault):
        assert refused(client("batch").describe_jobs, jobs=["x"]) == batch
        assert refused(client("s3").list_buckets) == s3
        assert refused(client("sts").get_caller_identity) == sts
        assert refused(client("ec2").describe_subnets) == ec2
        assert refused(client("ecr").describe_repositories) == ecr
    client("sts").get_caller_identity()


def test_credentials_fail_and_hold_again_while_others_always_hold(aws: LocalAWS, client: Callable[..., Any]) -> None:
    key = aws.environment["AWS_ACCESS_KEY_ID"]
    sts = client("sts")
    for fault in (ExpiredToken, InvalidCredentials):
        aws.inject(fault(key="SOMEBODYELSE"))
        sts.get_caller_identity()
        with aws.suffering(fault(key=key)):
            refused(sts.get_caller_identity)
        sts.get_caller_identity()


def test_one_operation_is_denied_and_the_others_are_not(aws: LocalAWS, client: Callable[..., Any], bucket: str) -> None:
    s3 = client("s3")
    aws.inject(Deny("s3.ListObjectsV2"), Deny("s3.HeadBucket"), Deny("batch.TerminateJob*"))
    assert refused(s3.list_objects_v2, Bucket=bucket) == ("AccessDenied", 403)
    assert refused(s3.head_bucket, Bucket=bucket) == ("403", 403)
    assert refused(client("batch").terminate_jobs, jobs=["x"], reason="r") == ("AccessDeniedException", 403)
    assert s3.get_object(Bucket=bucket, Key="here")["ContentLength"] == 0
    assert client("batch").describe_jobs(jobs=["x"])["jobs"] == []


def test_listing_is_denied_below_one_prefix(aws: LocalAWS, client: Callable[..., Any], bucket: str) -> None:
    s3 = client("s3")
    aws.inject(Deny("s3.ListObjectsV2", path=f"{bucket}/closed/*"))
    assert s3.list_objects_v2(Bucket=bucket, Prefix="he")["KeyCount"] == 1
    assert refused(s3.list_objects_v2, Bucket=bucket, Prefix="closed/1/") == ("AccessDenied", 403)


# Answers


def listed(account: Any, name: str) -> list[dict[str, Any]]:
    answer = account.batch.list_jobs(jobQueue="queue", filters=[{"name": "JOB_NAME", "values": [name]}])
    return list(answer["jobSummaryList"])


def test_a_job_is_in_a_state_that_no_model_has(aws: LocalAWS, account: Any) -> None:
    aws.inject(UnknownState(jobs="strange"), HoldRunnable())
    strange, plain = account.submit("true", jobName="strange"), account.submit("true", jobName="plain")
    shown = {each["jobId"]: each["status"] for each in account.batch.describe_jobs(jobs=[strange, plain])["jobs"]}
    assert shown == {strange: "HIBERNATING", plain: "RUNNABLE"}
    assert [each["status"] for each in listed(account, "strange")] == ["HIBERNATING"]
    runnable = account.batch.list_jobs(jobQueue="queue", jobStatus="RUNNABLE")["jobSummaryList"]
    assert strange not in {each["jobId"] for each in runnable}
    aws.remove_faults()
    assert account.wait(strange)["status"] == "SUCCEEDED"


def test_optional_fields_are_missing(aws: LocalAWS, account: Any) -> None:
    job_id = account.submit("true", jobName="bare")
    account.wait(job_id)
    with aws.suffering(Omit(jobs="bare")):
        assert account.describe(job_id).keys() == {
            "jobName",
            "jobId",
            "jobQueue",
            "status",
            "startedAt",
            "jobDefinition",
        }
        assert [each.keys() for each in listed(account, "bare")] == [{"jobId", "jobName"}]
    with aws.suffering(Omit(jobs="bare", field="stat*", calls="batch.DescribeJobs")):
        job = account.describe(job_id)
        assert ("statusReason" in job, "status" in job, "container" in job) == (False, True, True)
        assert "status" in listed(account, "bare")[0]


def test_listings_lag_behind_while_describing_knows_new_jobs(
    aws: LocalAWS, account: Any, until: Callable[..., Any]
) -> None:
    aws.inject(Stale(calls="batch.ListJobs", seconds=1.0))
    job_id = account.submit("true", jobName="lagging")
    assert account.describe(job_id)["jobId"] == job_id
    assert listed(account, "lagging") == []
    assert until(lambda: listed(account, "lagging"), bool)[0]["jobId"] == job_id


def test_the_faults_of_answers_can_be_injected_with_plain_http(aws: LocalAWS) -> None:
    kinds = [
        {"kind": "HoldRunnable", "reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", "span": 1},
        {"kind": "BulkError", "tries": 1},
        {"kind": "FailStart", "error": "DockerTimeoutError"},
        {"kind": "Conflict", "winner": "theirs"},
        {"kind": "Hang", "path": "none/*"},
        {"kind": "Deny", "calls": "none.None"},
    ]
    body = json.dumps({"faults": kinds}).encode()
    headers = {"Authorization": f"Bearer {aws.environment['AWS_SECRET_ACCESS_KEY']}"}
    request = urllib.request.Request(f"{aws.endpoint_url}/_scaler_batch/faults", body, headers)
    with urllib.request.urlopen(request) as answer:
        assert len(json.load(answer)["numbers"]) == len(kinds)
    assert [each["kind"] for each in aws.faults()] == [each["kind"] for each in kinds]
