"""The one door: every event goes through :meth:`State.handle`, which returns what is to be done about it.

No event changes anything elsewhere, and nothing in here waits, calls AWS or looks at a clock: time is an argument, and
randomness is given. So every race is a list of events, and the same state runs under a simulation.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from scaler_batch.payload import RunLocation
from scaler_batch.payload.keys import pack_key
from scaler_batch.tasks import events
from scaler_batch.tasks.commands import Command
from scaler_batch.tasks.models import Stage, Verdict
from scaler_batch.tasks.settings import TaskManagerSettings
from scaler_batch.tasks.state import (
    checkups,
    cleaning,
    collecting,
    ending,
    loading,
    replying,
    stopping,
    submission,
    watching,
)
from scaler_batch.tasks.state.core import SCHEDULE, Core
from scaler_batch.tasks.state.tables import Task
from scaler_batch.tasks.state.timers import Timer


class State:
    """All that a task manager knows, and what it does about what happens.

    Args:
        settings: How to behave.
        run: Where the run's objects lie.
        seed: Of the jitter; ``None`` for one that nobody knows.
    """

    def __init__(self, settings: TaskManagerSettings, run: RunLocation, seed: int | None = None) -> None:
        self._core = Core(settings, run, random.Random(seed))

    def handle(self, event: events.Event, now: float) -> list[Command]:
        """Change what an event changes, and return what is to be done.

        Args:
            event: What has happened.
            now: Seconds, never less than the last time.
        """
        core = self._core
        _HANDLERS[type(event)](core, event, now)
        if core.stop is not None:
            stopping.go_on(core, now)
        commands, core.commands = core.commands, []
        return commands

    @property
    def wake_at(self) -> float:
        """When to handle a :class:`~.events.Tick`, at the latest; infinity if nothing waits for time."""
        return self._core.timers.next

    def verdict(self, task_id: bytes, force: bool) -> Verdict:
        """What a cancellation request would come to now.

        ========== ========================= ================================================
        stage      not forced                forced
        ========== ========================= ================================================
        queued     never leaves              never leaves
        submitting refused                   gone; the job is ended as soon as it is known
        running    refused                   gone; its job is ended, unless others share it
        later      refused                   gone; its result is thrown away
        ========== ========================= ================================================
        """
        task = self._core.tasks.get(task_id)
        return _verdict(task, force)

    def holds(self, task_id: bytes) -> bool:
        """Whether a task of this id is being worked on."""
        return self._core.tasks.get(task_id) is not None

    def job_of(self, task_id: bytes) -> str | None:
        """AWS Batch's id of the job that a task was given to; ``None`` before that, and once the task is answered."""
        task = self._core.tasks.get(task_id)
        return None if task is None else task.job_id

    @property
    def is_idle(self) -> bool:
        """Whether all tasks have been answered."""
        return not len(self._core.tasks)

    @property
    def stopped(self) -> bool | None:
        """Whether AWS Batch has confirmed that no job runs; ``None`` until a stop is over."""
        stop = self._core.stop
        return stop.confirmed if stop is not None and stop.step is stopping.Step.OVER else None

    @property
    def stages(self) -> dict[Stage, int]:
        """How many tasks stand at each stage."""
        return self._core.tasks.counts()

    @property
    def admitted_first(self) -> float | None:
        """When the oldest task was admitted."""
        task = self._core.tasks.oldest()
        return None if task is None else task.admitted_at

    @property
    def jobs(self) -> int:
        """How many jobs AWS Batch may be running."""
        return self._core.jobs.open

    @property
    def waiting(self) -> dict[str, int]:
        """How many jobs wait for something, by AWS Batch's reason."""
        return self._core.jobs.waiting()

    @property
    def answers(self) -> dict[str, int]:
        """How many tasks were answered, by the outcome's status or the failure's class."""
        return dict(self._core.replying.answers)

    @property
    def refused(self) -> dict[str, int]:
        """How many objects of outcomes were refused, by the reason."""
        return dict(self._core.reading.refused)

    def keys_in_use(self) -> Iterator[tuple[str, float]]:
        """What lies in S3 and jobs may still read, each with when it was stored: packs, and large inputs."""
        core, attempt = self._core, self._core.submitting.attempt
        if attempt is not None and attempt.stored_at is not None:
            yield pack_key(attempt.sequence), attempt.stored_at
        for made in core.jobs:
            if made.stored_at is not None:
                yield pack_key(made.sequence), made.stored_at
        for stored in core.objects.in_use():
            yield stored.reference.key, stored.since


def _verdict(task: Task | None, force: bool) -> Verdict:
    if task is None:
        return Verdict.UNKNOWN
    return Verdict.CANCELLED if force or task.stage is Stage.QUEUED else Verdict.REFUSED


def _arrived(core: Core, event: events.TaskArrived, now: float) -> None:
    if (task := core.tasks.admit(event.request, now)) is not None:
        collecting.queue(core, task, now)


