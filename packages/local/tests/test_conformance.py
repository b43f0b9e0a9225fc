"""What we answer has the shape that AWS's own model documents, in every state that a job can be in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.model import ListShape, MapShape, Shape, StructureShape

from scaler_batch.local.batch.describing import detail, summary
from scaler_batch.local.batch.vocabulary import Dependency, ExitAction, ExitRule, RetryStrategy

MODEL = botocore.session.get_session().get_service_model("batch")
TYPES = {"string": str, "integer": int, "long": int, "boolean": bool, "float": float, "double": float}
NOT_YET_STARTED = {"startedAt"}
"""The model calls it required; AWS leaves it out of jobs that have not started, and so do we."""


def problems(value: Any, shape: Shape, path: str = "") -> Iterator[str]:
    """Where a value is not what its shape says."""
    match shape:
        case _ if value is None:
            yield f"{path} is null"
        case StructureShape():
            for name in set(shape.required_members) - set(value) - NOT_YET_STARTED:
                yield f"{path}.{name} is missing"
            for name, member in value.items():
                if name in shape.members:
                    yield from problems(member, shape.members[name], f"{path}.{name}")
                else:
                    yield f"{path}.{name} is not in the model"
        case ListShape():
            for each in value:
                yield from problems(each, shape.member, f"{path}[]")
        case MapShape():
            for each in value.values():
                yield from problems(each, shape.value, f"{path}{{}}")
        case _:
            wrong_word = bool(getattr(shape, "enum", None)) and value not in shape.enum
            if type(value) is not TYPES[shape.type_name] or wrong_word:
                yield f"{path} is {value!r}"


@pytest.fixture
def jobs(make_world: Any) -> list[Any]:
    """A job in every state, with and without everything that a job can have."""
    world = make_world(slots=3, keep_finished=1000)
    rules = (ExitRule(ExitAction.RETRY, on_exit_code="1"), ExitRule(ExitAction.EXIT, on_reason="*"))
    array = world.submit(array_size=3, timeout=60)
    for child, code in zip(array.children.jobs, (0, 1, 0), strict=True):
        world.run(child, code)
    retried = world.submit(retry=RetryStrategy(2, rules), tags={"a": "b"}, share_identifier="blue")
    world.run(retried, 1)
    running = world.submit()
    world.start(running)
    starting = world.submit()
    waiting = world.submit(container={"image": "i", "command": ["x"], "vcpus": 1, "memory": 4, "secrets": []})
    pending = world.submit(depends_on=(Dependency(waiting.id, None),), array_size=2)
    terminated = world.submit()
    world.engine.terminate(terminated, "enough", world.now)
    return [array, *array.children.jobs, retried, running, starting, waiting, pending, terminated]


def test_every_state_is_among_the_jobs(jobs: list[Any]) -> None:
    states = {job.state.value for job in jobs}
    assert states == {"PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED"}


def test_described_jobs_have_the_documented_shape(jobs: list[Any]) -> None:
    assert [problem for job in jobs for problem in problems(detail(job), MODEL.shape_for("JobDetail"))] == []


def test_listed_jobs_have_the_documented_shape(jobs: list[Any]) -> None:
    assert [problem for job in jobs for problem in problems(summary(job), MODEL.shape_for("JobSummary"))] == []


def test_the_check_finds_what_is_wrong() -> None:
    wrong = {"jobName": 1, "colour": "red", "status": "ASLEEP"}
    found = list(problems(wrong, MODEL.shape_for("JobDetail")))
    assert len(found) == 3 + len({"jobId", "jobQueue", "jobDefinition"})


def test_a_parents_summary_names_every_state(jobs: list[Any]) -> None:
    assert detail(jobs[0])["arrayProperties"]["statusSummary"] == {
        "SUBMITTED": 0,
        "PENDING": 0,
        "RUNNABLE": 0,
        "STARTING": 0,
        "RUNNING": 0,
        "SUCCEEDED": 2,
        "FAILED": 1,
    }


def test_finished_attempts_are_shown_one_by_one(jobs: list[Any]) -> None:
    retried = detail(jobs[4])
    assert [attempt["container"]["exitCode"] for attempt in retried["attempts"]] == [1]
    assert "exitCode" not in retried["container"]
    assert "logStreamName" not in retried["container"]


CALLS = {
    "SubmitJob", "DescribeJobs", "ListJobs", "TerminateJob", "TerminateJobs", "CancelJob", "CancelJobs",
    "GetJobQueueSnapshot", "RegisterJobDefinition", "DescribeJobDefinitions", "DeregisterJobDefinition",
    "CreateComputeEnvironment", "DescribeComputeEnvironments", "UpdateComputeEnvironment", "DeleteComputeEnvironment",
    "CreateJobQueue", "DescribeJobQueues", "UpdateJobQueue", "DeleteJobQueue",
    "TagResource", "ListTagsForResource", "UntagResource",
}  # fmt: skip
"""Every operation of Batch that scaler-batch's packages call, or that their users do beside them."""


