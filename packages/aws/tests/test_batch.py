"""The border to boto3: botocore's own models check every request and answer that passes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ParamValidationError
from botocore.stub import Stubber

from scaler_batch.aws import BatchJobService, JobReport, JobShape, JobSpec, JobStatus, RateSettings, ServiceError
from scaler_batch.aws.requests import submit_request

SPEC = JobSpec("scaler-batch-run-1", JobShape("queue", "definition:3", 900), {"run": "s3://b/r", "pack": "-"}, 1)
DEAD = JobReport("abc", JobStatus.FAILED, log_stream="runner/default/xyz", log_group="/ours")
LOG_REQUEST = {"logGroupName": "/ours", "logStreamName": "runner/default/xyz", "limit": 50, "startFromHead": False}


def session() -> boto3.Session:
    return boto3.Session(aws_access_key_id="key", aws_secret_access_key="secret")


@pytest.fixture(scope="module")
def service() -> Iterator[BatchJobService]:
    service = BatchJobService(session(), "eu-west-1", rate=RateSettings(highest=10_000, submits=10_000))
    yield service
    service.close()


@pytest.fixture
def aws(service: BatchJobService) -> Iterator[Stubber]:
    with Stubber(service._batch.sdk) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def logs(service: BatchJobService) -> Iterator[Stubber]:
    with Stubber(service._logs.sdk) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


async def test_a_job_is_submitted_and_counted(service: BatchJobService, aws: Stubber):
    before = service.calls["SubmitJob"]
    aws.add_response("submit_job", {"jobName": SPEC.name, "jobId": "abc"}, submit_request(SPEC))
    assert await service.submit(SPEC) == "abc"
    assert service.calls["SubmitJob"] == before + 1


async def test_a_call_that_failed_is_counted_too(service: BatchJobService, aws: Stubber):
    before = service.calls["TerminateJob"]
    aws.add_client_error("terminate_job", "ServerException", http_status_code=500)
    with pytest.raises(ServiceError):
        await service.terminate("abc", "cancelled")
    assert service.calls["TerminateJob"] == before + 1


def test_nothing_is_tried_twice_in_here(service: BatchJobService):
    for client in (service._batch.sdk, service._logs.sdk):
        assert client.meta.config.retries["total_max_attempts"] == 1


async def test_a_throttled_call_slows_all_calls_down():
    service = BatchJobService(session(), "eu-west-1")
    try:
        with Stubber(service._batch.sdk) as aws:
            aws.add_client_error("list_jobs", "TooManyRequestsException", http_status_code=429)
            aws.add_client_error("describe_jobs", "ServerException", http_status_code=500)
            with pytest.raises(ServiceError) as caught:
                await service.find("run-1", "queue")
            assert (caught.value.retryable, caught.value.code) == (True, "TooManyRequestsException")
            assert service._batch.limiter.rate == RateSettings().highest / 2
            with pytest.raises(ServiceError):
                await service.describe(["abc"])
            assert service._batch.limiter.rate == RateSettings().highest / 2, "another error is no reason to slow down"
    finally:
        service.close()


async def test_a_job_is_found_by_its_exact_name_however_many_pages_that_takes(service: BatchJobService, aws: Stubber):
    request: dict[str, Any] = {"jobQueue": "queue", "filters": [{"name": "JOB_NAME", "values": ["Run-1"]}]}
    other = {"jobId": "other", "jobName": "run-1"}
    aws.add_response("list_jobs", {"jobSummaryList": [other], "nextToken": "1"}, request)
    aws.add_response("list_jobs", {"jobSummaryList": [], "nextToken": "2"}, {**request, "nextToken": "1"})
    found = {"jobId": "abc", "jobName": "Run-1"}
    aws.add_response("list_jobs", {"jobSummaryList": [found]}, {**request, "nextToken": "2"})
    assert await service.find("Run-1", "queue") == "abc"


async def test_a_job_that_is_not_there_is_not_found(service: BatchJobService, aws: Stubber):
    aws.add_response("list_jobs", {"jobSummaryList": []})
    assert await service.find("run-1", "queue") is None


async def test_jobs_are_described_a_hundred_a_call(service: BatchJobService, aws: Stubber):
    ids = [f"job-{number}" for number in range(250)]
    for start in (0, 100, 200):
        chunk = ids[start : start + 100]
        aws.add_response("describe_jobs", {"jobs": [detail(job_id) for job_id in chunk[:-1]]}, {"jobs": chunk})
    reports = await service.describe(ids)
    assert len(reports) == 247
    assert "job-99" not in reports, "what Batch does not know is left out"
    assert reports["job-3"].status is JobStatus.RUNNING


async def test_describing_nothing_calls_nobody(service: BatchJobService, aws: Stubber):
    assert await service.describe([]) == {}


async def test_failed_children_are_listed_page_by_page(service: BatchJobService, aws: Stubber):
    request = {"arrayJobId": "abc", "jobStatus": "FAILED", "maxResults": 1000}
    first = {"jobSummaryList": [child(3), child(4)], "nextToken": "more"}
    aws.add_response("list_jobs", first, request)
    aws.add_response("list_jobs", {"jobSummaryList": [child(9)]}, {**request, "nextToken": "more"})
    children = await service.failed_children("abc")
    assert [(report.job_id, report.index) for report in children] == [("abc:3", 3), ("abc:4", 4), ("abc:9", 9)]
    assert children[0].exit_code == 137
    assert children[0].reason == "OutOfMemoryError"


async def test_a_job_is_ended_with_a_reason(service: BatchJobService, aws: Stubber):
    aws.add_response("terminate_job", {}, {"jobId": "abc:1", "reason": "cancelled"})
    await service.terminate("abc:1", "cancelled")


async def test_errors_leave_as_our_own_with_their_cause(service: BatchJobService, aws: Stubber):
    aws.add_client_error("submit_job", "ClientException", "queue is disabled", http_status_code=400)
    with pytest.raises(ServiceError, match="queue is disabled") as caught:
        await service.submit(SPEC)
    assert isinstance(caught.value.__cause__, ClientError)
    assert not caught.value.retryable


async def test_a_request_that_boto3_refuses_was_never_sent(service: BatchJobService):
    with pytest.raises(ServiceError) as caught:
        await service.submit(JobSpec(None, SPEC.shape, {}, 1))  # type: ignore[arg-type]
    assert isinstance(caught.value.__cause__, ParamValidationError)
    assert (caught.value.retryable, caught.value.ambiguous) == (False, False)


async def test_jobs_that_are_not_over_are_found_by_the_beginning_of_their_names(service: BatchJobService, aws: Stubber):
    request: dict[str, Any] = {"jobQueue": "queue", "filters": [{"name": "JOB_NAME", "values": ["Run-*"]}]}
    first = [named("1", "Run-1", "RUNNABLE"), named("2", "run-2", "RUNNING"), named("3", "Run-3", "SUCCEEDED")]
    second = [named("4", "Run-4", "PENDING"), named("5", "Run-5", "FAILED")]
    aws.add_response("list_jobs", {"jobSummaryList": first, "nextToken": "1"}, request)
    aws.add_response("list_jobs", {"jobSummaryList": second}, {**request, "nextToken": "1"})
    assert await service.named("Run-", "queue") == ["1", "4"]


async def test_many_jobs_are_ended_fifty_a_call(service: BatchJobService, aws: Stubber):
    ids = [f"job-{number}" for number in range(120)]
    for start in (0, 50, 100):
        chunk = ids[start : start + 50]
        failed = [{"job": chunk[3], "code": "ServerException", "message": "not now"}]
        aws.add_response(
            "terminate_jobs",
            {"successful": chunk[4:], "errors": failed if start else []},
            {"jobs": chunk, "reason": "cancelled"},
        )
    assert await service.terminate_many(ids, "cancelled") == ["job-53", "job-103"]


async def test_ending_nothing_calls_nobody(service: BatchJobService, aws: Stubber):
    assert await service.terminate_many([], "cancelled") == []


async def test_what_aws_failed_to_hear_of_is_left(service: BatchJobService, aws: Stubber):
    ids = [f"job-{number}" for number in range(120)]
    aws.add_response("terminate_jobs", {"successful": ids[:50], "errors": []})
    aws.add_client_error("terminate_jobs", "TooManyRequestsException", http_status_code=429)
    assert await service.terminate_many(ids, "cancelled") == ids[50:]


async def test_a_failure_from_the_start_is_raised(service: BatchJobService, aws: Stubber):
    aws.add_client_error("terminate_jobs", "ServerException", http_status_code=500)
    with pytest.raises(ServiceError):
        await service.terminate_many(["abc", "def"], "cancelled")


@pytest.mark.parametrize("code", ["ThrottlingException", "TooManyRequestsException", "ServerException"])
async def test_a_job_that_was_not_ended_because_aws_throttled_or_failed_is_tried_again(code: str):
    service = BatchJobService(session(), "eu-west-1")
    try:
        with Stubber(service._batch.sdk) as aws:
            errors = [{"job": "b", "code": code, "message": "rate exceeded"}]
            aws.add_response("terminate_jobs", {"successful": ["a"], "errors": errors})
            assert await service.terminate_many(["a", "b"], "cancelled") == ["b"]
        throttled = code != "ServerException"
        assert service._batch.limiter.rate == RateSettings().highest / (2 if throttled else 1)
    finally:
        service.close()


async def test_a_job_that_aws_refuses_to_end_is_logged_and_not_tried_again(
    service: BatchJobService, aws: Stubber, caplog: pytest.LogCaptureFixture
):
    errors = [{"job": "b", "code": "ClientException", "message": "no such job"}]
    aws.add_response("terminate_jobs", {"successful": ["a"], "errors": errors})
    assert await service.terminate_many(["a", "b"], "cancelled") == []
    assert "AWS Batch refuses to end job b: ClientException: no such job" in caplog.text


async def test_a_refused_bulk_call_is_made_singly_and_the_next_one_in_bulk_again(
    service: BatchJobService, aws: Stubber
):
    aws.add_client_error("terminate_jobs", "ClientException", "abc is no job", http_status_code=400)
    aws.add_client_error("terminate_job", "ClientException", "abc is no job", http_status_code=400)
    aws.add_response("terminate_job", {}, {"jobId": "def", "reason": "cancelled"})
    assert await service.terminate_many(["abc", "def"], "cancelled") == []
    aws.add_response("terminate_jobs", {"successful": ["def"], "errors": []})
    assert await service.terminate_many(["def"], "cancelled") == []


@pytest.mark.parametrize("code", ["AccessDeniedException", "UnknownOperationException"])
async def test_where_there_is_no_bulk_call_jobs_are_ended_singly_from_then_on(code: str):
    service = BatchJobService(session(), "eu-west-1")
    try:
        with Stubber(service._batch.sdk) as aws:
            aws.add_client_error("terminate_jobs", code, http_status_code=403)
            for _ in range(4):
                aws.add_response("terminate_job", {})
            assert await service.terminate_many(["a", "b"], "cancelled") == []
            assert await service.terminate_many(["c", "d"], "cancelled") == []
            assert service.calls == {"TerminateJobs": 1, "TerminateJob": 4}
    finally:
        service.close()


async def test_with_a_boto3_that_does_not_know_the_bulk_call_jobs_are_ended_singly(
    service: BatchJobService, aws: Stubber, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(service, "_has_bulk", False)
    aws.add_response("terminate_job", {}, {"jobId": "a", "reason": "cancelled"})
    aws.add_client_error("terminate_job", "TooManyRequestsException", http_status_code=429)
    with pytest.raises(ServiceError):
        await service.terminate_many(["a", "b"], "cancelled")


async def test_the_end_of_a_log_is_read(service: BatchJobService, logs: Stubber):
    events = [{"message": "Traceback:\n"}, {"message": "  boom"}]
    logs.add_response("get_log_events", {"events": events, "nextBackwardToken": "b/1"}, {**LOG_REQUEST, "limit": 2})
    assert await service.tail(DEAD, 2) == ("Traceback:", "  boom")


async def test_an_empty_page_may_have_lines_before_it(service: BatchJobService, logs: Stubber):
    logs.add_response("get_log_events", {"events": [], "nextBackwardToken": "b/1"})
    request = {**LOG_REQUEST, "nextToken": "b/1"}
    logs.add_response("get_log_events", {"events": [{"message": "boom"}], "nextBackwardToken": "b/2"}, request)
    assert await service.tail(DEAD, 50) == ("boom",)


async def test_an_empty_log_is_left_alone(service: BatchJobService, logs: Stubber):
    for token in ("b/1", "b/1"):
        logs.add_response("get_log_events", {"events": [], "nextBackwardToken": token})
    assert await service.tail(DEAD, 50) == ()
    for token in ("b/1", "b/2", "b/3"):
        logs.add_response("get_log_events", {"events": [], "nextBackwardToken": token})
    assert await service.tail(DEAD, 50) == ()


@pytest.mark.parametrize(
    ("code", "status"),
    [("ResourceNotFoundException", 400), ("AccessDeniedException", 400), ("ThrottlingException", 400)],
)
async def test_a_log_that_cannot_be_read_is_no_failure(service: BatchJobService, logs: Stubber, code: str, status: int):
    logs.add_client_error("get_log_events", code, http_status_code=status)
    assert await service.tail(DEAD, 50) == ()


async def test_a_job_that_has_not_run_has_no_log_to_ask_for(service: BatchJobService, logs: Stubber):
    assert await service.tail(JobReport("abc", JobStatus.FAILED), 50) == ()


LOG = {"logGroupName": "/ours", "logStreamName": "s", "startFromHead": True}


async def test_new_lines_of_a_log_are_read_from_a_place_on(service: BatchJobService, logs: Stubber):
    events = [{"message": "one\n"}, {"message": "two"}]
    logs.add_response("get_log_events", {"events": events, "nextForwardToken": "f/1"}, LOG)
    assert await service.logs.read("/ours", "s", None) == (["one", "two"], "f/1")
    logs.add_client_error("get_log_events", "ResourceNotFoundException", http_status_code=400)
    assert await service.logs.read("/ours", "s", "f/1") == ([], "f/1")


async def test_a_state_that_nobody_knows_concerns_its_own_job(service: BatchJobService, aws: Stubber):
    jobs = [{**detail("new"), "status": "HIBERNATING"}, detail("old")]
    aws.add_response("describe_jobs", {"jobs": jobs})
    reports = await service.describe(["new", "old"])
    assert (reports["new"].status, reports["old"].status) == (JobStatus.UNKNOWN, JobStatus.RUNNING)
    listed = [named("1", "run-1", "HIBERNATING"), named("2", "run-2", "FAILED")]
    aws.add_response("list_jobs", {"jobSummaryList": listed})
    assert await service.named("run-", "queue") == ["1"], "it may still run"


class Answered:
    status_code = 200


async def test_an_answer_without_what_it_should_hold_is_no_other_error():
    service = BatchJobService(session(), "eu-west-1")
    service._batch.sdk.meta.events.register("before-call", lambda **_: (Answered(), {}))
    assert await service.describe(["a"]) == {}
    assert await service.failed_children("a") == []
    assert await service.find("a", "queue") is None
    assert await service.terminate_many(["a", "b"], "cancelled") == []
    with pytest.raises(ServiceError) as caught:
        await service.submit(SPEC)
    assert caught.value.ambiguous, "it was taken under some id, as far as anybody knows"
    service.close()


async def test_a_closed_service_says_so_and_does_not_wait_for_credentials():
    service = BatchJobService(session(), "eu-west-1")
    service.close()
    with pytest.raises(ServiceError, match="closed") as caught:
        await service.describe(["a"])
    assert (caught.value.retryable, caught.value.awaits_credentials) == (False, False)


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


def named(job_id: str, name: str, status: str) -> dict[str, Any]:
    return {"jobId": job_id, "jobName": name, "status": status}
