"""The local AWS of the other tests can have a bad day, and a boto3 client notices."""

from __future__ import annotations

import json
from typing import Any
from urllib.request import Request, urlopen

import pytest
from botocore.exceptions import ClientError

from stack import Stack


def faults(cloud: Stack, method: str, *injected: dict[str, Any]) -> Any:
    """Ask the local AWS about its faults."""
    address = f"{cloud.environment['AWS_ENDPOINT_URL']}/_scaler_batch/faults"
    body = json.dumps({"faults": injected}).encode() if injected else None
    headers = {"Authorization": f"Bearer {cloud.environment['AWS_SECRET_ACCESS_KEY']}"}
    with urlopen(Request(address, body, headers, method=method)) as answer:
        return json.load(answer)


def test_a_throttled_client_gets_through_when_the_fault_is_over(cloud: Stack) -> None:
    batch = cloud.aws("batch")
    faults(cloud, "POST", {"kind": "Throttle", "calls": "batch.DescribeJobQueues", "count": 2})
    assert batch.describe_job_queues()["jobQueues"]
    [fault] = faults(cloud, "GET")["faults"]
    assert fault["strikes"] == 2
    faults(cloud, "DELETE")
    batch.close()


def test_a_client_that_is_never_let_through_says_why(cloud: Stack) -> None:
    batch = cloud.aws("batch")
    faults(cloud, "POST", {"kind": "ExpiredToken", "calls": "batch.*"})
    with pytest.raises(ClientError, match="ExpiredTokenException"):
        batch.describe_job_queues()
    faults(cloud, "DELETE")
    assert batch.describe_job_queues()["jobQueues"]
    batch.close()
