"""What tasks print, on its way to clients that want to see it while the task runs.

A container's output goes to its job's log, and from there it is read: a look at the job tells the log's name, and from
then on new lines are fetched and sent. The log has standard output and error in one, so all of it is sent as output.
The runner adds lines of its own, which are left out; one of them says that the task has ended: nothing more is to come.
They have a word that the runner made up and told in the log's first line, before the task began. So lines that a task
prints are never taken for the runner's, whatever they say.

Output is only of use before the result: the scheduler drops what comes after it. So a result waits for the end of its
task's output, though not for long, since a log may lag or be lost. Where tasks share jobs, one whose output is wanted
has a job for itself, or nobody could say whose the lines are.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from scaler_batch.aws import JobReport, ServiceError, printable
from scaler_batch.payload.contract import LOG_BEGIN, LOG_EVENT, LOG_MARK, LOG_TASK_ENDED
from scaler_batch.tasks import JobService
from scaler_batch.wire import LogStream

logger = logging.getLogger(__name__)

PAUSE: Final = 1.0
"""Seconds between two rounds of looking."""

PATIENCE: Final = 8.0
"""Seconds that a result waits for the rest of its task's output; the log driver of ECS sends every five."""

TICK: Final = 0.05
"""Seconds between two looks for the job of a task; a short job is over soon, and then nobody knows which it was."""


_BEGINNING: Final = f'{{"{LOG_EVENT}": "'


class Say(Protocol):
    """Sends what a task printed; does nothing where nobody wants to see it."""

    def __call__(self, task_id: bytes, stream: LogStream, content: str) -> None:
        """Send it."""


class LogReader(Protocol):
    """Where lines of logs come from."""

    async def read(self, group: str, stream: str, token: str | None) -> tuple[list[str], str]:
        """Return the lines after a place in a log, and the place after them; none where the log is not there."""


class RunnerLines:
    """Tells the runner's lines in one log from those of the task. To be asked about every line, in their order."""

    def __init__(self) -> None:
        self._mark: str | None = None

    def event_of(self, line: str) -> str | None:
        """What the runner says in a line; None in a line of the task."""
        if not line.startswith(_BEGINNING):
            return None
        try:
            said: Any = json.loads(line)
        except (ValueError, RecursionError):
            return None
        event, mark = said[LOG_EVENT], said.get(LOG_MARK)
        if self._mark is None and event == LOG_BEGIN and isinstance(mark, str) and mark:
            self._mark = mark
        return event if isinstance(event, str) and mark == self._mark is not None else None


@dataclass(eq=False, slots=True)
class Followed:
    """A task whose output is wanted.

    Attributes:
        task_id: Which task.
        job_id: The job that runs it, once there is one.
        log: Group and name of the log, once there is one.
        token: How far it was read.
        runner: Tells the runner's lines in the log.
        ended: Set when there is no more to come.
    """

    task_id: bytes
    job_id: str | None = None
    log: tuple[str, str] | None = None
    token: str | None = None
    runner: RunnerLines = field(default_factory=RunnerLines)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Output:
    """Follows the output of tasks.

    Args:
        jobs: Tells the name of a job's log.
        logs: Where the lines are.
        job_of: Tells which job runs a task.
        say: Sends lines to the client.
        pause: Seconds between two rounds.
        patience: Seconds that a result waits for the rest of the output.
    """

    def __init__(
        self,
        jobs: JobService,
        logs: LogReader,
        job_of: Callable[[bytes], str | None],
        say: Say,
        *,
        pause: float = PAUSE,
        patience: float = PATIENCE,
    ) -> None:
        self._jobs = jobs
        self._logs = logs
        self._job_of = job_of
        self._say = say
        self._pause = pause
        self._patience = patience
        self._followed: dict[bytes, Followed] = {}
        self._some = asyncio.Event()

    def follow(self, task_id: bytes) -> None:
        """Send what a task prints from now on."""
        self._followed[task_id] = Followed(task_id)
        self._some.set()

    def forget(self, task_id: bytes) -> None:
        """Nobody wants a task's output any more."""
        self._followed.pop(task_id, None)

    async def finish(self, task_id: bytes) -> None:
        """Wait until the output of a task that has ended is sent, or cannot be had in time."""
        followed = self._followed.get(task_id)
        if followed is None:
            return
        self._find_job(followed)
        try:
            async with asyncio.timeout(self._patience if followed.job_id else 0):
                await followed.ended.wait()
        except TimeoutError:
            logger.info("the output of task %s is not complete", task_id.hex(), extra={"task": task_id.hex()})
        self.forget(task_id)

    async def run(self) -> None:
        """Follow, for as long as there is anything to follow, and wait for the next."""
        due = 0.0
        while True:
            self._some.clear()
            if not self._followed:
                await self._some.wait()
            for followed in self._followed.values():
                self._find_job(followed)
            if (now := asyncio.get_running_loop().time()) >= due:
                await self._round()
                due = now + self._pause
            await asyncio.sleep(min(TICK, self._pause))

    def _find_job(self, followed: Followed) -> None:
        followed.job_id = followed.job_id or self._job_of(followed.task_id)

    async def _round(self) -> None:
        await self._find_logs([each for each in self._followed.values() if each.job_id and not each.log])
        for followed in list(self._followed.values()):
            if followed.log and not followed.ended.is_set():
                await self._read(followed, *followed.log)

    async def _find_logs(self, nameless: Iterable[Followed]) -> None:
        by_job = {each.job_id: each for each in nameless if each.job_id}
        for job_id, report in (await self._reports(list(by_job))).items():
            if report.log_stream:
                by_job[job_id].log = (report.log_group, report.log_stream)

    async def _reports(self, job_ids: list[str]) -> dict[str, JobReport]:
        try:
            return await self._jobs.describe(job_ids) if job_ids else {}
        except ServiceError as error:
            logger.info("the logs of %d job(s) cannot be found yet: %s", len(job_ids), error)
            return {}

    async def _read(self, followed: Followed, group: str, stream: str) -> None:
        lines, followed.token = await self._logs.read(group, stream, followed.token)
        events = [followed.runner.event_of(line) for line in lines]
        text = "".join(f"{line}\n" for line, event in zip(lines, events, strict=True) if event is None)
        if text:
            self._say(followed.task_id, LogStream.STDOUT, printable(text, colours=True))
        if LOG_TASK_ENDED in events:
            followed.ended.set()
