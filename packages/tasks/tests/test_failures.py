"""What a user reads of a dead job: what happened, and what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scaler_batch.aws import FailureKind, JobReport, JobStatus
from scaler_batch.payload.contract import ExitCode
from scaler_batch.tasks import errors
from scaler_batch.tasks.errors import (
    JobFailedError,
    JobLostError,
    JobOutOfMemoryError,
    TaskFailedError,
    UnschedulableError,
)
from scaler_batch.tasks.failures import ERRORS, LOG_LINE, LOG_LINES, job_failed, job_lost, unschedulable

KILLED = JobReport(
    "job-1:7",
    JobStatus.FAILED,
    index=7,
    attempt=2,
    exit_code=137,
    reason="OutOfMemoryError: Container killed due to memory usage",
    status_reason="Essential container in task exited",
    log_stream="runner/default/abc",
    log_group="/scaler-batch/jobs",
    log_tail=("reading the table", "joining"),
)


def test_a_user_reads_what_happened_then_the_facts_then_the_log():
    assert str(job_failed(KILLED)) == (
        "AWS Batch job failed: it ran out of memory and was killed. "
        "Give its jobs more memory (scaler-batch-provision provision --memory), or let the task use less.\n"
        "job: job-1:7\n"
        "attempt: 2\n"
        "exit code: 137\n"
        "reason: Essential container in task exited; OutOfMemoryError: Container killed due to memory usage\n"
        "log: runner/default/abc in /scaler-batch/jobs\n"
        "\n"
        "Last lines of the log:\n"
        "reading the table\n"
        "joining"
    )


def test_the_facts_are_fields_too():
    error = job_failed(KILLED)
    assert isinstance(error, JobOutOfMemoryError)
    assert (error.job_id, error.attempt, error.exit_code) == ("job-1:7", 2, 137)
    assert error.reason == "Essential container in task exited; OutOfMemoryError: Container killed due to memory usage"
    assert error.log_tail == ("reading the table", "joining")


def test_what_aws_leaves_out_is_not_made_up():
    error = job_failed(JobReport("job-1:3", JobStatus.FAILED))
    assert type(error) is JobFailedError
    first, *facts = str(error).splitlines()
    assert first.startswith("AWS Batch job failed: it ended without an outcome.")
    assert facts == ["job: job-1:3", "reason: AWS Batch says FAILED and nothing else"]


def test_an_unknown_exit_code_is_shown_without_a_guess():
    error = job_failed(JobReport("job-1", JobStatus.FAILED, exit_code=3))
    assert type(error) is JobFailedError
    assert "\nexit code: 3\n" in str(error)


@pytest.mark.parametrize("code", list(ExitCode))
def test_every_exit_of_the_runner_has_a_name(code: ExitCode):
    assert type(job_failed(JobReport("job-1", JobStatus.FAILED, exit_code=code.value))) is not JobFailedError


def test_every_kind_of_failure_has_one_class_and_every_class_its_kind():
    assert set(ERRORS) == set(FailureKind)
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, JobFailedError)]
    assert set(ERRORS.values()) | {JobLostError} == set(kinds)


def test_a_log_is_cut_at_both_ends():
    error = job_failed(replace(KILLED, log_tail=tuple(f"{number} {'x' * 5000}" for number in range(200))))
    assert len(error.log_tail) == LOG_LINES
    assert error.log_tail[-1].startswith("199 x")
    assert {len(line) for line in error.log_tail} == {LOG_LINE}
    assert len(str(error)) < LOG_LINES * (LOG_LINE + 1) + 1000


def test_a_lost_job_is_a_failed_one_and_says_what_to_do():
    error = job_lost("job-9")
    assert isinstance(error, JobLostError)
    assert "Submit the task again" in str(error)
    assert "\njob: job-9\n" in str(error)
    assert error.reason == "AWS Batch does not know it any more"


def test_a_failure_without_a_job_says_so_by_its_fields():
    error = TaskFailedError("no")
    assert (error.job_id, error.attempt, error.exit_code, error.reason, error.log_tail) == ("", 0, None, "", ())


WAITING = JobReport("job-1", JobStatus.RUNNABLE)


@pytest.mark.parametrize("what", ["COMPUTE_ENVIRONMENT_MAX_RESOURCE", "JOB_RESOURCE_REQUIREMENT"])
def test_a_job_that_is_given_up_while_it_waits_says_why(what: str):
    report = replace(WAITING, status_reason=f"MISCONFIGURATION:{what} - because")
    error = unschedulable(report)
    assert isinstance(error, UnschedulableError)
    assert error.reason == report.status_reason
