"""Why jobs die, by what AWS says of them."""

from __future__ import annotations

import pytest

from scaler_batch.tasks import errors
from scaler_batch.tasks.causes import CAUSES, UNNAMED, Sign, cause_of
from scaler_batch.tasks.errors import (
    ContainerStartError,
    EnvironmentMismatchError,
    ImagePullError,
    InterruptedJobError,
    JobFailedError,
    JobInputMissingError,
    JobLostError,
    JobOutOfMemoryError,
    JobStorageError,
    JobTimeoutError,
    OutcomeMissingError,
    OverridesTooLargeError,
    SpotReclaimedError,
    UnschedulableError,
)
from scaler_batch.tasks.vocabulary import JobReport, JobStatus

EXITED = "Essential container in task exited"
NOT_STARTED = "Task failed to start"


def report(
    status_reason: str = "",
    reason: str = "",
    exit_code: int | None = None,
    *,
    terminated: bool = False,
    status: JobStatus = JobStatus.FAILED,
) -> JobReport:
    return JobReport(
        "job-1", status, exit_code=exit_code, reason=reason, status_reason=status_reason, terminated=terminated
    )


SEEN = [
    (report(EXITED, "OutOfMemoryError: Container killed due to memory usage", 137), JobOutOfMemoryError),
    (report(EXITED, "", 137), InterruptedJobError),
    (report("Job attempt duration exceeded timeout", "", 143), JobTimeoutError),
    (report("Job attempt duration exceeded timeout", "", 137), JobTimeoutError),
    (report("Host EC2 (instance i-0123456789abcdef0) terminated."), SpotReclaimedError),
    (report("Host EC2 (instance i-0123456789abcdef0) terminated.", "", 143), SpotReclaimedError),
    (report(NOT_STARTED, "CannotPullContainerError: pull access denied for image"), ImagePullError),
    (report(NOT_STARTED, "CannotStartContainerError: Error response from daemon: not found"), ContainerStartError),
    (report(NOT_STARTED, "CannotCreateContainerError: no space left on device"), ContainerStartError),
    (report(NOT_STARTED, "ResourceInitializationError: unable to pull secrets"), ContainerStartError),
    (report("ResourceInitializationError: unable to pull secrets or registry auth"), ContainerStartError),
    (report("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - All compute environments …"), UnschedulableError),
    (report("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"), UnschedulableError),
    (
        report(
            "Canceled by JobStateTimeLimit action due to reason: CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
            terminated=True,
        ),
        UnschedulableError,
    ),
    (report("Container Overrides length must be at most 8192"), OverridesTooLargeError),
    (report("too dear", "", 143, terminated=True), InterruptedJobError),
    (report("never mind", terminated=True), InterruptedJobError),
    (report(EXITED, "", 143), InterruptedJobError),
    (report(EXITED, "", 64), EnvironmentMismatchError),
    (report(EXITED, "", 65), EnvironmentMismatchError),
    (report(EXITED, "", 66), JobInputMissingError),
    (report(EXITED, "", 74), JobStorageError),
    (report(EXITED, "", 0, status=JobStatus.SUCCEEDED), OutcomeMissingError),
    (report(status=JobStatus.SUCCEEDED), OutcomeMissingError),
    (report(EXITED, "", 1), JobFailedError),
    (report("something new"), JobFailedError),
    (report("Array Child Job failed"), JobFailedError),
]


@pytest.mark.parametrize(("seen", "error"), SEEN)
def test_what_aws_says_names_the_error(seen: JobReport, error: type[JobFailedError]):
    assert cause_of(seen).error is error


def test_every_row_of_the_table_is_reached():
    assert {id(cause_of(seen)) for seen, _ in SEEN} == {id(cause) for cause in (*CAUSES, UNNAMED)}


def test_every_error_of_a_job_has_its_row():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, JobFailedError)]
    assert {cause.error for cause in (*CAUSES, UNNAMED)} | {JobLostError} == set(kinds)


def test_what_is_said_is_a_sentence_and_an_advice():
    for cause in (*CAUSES, UNNAMED):
        assert cause.headline[-1] in ".?"
        assert cause.happened[-1].isalnum()
        assert "\n" not in cause.headline


def test_only_what_aws_can_match_is_retried():
    for cause in CAUSES:
        for sign in cause.signs if cause.retried else ():
            assert (sign.status_reason is None) != (sign.reason is None)
            assert (sign.exit_code, sign.terminated, sign.status) == (None, None, None)


def test_a_pattern_without_an_asterisk_is_the_whole_text():
    assert Sign(reason="so").fits(report(reason="so"))
    assert not Sign(reason="so").fits(report(reason="so what"))
    assert not Sign(reason="so*").fits(report(reason="also"))


def test_all_that_a_sign_states_has_to_fit():
    sign = Sign(reason="so*", exit_code=1)
    assert sign.fits(report(reason="so what", exit_code=1))
    assert not sign.fits(report(reason="so what", exit_code=2))
    assert not sign.fits(report(reason="what", exit_code=1))
