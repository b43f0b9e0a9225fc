"""What a user reads of a dead job: what happened, and what to do."""

from __future__ import annotations

import pytest

from scaler_batch.payload.contract import ExitCode
from scaler_batch.tasks.errors import JobFailedError, JobLostError, TaskFailedError
from scaler_batch.tasks.failures import job_failed, job_lost
from scaler_batch.tasks.vocabulary import JobReport, JobStatus


def test_all_that_aws_says_is_passed_on():
    error = job_failed(
        JobReport(
            "job-1",
            JobStatus.FAILED,
            attempt=2,
            exit_code=137,
            reason="OutOfMemoryError: Container killed due to memory usage",
            status_reason="Essential container in task exited",
            log_stream="runner/default/abc",
        )
    )
    assert str(error) == (
        "AWS Batch job failed: Essential container in task exited; "
        "OutOfMemoryError: Container killed due to memory usage"
        " | exit code 137: it was killed, most often for using more memory than the job definition allows"
        " | job job-1, attempt 2 | log stream runner/default/abc"
    )
    assert (error.job_id, error.attempt, error.exit_code) == ("job-1", 2, 137)
    assert error.reason.startswith("Essential container")


def test_what_aws_leaves_out_is_not_made_up():
    text = str(job_failed(JobReport("job-1:3", JobStatus.FAILED)))
    assert text == "AWS Batch job failed: AWS Batch says FAILED and nothing else | job job-1:3"


@pytest.mark.parametrize("code", list(ExitCode))
def test_every_exit_of_the_runner_is_explained(code: ExitCode):
    text = str(job_failed(JobReport("job-1", JobStatus.FAILED, exit_code=code.value)))
    assert f"exit code {code.value}: " in text


def test_an_unknown_exit_code_is_shown_without_a_guess():
    assert "| exit code 3 |" in str(job_failed(JobReport("job-1", JobStatus.FAILED, exit_code=3)))


def test_a_lost_job_is_a_failed_one_and_says_what_to_do():
    error = job_lost("job-9")
    assert isinstance(error, JobLostError)
    assert isinstance(error, JobFailedError)
    assert isinstance(error, TaskFailedError)
    assert "job-9" in str(error)
    assert "Submit the task again" in str(error)
