"""A local AWS that takes as long as AWS, seen by those who use it: at time scale 1, so each test takes its time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import boto3
import cloudpickle
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from scaler import Client

from stack import Options, Stack

cloudpickle.register_pickle_by_value(sys.modules[__name__])

pytestmark = pytest.mark.long

ALONE: Final = 13.7
"""Seconds from submission to the first line, as measured on AWS on a warm instance."""

SUBMISSIONS: Final = 1000
RATE: Final = 50
"""SubmitJob calls a second that AWS takes."""


def now() -> float:
    return time.time()


@pytest.fixture(scope="module")
def slow() -> Iterator[Stack]:
    with Stack(Options(local=("--like", "aws"))) as running:
        yield running.start_all()


def test_a_lone_task_begins_after_the_measured_time(slow: Stack, connect: Callable[[Stack], Client]) -> None:
    client = connect(slow)
    submitted = time.time()
    taken = client.submit(now).result(60) - submitted
    print(f"a lone task began after {taken:.2f} s")
    assert taken == pytest.approx(ALONE, rel=0.1)


def test_a_thousand_submissions_take_twenty_seconds(slow: Stack) -> None:
    batch = patient_client(slow)
    job = {"jobQueue": slow.provisioned["SCALER_JOB_QUEUE"], "jobDefinition": slow.provisioned["SCALER_JOB_DEFINITION"]}
    began = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        throttled = sum(pool.map(lambda _: submit(batch, job), range(SUBMISSIONS)))
    taken = time.monotonic() - began
    print(f"{SUBMISSIONS} submissions took {taken:.2f} s, and {throttled} calls were throttled")
    assert SUBMISSIONS / RATE * 0.9 < taken < SUBMISSIONS / RATE * 1.1
    assert throttled > 0


def patient_client(stack: Stack) -> Any:
    """A client for many threads, which tries nothing again by itself."""
    names = {"AWS_ACCESS_KEY_ID": "aws_access_key_id", "AWS_SECRET_ACCESS_KEY": "aws_secret_access_key"}
    return boto3.client(
        "batch",
        region_name=stack.environment["AWS_DEFAULT_REGION"],
        endpoint_url=stack.environment["AWS_ENDPOINT_URL"],
        config=Config(max_pool_connections=16, retries={"total_max_attempts": 1}),
        **{argument: stack.environment[name] for name, argument in names.items()},
    )


def submit(batch: Any, job: dict[str, str]) -> int:
    """Submit a job, and return how often that was refused for its rate."""
    refusals = 0
    while True:
        try:
            batch.submit_job(jobName="alone", **job)
            return refusals
        except ClientError as error:
            if error.response["Error"]["Code"] != "TooManyRequestsException":
                raise
            refusals += 1
            time.sleep(0.1)
