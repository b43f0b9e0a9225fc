from __future__ import annotations

import boto3
import pytest

from scaler_batch.aws import IMPATIENT, PATIENT, QUICK, UNREPEATED, USER_AGENT, ServiceError, open_client, open_session
from scaler_batch.aws.lookup import find_queue


@pytest.mark.parametrize(
    "config", [UNREPEATED, PATIENT, IMPATIENT, QUICK], ids=["unrepeated", "patient", "impatient", "quick"]
)
def test_every_client_keeps_connections_alive_waits_for_so_long_and_says_who_it_is(config):
    client = open_client(boto3.Session("key", "secret"), "batch", "us-east-1", config)
    found = client.meta.config
    assert found.tcp_keepalive
    assert 0 < found.connect_timeout <= 10
    assert 0 < found.read_timeout <= 60
    assert USER_AGENT in found.user_agent
    assert USER_AGENT.startswith("scaler-batch/")


def test_a_client_that_cannot_be_made_is_an_error_of_ours():
    with pytest.raises(ServiceError) as caught:
        open_client(open_session(), "batch", "no region", QUICK)
    assert not caught.value.retryable


def test_a_worker_that_finds_no_service_is_told_so_by_our_error():
    client = open_client(boto3.Session("key", "secret"), "batch", "us-east-1", QUICK, endpoint_url="http://127.0.0.1:9")
    with pytest.raises(Exception, match="Could not connect"):
        find_queue(client, "q")
