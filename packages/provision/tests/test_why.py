"""Why a job waits, or what it died of."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from scaler_batch.payload.contract import ExitCode
from scaler_batch.provision.doctor import Patient
from scaler_batch.provision.errors import NoJobError, UnreachableError
from scaler_batch.provision.explanation import Around, explain_started, explain_waiting
from scaler_batch.provision.why import explain, look_around

if TYPE_CHECKING:
    from pathlib import Path

    from scaler_batch.provision.explanation import Explanation

JOB = {"jobId": "j", "jobArn": "arn:j", "jobName": "n", "jobQueue": "arn:q", "createdAt": 1_700_000_000_000}
QUEUE = {"jobQueueName": "q", "state": "ENABLED", "status": "VALID"}
ENVIRONMENT = {
    "computeEnvironmentName": "c",
    "state": "ENABLED",
    "status": "VALID",
    "computeResources": {"maxvCpus": 8},
}


def said(explanation: Explanation) -> str:
    return "\n".join([*explanation.story, explanation.fix])


@pytest.mark.parametrize(
    ("job", "around", "words"),
    [
        ({}, Around(QUEUE, (ENVIRONMENT,), place=0), ["first in the queue", "8 vCPUs", "2023-11-14"]),
        ({}, Around(QUEUE, (ENVIRONMENT,), place=7), ["jobs before it in the queue: 7"]),
        ({}, Around({**QUEUE, "state": "DISABLED"}), ["the job queue q is disabled", "provision"]),
        ({}, Around(QUEUE, ({**ENVIRONMENT, "state": "DISABLED"},)), ["compute environment c is disabled"]),
        ({}, Around(QUEUE, ({**ENVIRONMENT, "status": "INVALID", "statusReason": "w"},)), ["c is invalid: w"]),
        ({"statusReason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - x"}, Around(), ["AWS says", "--instance-types"]),
        ({"statusReason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - x"}, Around(), ["--memory"]),
        ({"status": "PENDING", "dependsOn": [{"jobId": "k"}]}, Around(), ["waits for other jobs: k"]),
        ({}, Around(), ["waits for a machine", "doctor"]),
    ],
)
def test_a_job_that_waits(job: dict[str, Any], around: Around, words: list[str]) -> None:
    explanation = explain_waiting({**JOB, "status": "RUNNABLE", **job}, around)
    assert all(word in said(explanation) for word in words), said(explanation)
    assert explanation.fix


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({"container": {"exitCode": 137, "reason": "OutOfMemoryError: killed"}}, ["out of memory", "--memory"]),
        ({"container": {"exitCode": 137}}, ["137", "--memory"]),
        ({"container": {"reason": "CannotPullContainerError: no"}}, ["could not be pulled", "CannotPullContainer"]),
        ({"statusReason": "Host EC2 (instance i-1) terminated."}, ["Spot"]),
        ({"statusReason": "Job attempt duration exceeded timeout"}, ["--job-timeout"]),
        ({"statusReason": "Container Overrides length must be at most 8192"}, ["--inline-limit"]),
        ({"statusReason": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"}, ["--instance-types"]),
        ({"container": {"exitCode": int(ExitCode.BAD_PACK)}}, ["of another Python"]),
        ({"container": {"exitCode": int(ExitCode.STORE_UNAVAILABLE)}}, ["job role"]),
        ({"container": {"exitCode": 42}}, ["nothing more is known"]),
    ],
)
def test_a_job_that_failed(job: dict[str, Any], words: list[str]) -> None:
    explanation = explain_started({**JOB, "status": "FAILED", "stoppedAt": 1_700_000_000_000, **job}, ["last line"])
    assert all(word in said(explanation) for word in words), said(explanation)
    assert explanation.fix
    assert explanation.log == ("last line",)


@pytest.mark.parametrize(
    ("status", "words"),
    [("STARTING", "pulls the image"), ("RUNNING", "it is RUNNING"), ("SUCCEEDED", "tasks are answered")],
)
def test_a_job_that_did_not_fail(status: str, words: str) -> None:
    assert words in said(explain_started({**JOB, "status": status, "startedAt": 1, "stoppedAt": 2}, []))


def test_earlier_attempts_are_told_of() -> None:
    attempts = [{"statusReason": "Host EC2 gone"}, {"container": {"logStreamName": "stream/2"}}]
    explanation = explain_started({**JOB, "status": "FAILED", "attempts": attempts}, [])
    assert "attempt 1: Host EC2 gone" in explanation.story
    assert explanation.log_stream == "/aws/batch/job/stream/2"


@pytest.mark.parametrize("code", [*ExitCode, 1, 126, 127, 137, 139])
def test_every_exit_code_of_the_runner_has_a_meaning(code: int) -> None:
    assert "nothing more is known" not in said(failed({"container": {"exitCode": int(code)}}))


@pytest.mark.parametrize(
    "name",
    [
        "CannotPullImageManifestError",
        "CannotPullECRContainerError",
        "CannotPullContainerAuthError",
        "DockerTimeoutError",
        "CannotCreateContainerError",
        "CannotInspectContainerError",
        "ResourceInitializationError",
    ],
)
def test_every_error_of_the_ecs_agent_has_a_meaning(name: str) -> None:
    assert "nothing more is known" not in said(failed({"container": {"reason": f"{name}: no"}}))


@pytest.mark.parametrize("job", [{}, {"container": {"exitCode": 77}}, {"statusReason": "something else"}])
def test_what_is_not_known_is_not_made_up(job: dict[str, Any]) -> None:
    assert "nothing more is known" in said(failed(job))


def failed(job: dict[str, Any]) -> Explanation:
    return explain_started({**JOB, "status": "FAILED", "stoppedAt": 1_700_000_000_000, **job}, [])


class Batch:
    """AWS Batch and its logs, answering from what it is given; what it is not given it does not know."""

    def __init__(self, *jobs: dict[str, Any], **answers: Any) -> None:
        self.jobs = {job["jobId"]: job for job in jobs}
        self.answers = answers
        self.batch = self.logs = self.ecs = self

    def describe_jobs(self, jobs: list[str]) -> Any:
        return {"jobs": [self.jobs[job] for job in jobs if job in self.jobs]}

    def list_jobs(self, arrayJobId: str, jobStatus: str) -> Any:  # noqa: N803
        found = [one for one in self.jobs.values() if one["jobId"].startswith(f"{arrayJobId}:")]
        return {"jobSummaryList": [one for one in found if one["status"] == jobStatus]}

    def __getattr__(self, operation: str) -> Any:
        if operation not in self.answers:
            raise AttributeError(operation)
        answer = self.answers[operation]

        def answering(**_: Any) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        return answering


REFUSED = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "Whatever")


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A function that asks for a job of such a Batch."""

    def asked(batch: Batch, job: str) -> Explanation:
        monkeypatch.setattr("scaler_batch.provision.why.admit", lambda *_: (batch, None, None))
        return explain(job, Patient(env=tmp_path / "env"), boto3.Session)

    return asked