@pytest.fixture
def answers(account: Any) -> Iterator[dict[str, Any]]:
    """The bodies of answers, as they came over the wire, by operation."""
    seen: dict[str, Any] = {}

    def note(response_dict: dict[str, Any], operation_model: Any, **_: Any) -> None:
        seen[operation_model.name] = json.loads(response_dict["body"] or b"{}")

    account.batch.meta.events.register("before-parse.batch", note)
    yield seen
    account.batch.meta.events.unregister("before-parse.batch", note)


def use_everything(account: Any) -> None:
    """Call every operation once at least, on resources that are there."""
    batch = account.batch
    fleet = batch.describe_compute_environments(computeEnvironments=["fleet"])["computeEnvironments"][0]
    resources = fleet["computeResources"]
    batch.create_compute_environment(computeEnvironmentName="spare", type="MANAGED", computeResources=resources)
    batch.update_compute_environment(computeEnvironment="spare", computeResources={"maxvCpus": 8})
    order = [{"order": 1, "computeEnvironment": "spare"}]
    batch.create_job_queue(jobQueueName="spare", priority=1, computeEnvironmentOrder=order)
    definition = account.define("true", parameters={"a": "b"}, retryStrategy={"attempts": 2})
    batch.describe_job_definitions(jobDefinitionName=definition)
    first, second, array = (
        account.submit(definition=definition, jobQueue="spare", **more)
        for more in ({}, {"timeout": {"attemptDurationSeconds": 60}}, {"arrayProperties": {"size": 2}})
    )
    spare = batch.describe_job_queues(jobQueues=["spare"])["jobQueues"][0]["jobQueueArn"]
    batch.tag_resource(resourceArn=spare, tags={"a": "b"})
    assert batch.list_tags_for_resource(resourceArn=spare)["tags"] == {"a": "b"}
    batch.untag_resource(resourceArn=spare, tagKeys=["a"])
    batch.get_job_queue_snapshot(jobQueue="spare")
    batch.cancel_job(jobId=first, reason="no")
    batch.terminate_job(jobId=first, reason="no")
    batch.cancel_jobs(jobs=[first, second], reason="no")
    batch.terminate_jobs(jobs=[second, "unknown"], reason="no")
    for job in (first, second, array):
        account.wait(job)
    batch.describe_jobs(jobs=[first, second, array, f"{array}:0"])
    batch.list_jobs(jobQueue="spare", filters=[{"name": "JOB_NAME", "values": ["*"]}])
    batch.deregister_job_definition(jobDefinition=f"{definition}:1")
    batch.update_job_queue(jobQueue="spare", state="DISABLED")
    batch.describe_job_queues(jobQueues=["spare"])
    batch.delete_job_queue(jobQueue="spare")
    batch.update_compute_environment(computeEnvironment="spare", state="DISABLED")
    batch.delete_compute_environment(computeEnvironment="spare")


def test_every_answer_has_the_documented_shape(account: Any, answers: dict[str, Any]) -> None:
    use_everything(account)
    assert set(answers) == CALLS
    found = {
        name: list(problems(body, MODEL.operation_model(name).output_shape, name)) for name, body in answers.items()
    }
    assert {name: each for name, each in found.items() if each} == {}
