"""Why jobs wait or die, by what AWS says of them."""

from __future__ import annotations

import pytest

from scaler_batch.aws import (
    FAILURES,
    OTHER_FAILURE,
    FailureKind,
    FailurePattern,
    JobReport,
    JobStatus,
    blocking_failure,
    failure_of,
    retry_rules,
)
from scaler_batch.payload.contract import ExitCode

EXITED = "Essential container in task exited"
NOT_STARTED = "Task failed to start"

PULL_ERRORS = [
    "CannotPullContainerError",
    "CannotPullImageManifestError",
    "CannotPullECRContainerError",
    "CannotPullContainerAuthError",
]
BLOCKED = [
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - no",
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - no",
    "MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS - no",
    "MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED - no",
    "MISCONFIGURATION:SOMETHING_NEW - no",
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - no",
    "CAPACITY:SOMETHING_NEW",
    "ACTION_REQUIRED - no",
    "UNDETERMINED - no",
]


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
    (report(EXITED, "OutOfMemoryError: Container killed due to memory usage", 137), FailureKind.OUT_OF_MEMORY),
    (report(EXITED, "", 137), FailureKind.INTERRUPTED),
    (report("Job attempt duration exceeded timeout", "", 143), FailureKind.TIMEOUT),
    (report("Job attempt duration exceeded timeout", "", 137), FailureKind.TIMEOUT),
    (report("Host EC2 (instance i-0123456789abcdef0) terminated."), FailureKind.HOST_LOST),
    (report("Host EC2 (instance i-0123456789abcdef0) terminated.", "", 143), FailureKind.HOST_LOST),
    (report(NOT_STARTED, "CannotPullContainerError: pull access denied for image"), FailureKind.IMAGE_PULL),
    (
        report(NOT_STARTED, "CannotStartContainerError: exec: python: not found"),
        FailureKind.CONTAINER_START,
    ),
    (report(NOT_STARTED, "CannotCreateContainerError: no space left on device"), FailureKind.CONTAINER_START),
    (report(NOT_STARTED, "ResourceInitializationError: unable to pull secrets"), FailureKind.CONTAINER_START),
    (report("ResourceInitializationError: unable to pull secrets or registry auth"), FailureKind.CONTAINER_START),
    (report("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - All compute environments …"), FailureKind.UNSCHEDULABLE),
    (report("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"), FailureKind.UNSCHEDULABLE),
    (
        report(
            "Canceled by JobStateTimeLimit action due to reason: CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
            terminated=True,
        ),
        FailureKind.UNSCHEDULABLE,
    ),
    (report("Container Overrides length must be at most 8192"), FailureKind.OVERRIDES_TOO_LARGE),
    (report("too dear", "", 143, terminated=True), FailureKind.INTERRUPTED),
    (report("never mind", terminated=True), FailureKind.INTERRUPTED),
    (report(EXITED, "", 143), FailureKind.INTERRUPTED),
    *((report(NOT_STARTED, f"{name}: no"), FailureKind.IMAGE_PULL) for name in PULL_ERRORS),
    (report(NOT_STARTED, "DockerTimeoutError: could not transition to created"), FailureKind.CONTAINER_START),
    (
        report(NOT_STARTED, "CannotInspectContainerError: could not inspect"),
        FailureKind.CONTAINER_START,
    ),
    (report(NOT_STARTED), FailureKind.CONTAINER_START),
    (report(EXITED, "", 126), FailureKind.CONTAINER_START),
    (report(EXITED, "", 127), FailureKind.CONTAINER_START),
    (report(EXITED, "", 139), FailureKind.CRASHED),
    (report(EXITED, "", 134), FailureKind.CRASHED),
    *((report(reason), FailureKind.UNSCHEDULABLE) for reason in BLOCKED),
    (report("Canceled by JobStateTimeLimit action due to reason: X", terminated=True), FailureKind.UNSCHEDULABLE),
    (report(EXITED, "", 64), FailureKind.ENVIRONMENT_MISMATCH),
    (report(EXITED, "", 65), FailureKind.ENVIRONMENT_MISMATCH),
    (report(EXITED, "", 66), FailureKind.INPUT_MISSING),
    (report(EXITED, "", 76), FailureKind.INPUT_ALTERED),
    (report(EXITED, "", 74), FailureKind.STORAGE),
    (report(EXITED, "", 0, status=JobStatus.SUCCEEDED), FailureKind.OUTCOME_MISSING),
    (report(status=JobStatus.SUCCEEDED), FailureKind.OUTCOME_MISSING),
    (report(EXITED, "", 1), FailureKind.RUNNER_FAILED),
    (report("something new"), FailureKind.OTHER),
    (report("Array Child Job failed"), FailureKind.OTHER),
]


