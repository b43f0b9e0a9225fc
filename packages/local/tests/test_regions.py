"""Buckets in another region than the one that a request is addressed to."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, RemoteDisconnected
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from scaler_batch.local import LocalAWS, LocalSettings
from scaler_batch.local.faults import Deny
from scaler_batch.local.resources import USUAL, make

pytestmark = pytest.mark.long

BUCKET = "far-away"


@pytest.fixture(scope="module", autouse=True)
def far_away(aws: LocalAWS) -> Iterator[None]:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.close()
    yield
    aws.remove_faults()


def keys_of(aws: LocalAWS) -> Credentials:
    return Credentials(aws.environment["AWS_ACCESS_KEY_ID"], aws.environment["AWS_SECRET_ACCESS_KEY"])


@pytest.fixture(scope="module")
def named() -> Iterator[LocalAWS]:
    """An AWS that may be addressed by the names of the real one, as behind a name server of one's own."""
    with LocalAWS(
        LocalSettings(accept_hosts=["s3.*.amazonaws.com", "s3.*.amazonaws.com.cn", "s3.amazonaws.com"])
    ) as aws:
        yield aws


@pytest.fixture
def ask(aws: LocalAWS) -> Callable[..., tuple[int, str | None, bytes]]:
    """A request for a path, signed for a region, by a client that follows no redirects."""

    def send(method: str, path: str, region: str, body: bytes = b"") -> tuple[int, str | None, bytes]:
        host = aws.endpoint_url.removeprefix("http://")
        request = AWSRequest(method, f"http://{host}{path}", data=body, headers={"Host": host})
        S3SigV4Auth(keys_of(aws), "s3", region).add_auth(request)
        connection = http.client.HTTPConnection(host)
        connection.request(method, path, body, dict(request.headers.items()))
        answer = connection.getresponse()
        said = answer.status, answer.headers["x-amz-bucket-region"], answer.read()
        connection.close()
        return said

    return send


@pytest.mark.parametrize(
    ("method", "path"), [("GET", f"/{BUCKET}?list-type=2"), ("GET", f"/{BUCKET}/key"), ("PUT", f"/{BUCKET}/key")]
)
def test_s3_sends_requests_for_a_bucket_of_another_region_away(ask: Any, method: str, path: str) -> None:
    status, region, body = ask(method, path, "us-east-1", b"body" if method == "PUT" else b"")
    assert (status, region) == (301, "eu-central-1")
    assert b"<Code>PermanentRedirect</Code>" in body
    assert b"<Endpoint>far-away.s3.eu-central-1.amazonaws.com</Endpoint>" in body


def test_head_bucket_names_the_region_whether_it_answers_sends_away_or_refuses(aws: LocalAWS, ask: Any) -> None:
    assert ask("HEAD", f"/{BUCKET}", "us-east-1") == (301, "eu-central-1", b"")
    assert ask("HEAD", f"/{BUCKET}", "eu-central-1") == (200, "eu-central-1", b"")
    with aws.suffering(Deny("s3.HeadBucket")):
        assert ask("HEAD", f"/{BUCKET}", "eu-central-1") == (403, "eu-central-1", b"")
    assert ask("HEAD", "/no-such-bucket-here", "eu-central-1")[0] == 404


def test_in_its_own_region_a_bucket_works(aws: LocalAWS, ask: Any) -> None:
    assert ask("PUT", f"/{BUCKET}/there", "eu-central-1", b"body")[0] == 200
    assert ask("GET", f"/{BUCKET}/there", "eu-central-1") == (200, None, b"body")
    assert ask("GET", f"/{BUCKET}?location", "us-east-1")[0] == 200


def test_boto3_finds_the_way_by_itself(aws: LocalAWS) -> None:
    s3 = aws.client("s3", config=Config(retries={"total_max_attempts": 1}))
    s3.put_object(Bucket=BUCKET, Key="found", Body=b"")
    assert s3.head_object(Bucket=BUCKET, Key="found")["ContentLength"] == 0
    with pytest.raises(ClientError):
        s3.head_object(Bucket=BUCKET, Key="not-found")
    s3.close()


@pytest.mark.parametrize(
    ("host", "signed", "status"),
    [
        ("s3.us-east-1.amazonaws.com", "us-east-1", 200),
        ("s3.amazonaws.com", "us-east-1", 200),
        ("s3.eu-west-1.amazonaws.com", "us-east-1", 400),
        ("s3.cn-north-1.amazonaws.com.cn", "us-east-1", 400),
        ("s3.cn-north-1.amazonaws.com", "cn-north-1", None),
        ("s3.us-east-1.amazonaws.com.cn", "us-east-1", None),
    ],
)
def test_a_host_of_s3_takes_only_what_is_signed_for_its_region(
    named: LocalAWS, host: str, signed: str, status: int | None
) -> None:
    connection = HTTPConnection(urlsplit(named.endpoint_url).netloc)
    request = AWSRequest("GET", f"http://{host}/", headers={"Host": host})
    S3SigV4Auth(keys_of(named), "s3", signed).add_auth(request)
    try:
        connection.request("GET", "/", headers=dict(request.headers.items()))
        answer = connection.getresponse()
        assert answer.status == status
        if status == 400:
            assert b"AuthorizationHeaderMalformed" in answer.read()
    except (RemoteDisconnected, ConnectionResetError):
        assert status is None
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("region", "partition", "suffix"),
    [
        ("cn-north-1", "aws-cn", "amazonaws.com.cn"),
        ("us-gov-west-1", "aws-us-gov", "amazonaws.com"),
        ("eusc-de-east-1", "aws-eusc", "amazonaws.eu"),
        ("us-iso-east-1", "aws-iso", "c2s.ic.gov"),
    ],
)
def test_names_of_other_partitions_are_theirs(region: str, partition: str, suffix: str) -> None:
    with LocalAWS(LocalSettings(region=region)) as aws:
        make(USUAL, aws.environment)
        batch, iam, ecr = map(aws.client, ("batch", "iam", "ecr"))
        job = batch.submit_job(jobName="j", jobQueue=USUAL.queue, jobDefinition=USUAL.definition)["jobArn"]
        role = iam.create_role(RoleName="x", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        repository = ecr.create_repository(repositoryName="rr")["repository"]
        for arn in (job, role, repository["repositoryArn"]):
            assert arn.startswith(f"arn:{partition}:")
        assert repository["repositoryUri"].endswith(f".{suffix}/rr")
        for client in (batch, iam, ecr):
            client.close()
