"""The border to boto3: requests that botocore's model of AWS Batch accepts, answers read, errors translated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
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
from botocore.stub import Stubber

from scaler_batch.tasks.aws import BatchJobService
from scaler_batch.tasks.aws.batch import _report, _translated
from scaler_batch.tasks.errors import ServiceError
from scaler_batch.tasks.vocabulary import JobReport, JobShape, JobSpec, JobStatus

SPEC = JobSpec("scaler-batch-run-1", JobShape("queue", "definition:3", 900), {"run": "s3://b/r", "pack": "-"}, 1)


@pytest.fixture(scope="module")
def service() -> Iterator[BatchJobService]:
    session = boto3.Session(aws_access_key_id="key", aws_secret_access_key="secret")
    service = BatchJobService(session, "eu-west-1")
    yield service
    service.close()


@pytest.fixture
def submitting(service: BatchJobService) -> Iterator[Stubber]:
    with Stubber(service._submitting) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def asking(service: BatchJobService) -> Iterator[Stubber]:
    with Stubber(service._client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


async def test_a_single_job_is_submitted_as_aws_models_it(service: BatchJobService, submitting: Stubber):
    request = {
        "jobName": "scaler-batch-run-1",
        "jobQueue": "queue",
        "jobDefinition": "definition:3",
        "parameters": {"run": "s3://b/r", "pack": "-"},
        "timeout": {"attemptDurationSeconds": 900},
    }
    submitting.add_response("submit_job", {"jobName": SPEC.name, "jobId": "abc"}, request)
    assert await service.submit(SPEC) == "abc"


async def test_an_array_names_its_size(service: BatchJobService, submitting: Stubber):
    spec = JobSpec(SPEC.name, SPEC.shape, SPEC.parameters, 500)
    request = {
        "jobName": "scaler-batch-run-1",
        "jobQueue": "queue",
        "jobDefinition": "definition:3",
        "parameters": {"run": "s3://b/r", "pack": "-"},
        "timeout": {"attemptDurationSeconds": 900},
        "arrayProperties": {"size": 500},
    }
    submitting.add_response("submit_job", {"jobName": SPEC.name, "jobId": "abc"}, request)
    assert await service.submit(spec) == "abc"


async def test_a_submission_is_never_tried_twice_in_here(service: BatchJobService):
    assert service._submitting.meta.config.retries["total_max_attempts"] == 1
    assert service._client.meta.config.retries["mode"] == "adaptive"


async def test_a_job_is_found_by_its_exact_name_however_many_pages_that_takes(
    service: BatchJobService, asking: Stubber
):
    request: dict[str, Any] = {"jobQueue": "queue", "filters": [{"name": "JOB_NAME", "values": ["Run-1"]}]}
    other = {"jobId": "other", "jobName": "run-1"}
    asking.add_response("list_jobs", {"jobSummaryList": [other], "nextToken": "1"}, request)
    asking.add_response("list_jobs", {"jobSummaryList": [], "nextToken": "2"}, {**request, "nextToken": "1"})
    found = {"jobId": "abc", "jobName": "Run-1"}
    asking.add_response("list_jobs", {"jobSummaryList": [found]}, {**request, "nextToken": "2"})
    assert await service.find("Run-1", "queue") == "abc"


async def test_a_job_that_is_not_there_is_not_found(service: BatchJobService, asking: Stubber):
    asking.add_response("list_jobs", {"jobSummaryList": []})
    assert await service.find("run-1", "queue") is None


async def test_jobs_are_described_a_hundred_a_call(service: BatchJobService, asking: Stubber):
    ids = [f"job-{number}" for number in range(250)]
    for start in (0, 100, 200):
        chunk = ids[start : start + 100]
        asking.add_response("describe_jobs", {"jobs": [detail(job_id) for job_id in chunk[:-1]]}, {"jobs": chunk})
    reports = await service.describe(ids)
    assert len(reports) == 247
    assert "job-99" not in reports, "what Batch does not know is left out"
    assert reports["job-3"].status is JobStatus.RUNNING


async def test_describing_nothing_calls_nobody(service: BatchJobService, asking: Stubber):
    assert await service.describe([]) == {}


async def test_failed_children_are_listed_page_by_page(service: BatchJobService, asking: Stubber):
    request = {"arrayJobId": "abc", "jobStatus": "FAILED", "maxResults": 1000}
    first = {"jobSummaryList": [child(3), child(4)], "nextToken": "more"}
    asking.add_response("list_jobs", first, request)
    asking.add_response("list_jobs", {"jobSummaryList": [child(9)]}, {**request, "nextToken": "more"})
    children = await service.failed_children("abc")
    assert [(report.job_id, report.index) for report in children] == [("abc:3", 3), ("abc:4", 4), ("abc:9", 9)]
    assert children[0].exit_code == 137
    assert children[0].reason == "OutOfMemoryError"


async def test_a_job_is_ended_with_a_reason(service: BatchJobService, asking: Stubber):
    asking.add_response("terminate_job", {}, {"jobId": "abc:1", "reason": "cancelled"})
    await service.terminate("abc:1", "cancelled")


async def test_errors_leave_as_our_own_with_their_cause(service: BatchJobService, submitting: Stubber):
    submitting.add_client_error("submit_job", "ClientException", "queue is disabled", http_status_code=400)
    with pytest.raises(ServiceError, match="queue is disabled") as caught:
        await service.submit(SPEC)
    assert isinstance(caught.value.__cause__, ClientError)
    assert not caught.value.retryable


async def test_a_request_that_boto3_refuses_was_never_sent(service: BatchJobService):
    with pytest.raises(ServiceError) as caught:
        await service.submit(JobSpec(None, SPEC.shape, {}, 1))  # type: ignore[arg-type]
    assert isinstance(caught.value.__cause__, ParamValidationError)
    assert (caught.value.retryable, caught.value.ambiguous) == (False, False)


def detail(job_id: str) -> dict[str, Any]:
    return {
        "jobId": job_id,
        "jobName": "name",
        "jobQueue": "queue",
        "jobDefinition": "definition",
        "startedAt": 1,
        "status": "RUNNING",
    }


def child(index: int) -> dict[str, Any]:
    return {
        "jobId": f"abc:{index}",
        "jobName": "name",
        "status": "FAILED",
        "statusReason": "Essential container in task exited",
        "container": {"exitCode": 137, "reason": "OutOfMemoryError"},
        "arrayProperties": {"index": index},
    }


def test_a_single_job_is_read_from_its_last_attempt():
    job = {
        **detail("abc"),
        "status": "FAILED",
        "statusReason": "Essential container in task exited",
        "attempts": [{"statusReason": "Host EC2 terminated"}, {"statusReason": "Essential container in task exited"}],
        "container": {"exitCode": 1, "reason": "CannotPullContainerError", "logStreamName": "runner/default/xyz"},
        "arrayProperties": None,
    }
    assert _report(job) == JobReport(
        "abc",
        JobStatus.FAILED,
        attempt=2,
        exit_code=1,
        reason="CannotPullContainerError",
        status_reason="Essential container in task exited",
        log_stream="runner/default/xyz",
    )


def test_a_parent_is_read_with_its_failed_children():
    job = {**detail("abc"), "status": "PENDING", "arrayProperties": {"size": 5, "statusSummary": {"FAILED": 2}}}
    assert _report(job) == JobReport("abc", JobStatus.PENDING, failed_children=2)


def test_a_job_that_has_not_started_has_nothing_to_tell():
    assert _report({"jobId": "abc", "status": "RUNNABLE"}) == JobReport("abc", JobStatus.RUNNABLE)


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
    assert (_translated(error).retryable, _translated(error).ambiguous) == (True, False)


@pytest.mark.parametrize("error", AMBIGUOUS, ids=lambda error: repr(error)[:60])
def test_what_may_have_had_its_effect_is_looked_up_first(error: ClientError | BotoCoreError):
    assert (_translated(error).retryable, _translated(error).ambiguous) == (True, True)


@pytest.mark.parametrize("error", FINAL, ids=lambda error: repr(error)[:60])
def test_what_would_be_refused_again_is_not_tried_again(error: ClientError | BotoCoreError):
    assert (_translated(error).retryable, _translated(error).ambiguous) == (False, False)
