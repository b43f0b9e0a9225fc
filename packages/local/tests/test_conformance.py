"""What we answer has the shape that AWS's own model documents, in every state that a job can be in."""

from __future__ import annotations

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