def _cancelled(core: Core, event: events.CancelAsked, now: float) -> None:
    task = core.tasks.get(event.task_id)
    if task is None or _verdict(task, event.force) is not Verdict.CANCELLED:
        return
    job = task.job
    core.tasks.forget(task)
    if job is not None:
        job.runs_in_vain = True
        ending.abandon(core, job)
    core.reschedule(now)


def _ticked(core: Core, event: events.Tick, now: float) -> None:
    for timer in core.timers.take_due(now):
        _TIMERS[timer.name](core, timer, now)


def _loaded(on: Callable[[Core, Any, float], bool]) -> Callable[[Core, Any, float], None]:
    """Go on with the submission under way when its last input has come."""

    def handle(core: Core, event: Any, now: float) -> None:
        if on(core, event, now):
            _go_on_loading(core, now)

    return handle


def _go_on_loading(core: Core, now: float) -> None:
    attempt = core.submitting.attempt
    if attempt is not None and loading.on_grace_over(core, attempt, now):
        submission.on_loaded(core, attempt, now)


def _grace_over(core: Core, timer: Timer, now: float) -> None:
    attempt = core.submitting.attempt
    if attempt is not None and attempt.sequence == timer.number and attempt.missing:
        _go_on_loading(core, now)


def _listed(core: Core, event: events.OutcomesListed, now: float) -> None:
    _listing_over(core, watching.on_listed(core, event, now), now)


def _more_keys(core: Core, timer: Timer, now: float) -> None:
    _listing_over(core, watching.look_at_keys(core, now), now)


def _listing_over(core: Core, listing: int | None, now: float, *, worked: bool = True) -> None:
    if listing is not None:
        checkups.on_listing_over(core, listing, worked, now)
        submission.on_listing_over(core, listing, worked, now)


def _listing_failed(core: Core, event: events.ListingFailed, now: float) -> None:
    watching.on_listing_failed(core, event, now)
    _listing_over(core, event.listing, now, worked=False)


def _refused(core: Core, event: events.OutcomeRefused, now: float) -> None:
    collecting.on_refused(core, event, now)
    # Its job may have been the only one, and taken for over.
    watching.note_event(core, now)


def _prepared(core: Core, event: events.ReplyPrepared, now: float) -> None:
    replying.on_prepared(core, event)
    collecting.read_next(core, now)


_HANDLERS: Final[Mapping[type[Any], Callable[[Core, Any, float], None]]] = {
    events.TaskArrived: _arrived,
    events.CancelAsked: _cancelled,
    events.StopAsked: stopping.on_asked,
    events.Tick: _ticked,
    events.InputLoaded: _loaded(loading.on_loaded),
    events.InputFailed: _loaded(loading.on_failed),
    events.ObjectStored: _loaded(loading.on_stored),
    events.ObjectFailed: _loaded(loading.on_not_stored),
    events.PackWritten: submission.on_packed,
    events.PackFailed: submission.on_not_packed,
    events.Submitted: submission.on_submitted,
    events.SubmitFailed: submission.on_submit_failed,
    events.JobFound: submission.on_found,
    events.FindFailed: submission.on_find_failed,
    events.OutcomesListed: _listed,
    events.ListingFailed: _listing_failed,
    events.OutcomeFetched: lambda core, event, now: collecting.on_fetched(core, event),
    events.OutcomeRead: collecting.on_read,
    events.OutcomeUnreadable: collecting.on_unreadable,
    events.OutcomeRefused: _refused,
    events.FetchFailed: collecting.on_fetch_failed,
    events.JobsReported: checkups.on_reported,
    events.ReportsFailed: checkups.on_reports_failed,
    events.ChildrenListed: checkups.on_children,
    events.ChildrenFailed: checkups.on_children_failed,
    events.JobsDiagnosed: checkups.on_diagnosed,
    events.ReplyPrepared: _prepared,
    events.Terminated: ending.on_terminated,
    events.TerminateFailed: ending.on_terminate_failed,
    events.ObjectsRemoved: lambda core, event, now: cleaning.on_removed(core),
    events.EndReported: stopping.on_end_reported,
    events.JobsNamed: lambda core, event, now: stopping.on_named(core, event),
    events.RunPurged: lambda core, event, now: stopping.on_purged(core),
}

_TIMERS: Final[Mapping[str, Callable[[Core, Timer, float], None]]] = {
    SCHEDULE.name: lambda core, timer, now: submission.schedule(core, now),
    watching.LOOK.name: lambda core, timer, now: watching.on_look_due(core, now),
    watching.KEYS.name: _more_keys,
    watching.CHECKUP.name: lambda core, timer, now: checkups.on_due(core, now),
    "grace": _grace_over,
    "submit": lambda core, timer, now: submission.on_due(core, timer.number, now),
    "fetch": lambda core, timer, now: collecting.on_fetch_due(core, timer.number),
    "end": lambda core, timer, now: ending.start_groups(core),
    "end again": lambda core, timer, now: ending.on_retry(core, timer.number),
    stopping.DEADLINE.name: lambda core, timer, now: stopping.on_deadline(core),
    stopping.SETTLED.name: lambda core, timer, now: stopping.on_settled(core),
    stopping.PAUSE.name: lambda core, timer, now: stopping.on_pause_over(core),
}