@pytest.mark.parametrize(("seen", "kind"), SEEN)
def test_what_aws_says_names_the_failure(seen: JobReport, kind: FailureKind):
    assert failure_of(seen).kind is kind


def test_every_row_of_the_table_is_reached():
    assert {id(failure_of(seen)) for seen, _ in SEEN} == {id(failure) for failure in (*FAILURES, OTHER_FAILURE)}


def test_every_kind_of_failure_has_its_row():
    assert {failure.kind for failure in (*FAILURES, OTHER_FAILURE)} == set(FailureKind)


@pytest.mark.parametrize("code", list(ExitCode))
def test_every_exit_of_the_runner_has_a_meaning(code: ExitCode):
    assert failure_of(report(exit_code=code.value)).kind is not FailureKind.OTHER


def test_what_is_said_is_a_sentence_and_an_advice():
    for failure in (*FAILURES, OTHER_FAILURE):
        assert failure.advice[-1] in ".?"
        assert failure.headline[-1].isalnum()
        assert "\n" not in failure.headline + failure.advice


@pytest.mark.parametrize(
    "name", [*PULL_ERRORS, "DockerTimeoutError", "CannotInspectContainerError", "Host EC2 (instance i-0) terminated."]
)
def test_what_passes_gets_another_attempt(name: str):
    rules = [rule for rule in retry_rules() if rule["action"] == "RETRY"]
    patterns = [rule.get("onReason") or rule.get("onStatusReason") or "" for rule in rules]
    assert any(name.startswith(pattern.removesuffix("*")) for pattern in patterns)


@pytest.mark.parametrize("name", ["CannotStartContainerError", "ResourceInitializationError", "OutOfMemoryError"])
def test_what_does_not_pass_gets_no_other_attempt(name: str):
    assert not failure_of(report(NOT_STARTED, name)).retried


def test_only_what_aws_can_match_is_retried():
    for failure in FAILURES:
        for pattern in failure.patterns if failure.retried else ():
            assert (pattern.status_reason is None) != (pattern.reason is None)
            assert (pattern.exit_code, pattern.terminated, pattern.status) == (None, None, None)


@pytest.mark.parametrize("reason", BLOCKED)
def test_what_keeps_a_job_from_starting_is_known(reason: str):
    assert (failure := blocking_failure(reason)) is not None
    assert failure.kind is FailureKind.UNSCHEDULABLE


@pytest.mark.parametrize("reason", ["", "something new", "Host EC2 (instance i-0) terminated."])
def test_what_does_not_keep_a_job_from_starting_is_no_obstacle(reason: str):
    assert blocking_failure(reason) is None


def test_two_reasons_alone_may_last_until_somebody_changes_something():
    lasting = {pattern.status_reason for failure in FAILURES if failure.permanent for pattern in failure.patterns}
    assert lasting == {
        "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE*",
        "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT*",
    }


def test_a_pattern_without_an_asterisk_is_the_whole_text():
    assert FailurePattern(reason="so").matches(report(reason="so"))
    assert not FailurePattern(reason="so").matches(report(reason="so what"))
    assert not FailurePattern(reason="so*").matches(report(reason="also"))


def test_all_that_a_pattern_states_has_to_match():
    pattern = FailurePattern(reason="so*", exit_code=1)
    assert pattern.matches(report(reason="so what", exit_code=1))
    assert not pattern.matches(report(reason="so what", exit_code=2))
    assert not pattern.matches(report(reason="what", exit_code=1))
