"""Faults on a running server, as a boto3 client suffers them."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from scaler_batch.local import LocalAWS, LocalSettings
from scaler_batch.local.errors import FaultError, StartError
from scaler_batch.local.faults import (
    Drop,
    ExpiredToken,
    Kill,
    LoseResponse,
    Reclaim,
    ServerError,
    Slow,
    Stale,
    Throttle,
    Vanish,
)

pytestmark = pytest.mark.long

ONCE = Config(retries={"total_max_attempts": 1})
PERSISTENT = Config(retries={"total_max_attempts": 3, "mode": "standard"})


@pytest.fixture(autouse=True)
def no_faults_left(aws: LocalAWS) -> Iterator[None]:
    yield
    aws.remove_faults()


@pytest.fixture
def client(aws: LocalAWS) -> Iterator[Callable[..., Any]]:
    made: list[Any] = []

    def make(service: str, config: Config = ONCE) -> Any:
        made.append(aws.client(service, config=config))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def bucket(aws: LocalAWS) -> str:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="faults")
    s3.close()
    return "faults"


def refused(call: Callable[..., Any], **arguments: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as refusal:
        call(**arguments)
    response = refusal.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize(
    ("fault", "batch", "s3", "sts", "logs"),
    [
        (
            Throttle(),
            ("TooManyRequestsException", 429),
            ("SlowDown", 503),
            ("ThrottlingException", 400),
            ("ThrottlingException", 400),
        ),
        (
            ServerError(),
            ("ServerException", 500),
            ("InternalError", 500),
            ("InternalFailure", 500),
            ("InternalFailure", 500),
        ),
        (
            ExpiredToken(),
            ("ExpiredTokenException", 403),
            ("ExpiredToken", 400),
            ("ExpiredToken", 403),
            ("ExpiredTokenException", 403),
        ),
    ],
)
def test_each_service_refuses_in_a_way_that_its_clients_understand(
    aws: LocalAWS, client: Callable[..., Any], fault: Any, batch: Any, s3: Any, sts: Any, logs: Any
) -> None:
    with aws.suffering(fault):
        assert refused(client("batch").describe_jobs, jobs=["x"]) == batch
        assert refused(client("s3").list_buckets) == s3
        assert refused(client("sts").get_caller_identity) == sts
        assert refused(client("logs").describe_log_groups) == logs
    client("sts").get_caller_identity()


def test_a_client_that_tries_again_gets_through_and_the_strikes_are_counted(
    aws: LocalAWS, client: Callable[..., Any], bucket: str
) -> None:
    aws.inject(Throttle("s3.PutObject", count=1), Drop("s3.PutObject", count=1))
    client("s3", PERSISTENT).put_object(Bucket=bucket, Key="persistent", Body=b"x" * 100_000)
    assert [each["strikes"] for each in aws.faults()] == [1, 1]


def test_a_lost_response_leaves_its_effect_behind(aws: LocalAWS, client: Callable[..., Any], account: Any) -> None:
    batch = client("batch")
    with aws.suffering(LoseResponse("batch.SubmitJob")), pytest.raises(ConnectionClosedError):
        batch.submit_job(jobName="orphan", jobQueue="queue", jobDefinition=account.define("true"))
    listed = batch.list_jobs(jobQueue="queue", filters=[{"name": "JOB_NAME", "values": ["orphan"]}])
    [job] = listed["jobSummaryList"]
    assert account.wait(job["jobId"])["status"] == "SUCCEEDED"


def test_a_dropped_call_leaves_none(aws: LocalAWS, client: Callable[..., Any], bucket: str) -> None:
    s3 = client("s3")
    with aws.suffering(Drop("s3.PutObject")), pytest.raises(ConnectionClosedError):
        s3.put_object(Bucket=bucket, Key="dropped", Body=b"x" * 1_000_000)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix="dropped")


def test_slow_calls_do_not_hold_up_others(aws: LocalAWS, client: Callable[..., Any]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    s3, sts = client("s3", Config(max_pool_connections=32)), client("sts")
    with aws.suffering(Slow("s3.*", seconds=4)), ThreadPoolExecutor(32) as pool:
        slow = [pool.submit(s3.list_buckets) for _ in range(32)]
        sts.get_caller_identity()
        assert not all(each.done() for each in slow)
        assert [each.result()["ResponseMetadata"]["HTTPStatusCode"] for each in slow] == [200] * 32


def test_a_vanished_job_is_not_described_and_not_listed(aws: LocalAWS, account: Any) -> None:
    job_id = account.submit("true", jobName="vanishing")
    account.wait(job_id)
    with aws.suffering(Vanish(jobs="vanishing")):
        assert account.batch.describe_jobs(jobs=[job_id])["jobs"] == []
        listed = account.batch.list_jobs(jobQueue="queue", filters=[{"name": "JOB_NAME", "values": ["vanishing"]}])
        assert listed["jobSummaryList"] == []
    assert account.describe(job_id)["jobName"] == "vanishing"


def test_a_stale_answer_does_not_know_a_new_job(aws: LocalAWS, account: Any) -> None:
    with aws.suffering(Stale(seconds=3600)):
        job_id = account.submit("true")
        assert account.batch.describe_jobs(jobs=[job_id])["jobs"] == []
    account.wait(job_id)


def test_a_job_on_a_reclaimed_host_says_so_and_tries_again(aws: LocalAWS, account: Any) -> None:
    command = 'trap "echo warned; exit 1" TERM; [ $AWS_BATCH_JOB_ATTEMPT = 1 ] && { echo up; sleep 60 & wait; }; exit 0'
    job_id = account.submit("sh", "-c", command, retryStrategy={"attempts": 2}, jobName="reclaimed")
    account.wait(job_id, "RUNNING")
    aws.inject(Reclaim(jobs="reclaimed", count=1))
    job = account.wait(job_id)
    assert job["status"] == "SUCCEEDED"
    assert job["attempts"][0]["statusReason"].startswith("Host EC2 (instance i-")
    assert job["attempts"][0]["statusReason"].endswith(") terminated.")
    assert "exitCode" not in job["attempts"][0]["container"]


def test_a_killed_job_has_the_exit_code_of_the_signal(aws: LocalAWS, account: Any) -> None:
    job_id = account.submit("sleep", "60", jobName="killed")
    account.wait(job_id, "RUNNING")
    aws.inject(Kill(jobs="killed"))
    job = account.wait(job_id)
    assert (job["container"]["exitCode"], job["statusReason"]) == (137, "Essential container in task exited")


def control(aws: LocalAWS, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {aws.environment['AWS_SECRET_ACCESS_KEY']}"}
    request = urllib.request.Request(f"{aws.endpoint_url}/_scaler_batch/{path}", body, headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_faults_can_be_injected_with_plain_http(aws: LocalAWS) -> None:
    status, said = control(aws, "POST", "faults", b'{"seed": 1, "faults": [{"kind": "Slow", "seconds": 0}]}')
    assert status == 200
    assert control(aws, "GET", "faults")[1]["faults"] == [
        {"number": said["numbers"][0], "kind": "Slow", "seconds": 0, "strikes": 0}
    ]
    assert control(aws, "DELETE", f"faults?number={said['numbers'][0]}") == (200, {})
    assert control(aws, "GET", "faults") == (200, {"faults": []})


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"faults": [{"kind": "Thunder"}]}', b"\xff\xfe"])
def test_what_is_no_fault_is_a_bad_request(aws: LocalAWS, body: bytes) -> None:
    status, said = control(aws, "POST", "faults", body)
    assert (status, list(said)) == (400, ["error"])


def test_a_fault_that_is_not_there_cannot_be_taken_back(aws: LocalAWS) -> None:
    with pytest.raises(FaultError, match="no fault 4711"):
        aws.remove_faults(4711)
    assert control(aws, "DELETE", "faults?number=x")[0] == 400


def test_a_file_of_faults_is_in_force_from_the_start_and_again_after_a_reset(tmp_path: Path) -> None:
    file = tmp_path / "faults.toml"
    file.write_text('[[fault]]\nkind = "Throttle"\ncalls = "sts.*"\ncount = 1\n')
    with LocalAWS(LocalSettings(faults=str(file))) as aws:
        sts = aws.client("sts", config=ONCE)
        for _ in range(2):
            assert refused(sts.get_caller_identity) == ("ThrottlingException", 400)
            sts.get_caller_identity()
            aws.reset()
        sts.close()


def test_a_server_does_not_start_with_a_file_that_holds_no_faults(tmp_path: Path) -> None:
    file = tmp_path / "faults.toml"
    file.write_text("nonsense")
    with pytest.raises(StartError, match=r"faults\.toml"):
        LocalAWS(LocalSettings(faults=str(file))).start()
