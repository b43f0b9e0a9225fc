"""Jobs as AWS shows them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.aws import JobReport, JobStatus
from scaler_batch.aws.models import read_report, read_reports


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
    assert read_report(job) == JobReport(
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
    assert read_report({**detail("abc"), "container": {"logConfiguration": configuration}}).log_group == group


@pytest.mark.parametrize("word", ["isTerminated", "isCancelled"])
def test_it_is_noted_that_somebody_ended_a_job(word: str):
    assert read_report({**detail("abc"), word: True}).terminated
    assert not read_report({**detail("abc"), word: False}).terminated


def test_a_parent_is_read_with_its_failed_children():
    job = {**detail("abc"), "status": "PENDING", "arrayProperties": {"size": 5, "statusSummary": {"FAILED": 2}}}
    assert read_report(job) == JobReport("abc", JobStatus.PENDING, failed_children=2)


def test_a_job_that_has_not_started_has_nothing_to_tell():
    assert read_report({"jobId": "abc", "status": "RUNNABLE"}) == JobReport("abc", JobStatus.RUNNABLE)


@pytest.mark.parametrize("status", list(JobStatus))
def test_only_two_states_are_final(status: JobStatus):
    assert status.is_final == (status in ("SUCCEEDED", "FAILED"))


def test_a_state_that_nobody_knows_is_told_of_once_and_the_other_jobs_are_read(caplog: pytest.LogCaptureFixture):
    jobs = [
        {"jobId": "new", "status": "HIBERNATED"},
        {"jobId": "newer", "status": "HIBERNATED"},
        {"jobId": "old", "status": "RUNNING"},
    ]
    reports = read_reports(jobs)
    assert [report.status for report in reports.values()] == [
        JobStatus.UNKNOWN,
        JobStatus.UNKNOWN,
        JobStatus.RUNNING,
    ]
    assert not reports["new"].status.is_final
    assert caplog.text.count("HIBERNATED") == 1


@pytest.mark.parametrize("odd", [{}, {"status": None}, {"status": "RUNNING", "container": 5}, {"attempts": 7}])
def test_a_job_that_cannot_be_read_concerns_itself_only(odd: dict[str, Any]):
    reports = read_reports([{"jobId": "odd", **odd}, {"status": "RUNNING"}, {"jobId": "sane", "status": "RUNNABLE"}])
    assert reports["odd"] == JobReport("odd", JobStatus.UNKNOWN)
    assert reports["sane"].status is JobStatus.RUNNABLE


_PLAIN = st.sampled_from([None, True, 7, "x", "", [], {}])
_JSON = _PLAIN | st.lists(_PLAIN, max_size=2) | st.dictionaries(st.sampled_from(["options", "size"]), _PLAIN)


@given(
    st.dictionaries(
        st.sampled_from(
            ["status", "arrayProperties", "container", "attempts", "statusReason", "isTerminated", "isCancelled"]
        ),
        _JSON,
    )
)
def test_whatever_an_answer_holds_a_report_comes_of_it(job: dict[str, Any]):
    assert read_report({"jobId": "abc", **job}).job_id == "abc"


def test_the_log_of_the_last_attempt_that_has_one_is_named():
    job = {"jobId": "abc", "attempts": [{"container": {"logStreamName": "first"}}, {"container": {}}]}
    assert read_report(job).log_stream == "first"
