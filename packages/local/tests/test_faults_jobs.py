"""Faults on a job's way to its container, and errors for single jobs in bulk operations, on a running server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from scaler_batch.local import LocalAWS
from scaler_batch.local.batch.texts import START_ERRORS, STUCK
from scaler_batch.local.faults import BulkError, FailStart, HoldRunnable

RETRY_PULLS = [{"onReason": "CannotPull*", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}]


@pytest.fixture(autouse=True)
def no_faults_left(aws: LocalAWS) -> Iterator[None]:
    yield
    aws.remove_faults()


# Jobs that stay RUNNABLE


def test_a_job_is_held_runnable_with_a_reason_until_the_fault_has_passed(
    aws: LocalAWS, account: Any, until: Callable[..., Any]
) -> None:
    aws.inject(HoldRunnable(jobs="scaling", span=1.0))
    job_id = account.submit("true", jobName="scaling")
    job = account.describe(job_id)
    assert job["status"] == "RUNNABLE"
    assert job["statusReason"] == STUCK["MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"]
    assert account.submit("true", jobName="scaling")
    listed = account.batch.list_jobs(jobQueue="queue", jobStatus="RUNNABLE")["jobSummaryList"]
    assert {each["statusReason"] for each in listed} == {job["statusReason"]}
    assert account.wait(job_id)["status"] == "SUCCEEDED"


def test_a_job_is_held_for_ever_unless_the_fault_is_taken_back(aws: LocalAWS, account: Any) -> None:
    [number] = aws.inject(HoldRunnable(jobs="stuck", reason="CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"))
    stuck, other = account.submit("true", jobName="stuck"), account.submit("true")
    assert account.wait(other)["status"] == "SUCCEEDED"
    job = account.describe(stuck)
    assert (job["status"], job["statusReason"].partition(" - ")[0]) == (
        "RUNNABLE",
        "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
    )
    aws.remove_faults(number)
    job = account.wait(stuck)
    assert (job["status"], job["statusReason"]) == ("SUCCEEDED", "Essential container in task exited")


def test_a_held_job_may_show_any_reason_or_none(aws: LocalAWS, account: Any) -> None:
    aws.inject(HoldRunnable(jobs="silent", reason=""), HoldRunnable(jobs="odd", reason="ODD:THING - of our own"))
    silent, odd = account.submit("true", jobName="silent"), account.submit("true", jobName="odd")
    assert "statusReason" not in account.describe(silent)
    assert account.describe(odd)["statusReason"] == "ODD:THING - of our own"


def test_jobs_that_wait_already_are_held_when_the_fault_begins(aws: LocalAWS, account: Any, until: Any) -> None:
    fillers = [account.submit("sleep", "60", jobName="filler") for _ in range(4)]
    for filler in fillers:
        account.wait(filler, "RUNNING")
    job_id = account.submit("true", jobName="waiting")
    aws.inject(HoldRunnable(jobs="waiting", after=0.1))
    until(lambda: account.describe(job_id), lambda job: job.get("statusReason", "").startswith("MISCONFIGURATION:"))
    for filler in fillers:
        account.batch.terminate_job(jobId=filler, reason="make room")
        account.wait(filler)
    assert account.describe(job_id)["status"] == "RUNNABLE"


def test_a_held_job_can_be_terminated(aws: LocalAWS, account: Any) -> None:
    aws.inject(HoldRunnable(jobs="ended"))
    job_id = account.submit("true", jobName="ended")
    account.batch.terminate_job(jobId=job_id, reason="enough")
    job = account.wait(job_id)
    assert (job["status"], job["statusReason"], job["attempts"]) == ("FAILED", "enough", [])


# Containers that cannot be started


@pytest.mark.parametrize("error", START_ERRORS)
def test_an_attempt_ends_with_an_error_of_the_agent(aws: LocalAWS, account: Any, error: str) -> None:
    aws.inject(FailStart(jobs="broken", error=error))
    job = account.run("true", jobName="broken")
    [attempt] = job["attempts"]
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    assert job["container"]["reason"] == attempt["container"]["reason"] == f"{error}: {START_ERRORS[error]}"
    assert "exitCode" not in job["container"]
    assert "startedAt" not in attempt
    assert "logStreamName" not in attempt["container"]


@pytest.mark.parametrize(
    ("error", "status", "attempts"),
    [("CannotPullImageManifestError", "SUCCEEDED", 3), ("CannotCreateContainerError", "FAILED", 1)],
)
def test_evaluate_on_exit_sees_the_error(aws: LocalAWS, account: Any, error: str, status: str, attempts: int) -> None:
    aws.inject(FailStart(jobs="retried", error=error, count=2))
    job = account.run("true", jobName="retried", retryStrategy={"attempts": 5, "evaluateOnExit": RETRY_PULLS})
    assert (job["status"], len(job["attempts"])) == (status, attempts)


def test_on_fargate_the_error_is_the_status_reason(aws: LocalAWS, account: Any) -> None:
    aws.inject(FailStart(jobs="fargate", error="ResourceInitializationError", message="no route", fargate=True))
    job = account.run("true", jobName="fargate")
    assert (job["statusReason"], job["container"].get("reason")) == ("ResourceInitializationError: no route", None)


def test_a_command_may_have_run_when_its_container_cannot_be_inspected(aws: LocalAWS, account: Any) -> None:
    aws.inject(FailStart(jobs="inspected", error="CannotInspectContainerError", ran=True))
    job = account.run("echo", "done", jobName="inspected")
    assert (job["status"], job["statusReason"]) == ("FAILED", "Essential container in task exited")
    assert job["container"]["reason"].startswith("CannotInspectContainerError: ")
    assert "exitCode" not in job["container"]
    assert account.lines(job) == ["done"]


# Errors for single jobs


def end(account: Any, ids: list[str], operation: str = "terminate_jobs") -> tuple[list[str], dict[str, str]]:
    answer = getattr(account.batch, operation)(jobs=ids, reason="test")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    return answer["successful"], {each["job"]: each["code"] for each in answer["errors"]}


def test_single_jobs_are_throttled_in_terminate_jobs_for_so_many_tries(aws: LocalAWS, account: Any) -> None:
    aws.inject(HoldRunnable(), BulkError(jobs="slow", tries=2))
    slow, quick = account.submit("true", jobName="slow"), account.submit("true", jobName="quick")
    assert end(account, [slow, quick]) == ([quick], {slow: "ThrottlingException"})
    assert (account.describe(slow)["status"], account.describe(quick)["status"]) == ("RUNNABLE", "FAILED")
    assert end(account, [slow]) == ([], {slow: "ThrottlingException"})
    assert end(account, [slow]) == ([slow], {})
    assert account.describe(slow)["status"] == "FAILED"


def test_a_share_of_the_jobs_fails_in_cancel_jobs(aws: LocalAWS, account: Any) -> None:
    aws.inject(HoldRunnable(), BulkError(calls="batch.CancelJobs", code="ServerException", share=0.5), seed=3)
    definition = account.define("true")
    ids = [account.submit(definition=definition) for _ in range(20)]
    done, errors = end(account, ids, "cancel_jobs")
    assert sorted([*done, *errors]) == sorted(ids)
    assert 0 < len(errors) < 20
    assert set(errors.values()) == {"ServerException"}
    assert end(account, list(errors))[1] == {}


def test_an_error_for_a_job_may_come_although_it_was_ended(aws: LocalAWS, account: Any) -> None:
    aws.inject(HoldRunnable(), BulkError(code="ServerException", done=True))
    job_id = account.submit("true")
    assert end(account, [job_id]) == ([], {job_id: "ServerException"})
    assert account.describe(job_id)["status"] == "FAILED"
