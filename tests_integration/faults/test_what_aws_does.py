"""What AWS does to those who use it, made to happen under a worker: each task gets its answer, and the worker lives."""

from __future__ import annotations

import re
import time

import pytest

from scaler_batch.local.faults import (
    BulkError,
    Conflict,
    Deny,
    Drop,
    FailStart,
    Fault,
    HoldRunnable,
    Kill,
    LoseResponse,
    Omit,
    Slow,
    UnknownState,
)
from stack import Part, unless_compared
from systems import SECONDS, Gate, System, hold, lives
from watching import unfinished, wait_for


@pytest.mark.parametrize(
    "code", ["JOB_RESOURCE_REQUIREMENT", "COMPUTE_ENVIRONMENT_MAX_RESOURCE", "SERVICE_ROLE_PERMISSIONS"]
)
def test_a_job_that_waits_with_a_misconfiguration_that_passes_runs(system: System, code: str) -> None:
    worker = system.start_worker("waits")
    client = system.client()
    system.inject(HoldRunnable(reason=f"MISCONFIGURATION:{code}"))
    future = client.submit(abs, -3)
    wait_for(lambda: worker.says(f"MISCONFIGURATION:{code}") or future.done(), SECONDS)
    system.remove_faults()
    assert future.result(SECONDS) == 3
    assert lives(worker)


def test_a_job_that_no_machine_is_large_enough_for_is_given_up_after_its_patience(system: System) -> None:
    worker = system.start_worker("gives-up", *unless_compared("--misconfiguration-patience", "3"))
    client = system.client()
    begun = time.monotonic()
    system.inject(HoldRunnable(reason="MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"))
    with pytest.raises(Exception, match="COMPUTE_ENVIRONMENT_MAX_RESOURCE"):
        client.submit(abs, -3).result(SECONDS)
    assert time.monotonic() - begun >= 3
    assert lives(worker)


OUTCOMES = "*/outcomes/*"


@pytest.mark.parametrize(
    "fault",
    [
        Drop("s3.PutObject", path=OUTCOMES, reset=True, count=1),
        LoseResponse("s3.PutObject", path=OUTCOMES, reset=True, count=1),
        Conflict("s3.PutObject", path=OUTCOMES, count=1),
        Conflict("s3.PutObject", path=OUTCOMES, count=1, done=True),
    ],
    ids=["reset", "reset after the effect", "conflict", "conflict after the effect"],
)
def test_a_result_is_not_lost_to_one_bad_answer(system: System, fault: Fault) -> None:
    worker = system.start_worker("loses-nothing")
    client = system.client()
    system.inject(fault)
    assert client.submit(abs, -3).result(SECONDS) == 3
    assert lives(worker)


def submitted(worker: Part) -> int:
    """How many tasks AWS Batch has taken from a worker."""
    said = worker.log.read_text()
    sizes = dict(re.findall(r"submitting (\S+): (\d+) task", said))
    return sum(int(sizes[name]) for name in re.findall(r"submitted (\S+) as job", said))


def test_jobs_that_are_not_ended_for_throttling_are_ended_later(system: System, gate: Gate) -> None:
    worker = system.start_worker("ends-jobs")
    client = system.client()
    futures = [client.submit(hold, str(gate.folder), number) for number in range(20)]
    wait_for(lambda: gate.started > 0 and submitted(worker) == len(futures))
    # While the first ones are ended one by one, the others gather and are ended by one call.
    system.inject(BulkError(code="ThrottlingException", tries=6), Slow("batch.Terminate*", seconds=0.5))
    for future in futures:
        future.cancel()
    wait_for(lambda: unfinished(system.stack) == [])
    assert lives(worker)


@pytest.mark.parametrize(
    "error",
    [
        "CannotPullImageManifestError",
        "CannotPullECRContainerError",
        "CannotPullContainerAuthError",
        "DockerTimeoutError",
    ],
)
def test_a_container_that_could_not_be_started_for_now_is_started_again(system: System, error: str) -> None:
    worker = system.start_worker("starts-again")
    client = system.client()
    system.inject(FailStart(error=error, count=1))
    assert client.submit(abs, -3).result(SECONDS) == 3
    assert lives(worker)


@pytest.mark.parametrize(
    ("fault", "remedy"),
    [
        (FailStart(error="CannotCreateContainerError"), "could not be started"),
        (FailStart(error="ResourceInitializationError", fargate=True), "could not be started"),
        (Kill(number=11, after=0.5), "139"),
    ],
    ids=["CannotCreateContainerError", "ResourceInitializationError", "139"],
)
def test_a_job_that_died_is_told_with_its_cause(system: System, gate: Gate, fault: Fault, remedy: str) -> None:
    worker = system.start_worker("tells-why")
    client = system.client()
    future = client.submit(hold, str(gate.folder))
    if isinstance(fault, Kill):
        wait_for(lambda: gate.started > 0)
    system.inject(fault)
    with pytest.raises(Exception, match=remedy) as raised:
        future.result(SECONDS)
    assert "without an outcome" not in str(raised.value)
    assert lives(worker)


def test_a_worker_starts_with_credentials_that_may_list_below_its_prefix_only(system: System) -> None:
    system.inject(Deny("s3.HeadBucket"), Deny("s3.ListObjects*", path=f"{system.bucket}/"))
    worker = system.start_worker("may-little")
    assert system.client().submit(abs, -3).result(SECONDS) == 3
    assert lives(worker)


@pytest.mark.parametrize("fault", [UnknownState(count=1), Omit(count=1)], ids=["state", "fields"])
def test_a_job_that_nobody_knows_how_to_read_concerns_nobody_else(system: System, gate: Gate, fault: Fault) -> None:
    worker = system.start_worker("reads-on")
    client = system.client()
    system.inject(fault)
    futures = [client.submit(hold, str(gate.folder), number) for number in range(2)]
    asked = "batch.DescribeJobs"
    wait_for(lambda: gate.started == 2)
    before = system.calls(asked)
    wait_for(lambda: system.calls(asked) >= before + 2 or not lives(worker))
    gate.open()
    assert [future.result(SECONDS) for future in futures] == [0, 1]
    assert lives(worker)


@pytest.mark.parametrize("form", ["{name}:1", "{arn}", "{arn}:1"], ids=["revision", "ARN", "ARN and revision"])
def test_a_definition_may_be_named_as_for_submit_job(system: System, form: str) -> None:
    name = system.stack.provisioned["SCALER_JOB_DEFINITION"]
    (found,) = system.stack.aws("batch").describe_job_definitions(jobDefinitionName=name)["jobDefinitions"]
    arn = found["jobDefinitionArn"].rpartition(":")[0]
    worker = system.start_worker("names-definition", "--job-definition", form.format(name=name, arn=arn))
    assert system.client().submit(abs, -3).result(SECONDS) == 3
    assert lives(worker)


@pytest.mark.parametrize("name", ["..", ".", "a/b", "x" * 65])
def test_a_name_that_cannot_be_a_folder_is_refused_with_what_can(system: System, name: str) -> None:
    said = system.refusal("--name", name)
    assert "Traceback" not in said
    assert re.search(r"printable\s+characters", said), said
