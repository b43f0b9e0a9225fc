"""A clock that jumps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from scaler_batch.local import LocalAWS
from scaler_batch.local.errors import FaultError

pytestmark = pytest.mark.long

HOUR = 3600
BUCKET = "clock"


@pytest.fixture(autouse=True)
def time_of_day(aws: LocalAWS) -> Iterator[list[float]]:
    jumps: list[float] = []
    yield jumps
    aws.jump_clock(-sum(jumps))


@pytest.fixture
def jump(aws: LocalAWS, time_of_day: list[float]) -> Callable[[float], None]:
    def act(seconds: float) -> None:
        aws.jump_clock(seconds)
        time_of_day.append(seconds)

    return act


@pytest.fixture(scope="module")
def s3(aws: LocalAWS) -> Iterator[Any]:
    client = aws.client("s3")
    client.create_bucket(Bucket=BUCKET)
    yield client
    client.close()


def ahead(moment: datetime) -> float:
    return (moment - datetime.now(UTC)).total_seconds()


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
def test_objects_are_dated_by_the_clock_of_the_moment(s3: Any, jump: Any, seconds: float) -> None:
    s3.put_object(Bucket=BUCKET, Key="before", Body=b"")
    jump(seconds)
    stored = s3.put_object(Bucket=BUCKET, Key="after", Body=b"")
    dates = {each["Key"]: each["LastModified"] for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]}
    assert abs(ahead(dates["before"])) < 60
    assert abs(ahead(dates["after"]) - seconds) < 60
    assert abs(ahead(s3.head_object(Bucket=BUCKET, Key="after")["LastModified"]) - seconds) < 60
    date = parsedate_to_datetime(stored["ResponseMetadata"]["HTTPHeaders"]["date"])
    assert abs(ahead(date) - seconds) < 60


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
def test_jobs_are_dated_by_it_and_nothing_becomes_due(account: Any, jump: Any, seconds: float) -> None:
    job_id = account.submit("sleep", "60", timeout={"attemptDurationSeconds": 50})
    account.wait(job_id, "RUNNING")
    jump(seconds)
    assert account.run("true")["status"] == "SUCCEEDED"
    assert account.describe(job_id)["status"] == "RUNNING"
    account.batch.terminate_job(jobId=job_id, reason="enough")
    job = account.wait(job_id)
    assert job["statusReason"] == "enough"
    assert abs(job["createdAt"] / 1000 - time.time()) < 60
    assert abs(job["stoppedAt"] / 1000 - time.time() - seconds) < 60


def test_a_timeout_comes_after_the_same_time_as_without_the_jump(account: Any, jump: Any) -> None:
    job_id = account.submit("sleep", "60", timeout={"attemptDurationSeconds": 1})
    account.wait(job_id, "RUNNING")
    jump(-HOUR)
    assert account.wait(job_id)["statusReason"] == "Job attempt duration exceeded timeout"


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), 1e12, "3600", None, True])
def test_a_jump_that_cannot_be_is_refused(aws: LocalAWS, seconds: Any) -> None:
    with pytest.raises(FaultError, match="seconds"):
        aws.jump_clock(seconds)
