"""The task manager: the stages under one roof.

::

    submit ─► backlog ─► Loader, Submitter ─► AWS Batch … S3 ─► Watcher ─► Collector ─► Replies ─► sink
                  ▲               ▲                               │ died       │  cancelled: Canceller ends the job
                  └── once more ──┴────────── slots freed ◄───────┴────────────┘

Every stage is a coroutine under one task group. They share the ledger, which knows where each task is, and the flight,
which knows which jobs may be running. A stage that crashes takes the manager down with it: a task manager with a stage
missing would hold tasks for ever, and its worker's death lets the scheduler place them elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from scaler_batch.payload import Outcome, RunLocation, Store
from scaler_batch.payload.keys import pack_key
from scaler_batch.tasks.accounting import CountedStore, Tally
from scaler_batch.tasks.backlog import Backlog
from scaler_batch.tasks.cancellation import Canceller
from scaler_batch.tasks.collection import Collector
from scaler_batch.tasks.credentials import Credentials, PatientJobs, PatientStore
from scaler_batch.tasks.errors import TasksError
from scaler_batch.tasks.flight import Flight, Job
from scaler_batch.tasks.janitor import Janitor
from scaler_batch.tasks.lifecycle import Ledger, Stage, Task
from scaler_batch.tasks.loading import Loader
from scaler_batch.tasks.monitoring import Watcher
from scaler_batch.tasks.objects import Objects
from scaler_batch.tasks.ports import InputLoader, JobService, ReplySink
from scaler_batch.tasks.reply import Replies
from scaler_batch.tasks.retrying import Backoff
from scaler_batch.tasks.settings import TaskManagerSettings
from scaler_batch.tasks.stopping import Ending
from scaler_batch.tasks.submission import Submitter
from scaler_batch.tasks.vocabulary import Result, TaskRequest, Verdict, job_names

logger = logging.getLogger(__name__)

_SETTLING: Final = 0.5
"""Part of the time for stopping that a submission under way may take."""

_ENDERS: Final = 4
"""How many jobs are ended at the same time: fewer than threads of the bridge, so that submitting goes on beside it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A look at a task manager.

    Attributes:
        stages: How many tasks stand at each stage.
        oldest: Seconds since the oldest task was admitted; 0 without tasks.
        jobs: How many jobs AWS Batch may be running.
        answers: How many tasks were answered, by the outcome's status or the failure's class.
        calls: How many requests were made, by operation.
        sent: Bytes put into S3.
        received: Bytes fetched from S3.
        waiting: How many jobs wait for something, by AWS Batch's reason.
        credentials_refused: Seconds for which AWS has refused our credentials; 0 while it takes them.
    """

    stages: dict[Stage, int]
    oldest: float
    jobs: int = 0
    answers: dict[str, int] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    sent: int = 0
    received: int = 0
    waiting: dict[str, int] = field(default_factory=dict)
    credentials_refused: float = 0.0

    @property
    def tasks(self) -> int:
        """How many tasks are not answered yet."""
        return sum(self.stages.values())


class AWSHPCTaskManager:
    """Turns task requests into AWS Batch jobs, and their outcomes into replies. An async context manager.

    Leaving the context stops at once; call :meth:`drain` or :meth:`stop` before to leave in order.

    Args:
        settings: How to behave.
        run: Where this manager's objects lie; no two managers share one.
        jobs: AWS Batch.
        store: The run's objects.
        inputs: Where inputs come from.
        sink: Who hears the results.
        backoff: How patient to be with AWS.
        clock: Seconds that only go forward.
        credentials: Knows whether AWS takes our credentials; several managers may share one.
    """

    def __init__(
        self,
        settings: TaskManagerSettings,
        run: RunLocation,
        *,
        jobs: JobService,
        store: Store,
        inputs: InputLoader,
        sink: ReplySink,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
        credentials: Credentials | None = None,
    ) -> None:
        self._settings = settings
        self._run = run
        self._clock = clock
        self._credentials = credentials or Credentials(settings.credentials_patience, clock)
        self._jobs = jobs = PatientJobs(jobs, self._credentials)
        self._accepting = False
        self._backlog = Backlog(settings.shape)
        self._work = asyncio.Event()
        self._empty = asyncio.Event()
        self._ledger = Ledger()
        self._tally = Tally()
        store = PatientStore(CountedStore(store, self._tally), self._credentials)
        backoff = backoff or Backoff()
        self._janitor = Janitor(store)
        self._objects = Objects(store, self._janitor, clock, settings.object_threshold)
        self._flight = Flight(landed=self._landed)
        self._replies = Replies(self._ledger, sink, settings.transfers, self._announced)
        self._loader = Loader(inputs, self._objects, self._ledger, self._replies, self._queue, settings.transfers)
        self._canceller = Canceller(self._ledger, self._flight, jobs, self._janitor, backoff)
        self._collector = Collector(
            self._ledger,
            self._flight,
            store,
            self._replies,
            self._janitor,
            learn=self._learn,
            again=self._queue,
            freed=self._work.set,
            outage_patience=settings.outage_patience,
            clock=clock,
        )
        self._watcher = Watcher(
            settings.polling,
            flight=self._flight,
            store=store,
            jobs=jobs,
            collector=self._collector,
            end=self._canceller.end,
            freed=self._work.set,
            running=lambda: self._ledger.count(Stage.RUNNING),
            discard=self._janitor.discard,
            clock=clock,
            outage_patience=settings.outage_patience,
            misconfiguration_patience=settings.misconfiguration_patience,
        )
        self._submitter = Submitter(
            settings,
            run,
            work=self._work,
            backlog=self._backlog,
            ledger=self._ledger,
            flight=self._flight,
            replies=self._replies,
            jobs=jobs,
            store=store,
            loader=self._loader,
            objects=self._objects,
            abandon=self._canceller.abandon,
            check_storage=self._watcher.check_storage,
            backoff=backoff,
            clock=clock,
        )
        self._stack = AsyncExitStack()
        self._stages: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Start the stages."""
        group = await self._stack.enter_async_context(asyncio.TaskGroup())
        transfers = range(self._settings.transfers)
        stages = [
            self._loader.run(),
            self._submitter.run(),
            self._watcher.run(),
            self._janitor.run(),
            *(self._collector.run() for _ in transfers),
            *(self._replies.run() for _ in transfers),
            *(self._canceller.run() for _ in range(_ENDERS)),
        ]
        self._stages = [group.create_task(stage) for stage in stages]
        self._accepting = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the stages."""
        self._accepting = False
        for stage in self._stages:
            stage.cancel()
        # An error of the owner's own stays as it is; only the crash of a stage comes as the task group's.
        if not isinstance(error, asyncio.CancelledError):
            kind = error = trace = None
        await self._stack.__aexit__(kind, error, trace)

    def submit(self, request: TaskRequest) -> bool:
        """Take a task on. ``False`` where a task of this id is being worked on: it will be answered once.

        Raises:
            TasksError: The manager is stopping.
        """
        if not self._accepting:
            raise TasksError("the task manager is stopping and takes no more tasks")
        task = self._ledger.admit(request, self._clock())
        if task is None:
            return False
        self._empty.clear()
        self._queue(task)
        return True

    def cancel(self, task_id: bytes, *, force: bool) -> Verdict:
        """Take a task back; see :mod:`~scaler_batch.tasks.cancellation` for what that means at each stage."""
        verdict = self._canceller.cancel(task_id, force=force)
        if verdict is Verdict.CANCELLED:
            self._answered()
            self._work.set()
        return verdict

    def job_of(self, task_id: bytes) -> str | None:
        """AWS Batch's id of the job that a task was given to; ``None`` before that, and once the task is answered."""
        task = self._ledger.get(task_id)
        return None if task is None else task.job_id

    async def drain(self) -> None:
        """Take no more tasks and wait until all have been answered."""
        self._accepting = False
        if len(self._ledger):
            await self._empty.wait()

    async def stop(self, within: float) -> bool:
        """Take no more tasks, forget those not answered, end all jobs, remove the run's objects.

        Args:
            within: Seconds after which to give up.

        Returns:
            Whether AWS Batch has confirmed that no job of ours runs.
        """
        self._accepting = False
        end = asyncio.get_running_loop().time() + within
        # Jobs that are being submitted join the flight before they are given up, so that they end by their parent's id.
        self._forget(*set(Stage) - {Stage.SUBMITTING})
        ending = Ending(self._flight, self._canceller, self._jobs, self._submitter.in_doubt)
        try:
            async with asyncio.timeout_at(end):
                await self._end_jobs(ending, within)
        except TimeoutError:
            logger.error("not all jobs could be ended within %.1f s: %s", within, ending.unconfirmed())
            return False
        try:
            async with asyncio.timeout_at(end):
                await self._janitor.purge()
        except TimeoutError:
            logger.warning(
                "all jobs are ended, but S3 did not remove the run's objects in time; the bucket's lifecycle will"
            )
        return True

    async def _end_jobs(self, ending: Ending, within: float) -> None:
        await ending.end_all()
        # A SubmitJob that gets no answer is not waited for to the last: its job can be found by its name.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within * _SETTLING):
                await self._submitter.settle()
        self._forget(*Stage)
        await ending.end_all()
        await ending.sweep(job_names(self._run.run_id))

    def snapshot(self) -> Snapshot:
        """Look at the manager."""
        first = next(iter(self._ledger), None)
        oldest = self._clock() - first.admitted_at if first else 0.0
        return Snapshot(
            {stage: self._ledger.count(stage) for stage in Stage},
            oldest,
            jobs=self._flight.open,
            answers=dict(self._tally.answers),
            calls={**self._tally.calls, **self._jobs.calls},
            sent=self._tally.sent,
            received=self._tally.received,
            waiting=self._flight.waiting(),
            credentials_refused=self._credentials.refused_for(),
        )

    def _queue(self, task: Task) -> None:
        self._submitter.arrived(task)

    def _learn(self, job: Job, outcome: Outcome) -> None:
        self._submitter.pace(job.submission.shape).learn(outcome.usage.wall)

    def _announced(self, result: Result) -> None:
        self._tally.note(result)
        self._answered()

    def _forget(self, *stages: Stage) -> None:
        for task in self._ledger:
            if task.stage in stages:
                self._ledger.drop(task)
        self._answered()

    def _landed(self, sequence: int) -> None:
        """Nothing needs a submission's inputs once its last job is over."""
        self._janitor.discard(pack_key(sequence))
        self._objects.release(sequence)

    def _answered(self) -> None:
        if not len(self._ledger):
            self._empty.set()