def test_the_end_of_the_log_comes_along(ask: Any) -> None:
    job = {**JOB, "status": "FAILED", "container": {"logStreamName": "s", "exitCode": 1}}
    events = {"events": [{"message": "one"}, {"message": "two"}]}
    assert ask(Batch(job, get_log_events=events), "j").log == ("one", "two")


def test_a_log_that_cannot_be_read_is_told_of(ask: Any) -> None:
    job = {**JOB, "status": "FAILED", "container": {"logStreamName": "s", "exitCode": 1}}
    assert "could not look at its log" in said(ask(Batch(job, get_log_events=REFUSED), "j"))


def test_an_array_is_told_of_by_its_first_failure(ask: Any) -> None:
    array = {"size": 3, "statusSummary": {"FAILED": 1, "SUCCEEDED": 2, "RUNNING": 0}}
    child = {**JOB, "jobId": "j:1", "status": "FAILED", "container": {"exitCode": 137}}
    explanation = ask(Batch({**JOB, "status": "FAILED", "arrayProperties": array}, child), "j")
    assert "an array of 3 jobs: 1 FAILED, 2 SUCCEEDED" in said(explanation)
    assert "of these, j:1:" in said(explanation)
    assert "--memory" in explanation.fix


def test_an_array_without_failures_is_told_in_numbers(ask: Any) -> None:
    array = {"size": 2, "statusSummary": {"SUCCEEDED": 2}}
    assert ask(Batch({**JOB, "status": "SUCCEEDED", "arrayProperties": array}), "j").story == (
        "an array of 2 jobs: 2 SUCCEEDED",
    )


def test_the_queue_is_looked_at_with_the_place_in_it(ask: Any) -> None:
    batch = Batch(
        {**JOB, "status": "RUNNABLE"},
        describe_job_queues={"jobQueues": [{**QUEUE, "computeEnvironmentOrder": [{"computeEnvironment": "arn:c"}]}]},
        describe_compute_environments={"computeEnvironments": [ENVIRONMENT]},
        get_job_queue_snapshot={"frontOfQueue": {"jobs": [{"jobArn": "arn:i"}, {"jobArn": "arn:j"}]}},
    )
    assert "jobs before it in the queue: 1" in said(ask(batch, "j"))
    batch.answers["get_job_queue_snapshot"] = REFUSED
    around = look_around(batch, JOB)  # type: ignore[arg-type]
    assert around.place is None
    assert "AccessDenied" in around.unseen[0], "a permission that is missing is named"
    batch.answers["describe_job_queues"] = REFUSED
    assert "could not look at its queue" in said(ask(batch, "j"))


@pytest.mark.parametrize(
    ("clusters", "words"),
    [
        ({"clusters": [{"clusterArn": "arn:k", "registeredContainerInstancesCount": 0}]}, "no instance has joined c"),
        ({"clusters": [{"clusterArn": "arn:k", "registeredContainerInstancesCount": 2}]}, "waits for room"),
        (REFUSED, "waits for room"),
    ],
    ids=["none has joined", "some have", "refused"],
)
def test_the_clusters_of_the_environments_are_looked_at(ask: Any, clusters: Any, words: str) -> None:
    environment = {
        **ENVIRONMENT,
        "ecsClusterArn": "arn:k",
        "computeResources": {"maxvCpus": 8, "desiredvCpus": 4},
    }
    batch = Batch(
        {**JOB, "status": "RUNNABLE"},
        describe_job_queues={"jobQueues": [{**QUEUE, "computeEnvironmentOrder": [{"computeEnvironment": "arn:c"}]}]},
        describe_compute_environments={"computeEnvironments": [environment]},
        get_job_queue_snapshot={"frontOfQueue": {"jobs": []}},
        describe_clusters=clusters,
    )
    assert words in said(ask(batch, "j"))


def test_a_job_that_aws_has_forgotten_is_told_as_such(ask: Any) -> None:
    with pytest.raises(NoJobError, match="knows no job x in us-east-1"):
        ask(Batch(), "x")


def test_who_never_answers_is_not_waited_for(tmp_path: Path) -> None:
    released = threading.Event()

    def hang() -> boto3.Session:
        released.wait()
        return boto3.Session()

    with pytest.raises(UnreachableError, match="no answer within"):
        explain("j", Patient(env=tmp_path / "env", seconds=0.01), hang)
    released.set()
