from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from scaler_batch.adapter.output import Output, RunnerLines
from scaler_batch.aws import Classification, JobReport, JobStatus, ServiceError
from scaler_batch.wire import LogStream

TASK = b"t" * 16
BEGIN = '{"event": "runner", "mark": "word"}'
END = '{"event": "task", "mark": "word", "task": "1/0"}'
FAKE = '{"event": "task", "task": "1/0"}'


class Jobs:
    """Tells the name of a job's log, the second time it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def describe(self, job_ids: Sequence[str]) -> dict[str, JobReport]:
        self.asked += 1
        if self.asked == 1:
            raise ServiceError("not now", Classification.REPEAT)
        if self.asked == 2:
            return {job_id: JobReport(job_id, JobStatus.STARTING) for job_id in job_ids}
        return {job_id: JobReport(job_id, JobStatus.RUNNING, log_stream=f"log of {job_id}") for job_id in job_ids}


class Logs:
    """A log that grows by one piece a look."""

    def __init__(self, *pieces: list[str]) -> None:
        self.pieces = pieces
        self.read_from: list[str | None] = []

    async def read(self, group: str, stream: str, token: str | None) -> tuple[list[str], str]:
        assert (group, stream) == ("/aws/batch/job", "log of job-1")
        self.read_from.append(token)
        place = int(token or 0)
        return (self.pieces[place], f"{place + 1}") if place < len(self.pieces) else ([], f"{place}")


class Scene:
    """Follows one task, which has a job."""

    def __init__(self, job_id: str | None, *pieces: list[str], patience: float = 30) -> None:
        self.said: list[tuple[LogStream, str]] = []
        self.heard = asyncio.Event()
        self.jobs, self.logs = Jobs(), Logs(*pieces)
        jobs: Any = self.jobs
        self.output = Output(jobs, self.logs, lambda _: job_id, self._say, pause=0.001, patience=patience)

    def _say(self, task_id: bytes, stream: LogStream, content: str) -> None:
        assert task_id == TASK
        self.said.append((stream, content))
        self.heard.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            task = group.create_task(self.output.run())
            yield
            task.cancel()


async def test_lines_are_sent_as_they_come_and_the_result_waits_for_the_last() -> None:
    scene = Scene("job-1", [BEGIN, "one", FAKE, "two"], [], ["three", END])
    async with scene.running():
        scene.output.follow(TASK)
        await scene.output.finish(TASK)
    assert scene.said == [(LogStream.STDOUT, f"one\n{FAKE}\ntwo\n"), (LogStream.STDOUT, "three\n")]
    assert scene.logs.read_from == [None, "1", "2"]


async def test_a_result_does_not_wait_for_output_that_never_comes() -> None:
    scene = Scene("job-1", ["one"], patience=0.2)
    async with scene.running():
        scene.output.follow(TASK)
        await scene.heard.wait()
        await scene.output.finish(TASK)
    assert scene.said == [(LogStream.STDOUT, "one\n")]


async def test_a_task_without_a_job_has_no_output_to_wait_for() -> None:
    scene = Scene(None)
    async with scene.running():
        scene.output.follow(TASK)
        await scene.output.finish(TASK)
        await scene.output.finish(b"another task")
    assert scene.said == []


async def test_a_cancelled_task_is_followed_no_more() -> None:
    scene = Scene("job-1", ["one"])
    async with scene.running():
        scene.output.follow(TASK)
        scene.output.forget(TASK)
        scene.output.forget(TASK)
        await asyncio.sleep(0.01)
    assert scene.said == []


async def test_what_a_terminal_would_obey_is_not_sent_but_colours_are() -> None:
    scene = Scene("job-1", [BEGIN, "\x1b[31mred\x1b[0m \x1b]0;title\x07 \ud800", END])
    async with scene.running():
        scene.output.follow(TASK)
        await scene.output.finish(TASK)
    assert scene.said == [(LogStream.STDOUT, "\x1b[31mred\x1b[0m \\x1b]0;title\\x07 \\ud800\n")]


@pytest.mark.parametrize(
    "line",
    [
        FAKE,
        '{"event": "task", "mark": "guess"}',
        '{"event": "task", "mark": null}',
        '{"event": "task", "mark": ["word"]}',
        '{"event": "runner", "mark": "mine"}',
        '{"event": "user logged in", "level": "info"}',
        '{"event": "half',
        '{"event": 5}',
        '{"event": "' + "[" * 100_000,
        '{"other": "task", "mark": "word"}',
        " " + END,
        "task",
        "",
    ],
)
def test_lines_that_look_like_the_runners_are_the_tasks(line: str) -> None:
    known, unknown = RunnerLines(), RunnerLines()
    assert known.event_of(BEGIN) == "runner"
    assert known.event_of(line) is None
    assert known.event_of(END) == "task"
    if '"runner"' not in line:
        assert unknown.event_of(line) is None


def test_without_a_first_line_nothing_is_believed() -> None:
    assert RunnerLines().event_of(END) is None
    assert RunnerLines().event_of('{"event": "runner", "mark": ""}') is None
    assert RunnerLines().event_of('{"event": "runner"}') is None
