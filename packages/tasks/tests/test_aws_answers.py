"""Jobs as AWS shows them, errors as botocore raises them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)

from scaler_batch.tasks.aws.answers import is_throttled, report_of, translated
from scaler_batch.tasks.vocabulary import JobReport, JobStatus


def detail(job_id: str) -> dict[str, Any]:
    return {
        "jobId": job_id,
        "jobName": "name",
        "jobQueue": "queue",
        "jobDefinition": "definition",
        "startedAt": 1,
        "status": "RUNNING",
    }


def test_a_single_job_is_read_from_its_last_attempt():
    job = {
        **detail("abc"),
        "status": "FAILED",
        "statusReason": "Essential container in task exited",
        "attempts": [{"statusReason": "Host EC2 terminated"}, {"statusReason": "Essential container in task exited"}],
        "container": {"exitCode": 1, "reason": "CannotPullContainerError", "logStreamName": "runner/default/xyz"},
        "arrayProperties": None,
        "isTerminated": False,
    }
    assert report_of(job) == JobReport(
        "abc",
        JobStatus.FAILED,
        attempt=2,
        exit_code=1,
        reason="CannotPullContainerError",
        status_reason="Essential container in task exited",
        log_stream="runner/default/xyz",
    )


@pytest.mark.parametrize(
    ("configuration", "group"),
    [
        ({"logDriver": "awslogs", "options": {"awslogs-group": "/ours", "awslogs-region": "x"}}, "/ours"),
        ({"logDriver": "awslogs", "options": {}}, "/aws/batch/job"),
        ({"logDriver": "json-file"}, "/aws/batch/job"),
        (None, "/aws/batch/job"),
    ],
)
def test_the_log_group_is_that_of_the_definition(configuration: dict[str, Any] | None, group: str):
    assert report_of({**detail("abc"), "container": {"logConfiguration": configuration}}).log_group == group


@pytest.mark.parametrize("word", ["isTerminated", "isCancelled"])
def test_it_is_noted_that_somebody_ended_a_job(word: str):
    assert report_of({**detail("abc"), word: True}).terminated
    assert not report_of({**detail("abc"), word: False}).terminated


def test_a_parent_is_read_with_its_failed_children():
    job = {**detail("abc"), "status": "PENDING", "arrayProperties": {"size": 5, "statusSummary": {"FAILED": 2}}}
    assert report_of(job) == JobReport("abc", JobStatus.PENDING, failed_children=2)


def test_a_job_that_has_not_started_has_nothing_to_tell():
    assert report_of({"jobId": "abc", "status": "RUNNABLE"}) == JobReport("abc", JobStatus.RUNNABLE)


@pytest.mark.parametrize("status", list(JobStatus))
def test_only_two_states_are_final(status: JobStatus):
    assert status.is_final == (status in ("SUCCEEDED", "FAILED"))


def client_error(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "SubmitJob")


ENDPOINT = "https://batch.eu-west-1.amazonaws.com"

CERTAIN_AND_PASSING: list[BotoCoreError | ClientError] = [
    client_error("TooManyRequestsException", 429),
    client_error("ThrottlingException", 400),
    client_error("SomethingNewAboutRates", 429),
    client_error("ExpiredTokenException", 403),
    client_error("RequestExpired", 400),
    EndpointConnectionError(endpoint_url=ENDPOINT),
    ConnectTimeoutError(endpoint_url=ENDPOINT),
    ProxyConnectionError(proxy_url="http://proxy"),
    CredentialRetrievalError(provider="container-role", error_msg="timeout"),
]
AMBIGUOUS: list[BotoCoreError | ClientError] = [
    client_error("ServerException", 500),
    client_error("InternalFailure", 502),
    client_error("ServiceUnavailable", 503),
    ReadTimeoutError(endpoint_url=ENDPOINT),
    ConnectionClosedError(endpoint_url=ENDPOINT),
    SSLError(endpoint_url=ENDPOINT, error="EOF occurred in violation of protocol"),
]
FINAL: list[BotoCoreError | ClientError] = [
    client_error("ClientException", 400),
    client_error("AccessDeniedException", 403),
    client_error("UnrecognizedClientException", 403),
    NoCredentialsError(),
    ParamValidationError(report="no"),
]


@pytest.mark.parametrize("error", CERTAIN_AND_PASSING, ids=lambda error: repr(error)[:60])
def test_what_had_no_effect_and_passes_may_be_tried_again(error: ClientError | BotoCoreError):
    assert (translated(error).retryable, translated(error).ambiguous) == (True, False)


@pytest.mark.parametrize("error", AMBIGUOUS, ids=lambda error: repr(error)[:60])
def test_what_may_have_had_its_effect_is_looked_up_first(error: ClientError | BotoCoreError):
    assert (translated(error).retryable, translated(error).ambiguous) == (True, True)


@pytest.mark.parametrize("error", FINAL, ids=lambda error: repr(error)[:60])
def test_what_would_be_refused_again_is_not_tried_again(error: ClientError | BotoCoreError):
    assert (translated(error).retryable, translated(error).ambiguous) == (False, False)


@pytest.mark.parametrize("error", [*CERTAIN_AND_PASSING, *AMBIGUOUS, *FINAL], ids=lambda error: repr(error)[:60])
def test_only_what_speaks_of_rates_is_throttling(error: ClientError | BotoCoreError):
    words = ("TooManyRequests", "Throttling", "Rates")
    assert is_throttled(error) == any(word in repr(error) for word in words)


def test_the_name_of_an_error_is_kept():
    assert translated(client_error("ClientException", 400)).code == "ClientException"
    assert translated(NoCredentialsError()).code == ""
