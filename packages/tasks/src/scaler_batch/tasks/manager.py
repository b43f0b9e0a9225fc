"""The task manager: a loop between the state, which decides, and the shells, which act.

::

    submit, cancel, stop ──event──► State.handle ──commands──► shells ──► AWS Batch, S3, inputs, sink
                                        ▲                         │
                                        └─────────events──────────┘

Whatever crashes takes the manager down with it: a task manager with a part missing would hold tasks for ever, and its
worker's death lets the scheduler place them elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from scaler_batch.payload import RunLocation, Store
from scaler_batch.tasks import commands
from scaler_batch.tasks.accounting import CountedStore
from scaler_batch.tasks.credentials import Credentials, PatientJobs, PatientStore
from scaler_batch.tasks.errors import TasksError
from scaler_batch.tasks.events import CancelAsked, Event, StopAsked, TaskArrived, Tick
from scaler_batch.tasks.io import clean, collect, fetch, reply, submit, terminate, watch
from scaler_batch.tasks.models import Snapshot, TaskRequest, Verdict
from scaler_batch.tasks.ports import InputLoader, JobService, ReplySink
from scaler_batch.tasks.renewal import RenewingStore
from scaler_batch.tasks.settings import TaskManagerSettings
from scaler_batch.tasks.state import State

_NEAREST: Final = 0.001
"""Seconds that waiting for a moment takes at least; a clock may not even resolve less."""

Shell = Callable[[Any], Awaitable[Event]]


class AWSHPCTaskManager:
    """Turns task requests into AWS Batch jobs, and their outcomes into replies. An async context manager.

    Its clock is the event loop's. Leaving the context stops at once; call :meth:`drain` or :meth:`stop` before to leave
    in order.

    Args:
        settings: How to behave.
        run: Where this manager's objects lie; no two managers share one.
        jobs: AWS Batch.
        store: The run's objects.
        inputs: Where inputs come from.
        sink: Who hears the results.
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
        credentials: Credentials | None = None,
    ) -> None:
        self._now = time.monotonic
        self._credentials = credentials or Credentials(settings.credentials_patience, lambda: self._now())
        self._jobs = PatientJobs(jobs, self._credentials)
        self._store = CountedStore(store)
        self._sink = sink
        self._state = State(settings, run)
        patient = PatientStore(self._store, self._credentials)
        self._renewing = RenewingStore(patient, settings.renew_after)
        self._shells = _shells(self._jobs, self._renewing, inputs, sink)
        self._accepting = False
        self._waking_at = math.inf
        self._ticking = False
        self._sooner = asyncio.Event()
        self._changed = asyncio.Event()
        self._stack = AsyncExitStack()
        self._group = asyncio.TaskGroup()
        self._running: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Be ready."""
        await self._stack.enter_async_context(self._group)
        self._now = asyncio.get_running_loop().time
        self._start(self._keep_time())
        self._start(self._renewing.run(self._needed))
        self._accepting = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End whatever is under way."""
        self._accepting = False
        for task in self._running:
            task.cancel()
        # An error of the owner's own stays as it is; only a crash in here comes as the task group's.
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
        if self._state.holds(request.task_id):
            return False
        self._feed(TaskArrived(request))
        return True

    def cancel(self, task_id: bytes, *, force: bool) -> Verdict:
        """Take a task back; see :meth:`~scaler_batch.tasks.state.State.verdict` for what that means at each stage."""
        verdict = self._state.verdict(task_id, force)
        self._feed(CancelAsked(task_id, force))
        return verdict

    def job_of(self, task_id: bytes) -> str | None:
        """AWS Batch's id of the job that a task was given to; ``None`` before that, and once the task is answered."""
        return self._state.job_of(task_id)

    async def drain(self) -> None:
        """Take no more tasks and wait until all have been answered."""
        self._accepting = False
        while not self._state.is_idle:
            await self._change()

    async def stop(self, within: float) -> bool:
        """Take no more tasks, forget those not answered, end all jobs, remove the run's objects.

        Args:
            within: Seconds after which to give up.

        Returns:
            Whether AWS Batch has confirmed that no job of ours runs.
        """
        self._accepting = False
        self._feed(StopAsked(within))
        while (confirmed := self._state.stopped) is None:
            await self._change()
        return confirmed

    def snapshot(self) -> Snapshot:
        """Look at the manager."""
        state, store = self._state, self._store
        return Snapshot(
            state.stages,
            0.0 if state.admitted_first is None else self._now() - state.admitted_first,
            jobs=state.jobs,
            answers=state.answers,
            refused=state.refused,
            calls={**store.calls, **self._jobs.calls},
            sent=store.sent,
            received=store.received,
            waiting=state.waiting,
            credentials_refused=self._credentials.refused_for(),
        )

    def _needed(self) -> Iterator[str]:
        return (key for key, _ in self._state.keys_in_use())

    def _feed(self, event: Event) -> None:
        """Handle an event, and start what is to be done about it."""
        for command in self._state.handle(event, self._now()):
            self._perform(command)
        self._changed.set()
        wake_at = self._state.wake_at
        if wake_at > self._now():
            if wake_at < self._waking_at:
                self._sooner.set()
        elif not self._ticking:
            # In the next turn of the loop: what happens in this one is decided on together.
            self._ticking = True
            self._start(self._tick())

    def _perform(self, command: commands.Command) -> None:
        match command:
            case commands.Announce(request, prepared):
                self._sink.announce(request, prepared)
            case commands.Discard(request, prepared):
                self._sink.discard(request, prepared)
            case _:
                self._start(self._act(command))

    async def _act(self, command: commands.Command) -> None:
        self._feed(await self._shells[type(command)](command))

    async def _keep_time(self) -> None:
        """Let the state hear of the time when it asked for that."""
        while True:
            self._sooner.clear()
            self._waking_at = self._state.wake_at
            seconds = self._waking_at - self._now()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if math.isinf(seconds) else max(seconds, _NEAREST)):
                    await self._sooner.wait()
            await self._tick()

    async def _tick(self) -> None:
        self._ticking = False
        if self._state.wake_at <= self._now():
            self._feed(Tick())

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)


def _shells(jobs: JobService, store: Store, inputs: InputLoader, sink: ReplySink) -> Mapping[type[Any], Shell]:
    """Who carries out each command."""
    return {
        commands.LoadInput: partial(fetch.load_input, inputs),
        commands.StoreObject: partial(fetch.store_object, store),
        commands.WritePack: partial(submit.write_pack, store),
        commands.SubmitJob: partial(submit.submit_job, jobs),
        commands.FindJob: partial(submit.find_job, jobs),
        commands.ListOutcomes: partial(watch.list_outcomes, store),
        commands.FetchOutcome: partial(collect.fetch_outcome, store),
        commands.OpenOutcome: collect.open_outcome,
        commands.DescribeJobs: partial(watch.describe_jobs, jobs),
        commands.ListFailedChildren: partial(watch.list_failed_children, jobs),
        commands.DiagnoseJobs: partial(watch.diagnose_jobs, jobs),
        commands.PrepareReply: partial(reply.prepare_reply, sink),
        commands.TerminateJobs: partial(terminate.terminate_jobs, jobs),
        commands.RemoveObjects: partial(clean.remove_objects, store),
        commands.DescribeEnded: partial(terminate.describe_ended, jobs),
        commands.ListNamedJobs: partial(terminate.list_named_jobs, jobs),
        commands.PurgeRun: partial(clean.purge_run, store),
    }
