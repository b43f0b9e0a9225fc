"""Ending every job of a run, and making sure of it.

Four kinds of jobs may run: those that are open, those that were to be ended already, those that have answered and not
left, and those of which nobody knows, because the answer to their SubmitJob was lost. The last kind is found by the
names of the run's jobs. ListJobs lags, so there are several looks.

::

    CHECKING ──► ENDING ──► SETTLING ──► ENDING_REST ──► SWEEPING ──► PURGING ──► OVER      any ──► OVER when time is up
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from enum import Enum
from typing import Final

from scaler_batch.tasks.commands import DescribeEnded, ListNamedJobs, PurgeRun
from scaler_batch.tasks.events import EndReported, JobsNamed, StopAsked
from scaler_batch.tasks.models import Stage, job_names
from scaler_batch.tasks.retrying import Backoff
from scaler_batch.tasks.state import ending, submission
from scaler_batch.tasks.state.core import Core
from scaler_batch.tasks.state.timers import Timer

logger = logging.getLogger(__name__)

LOOKS: Final = (0.0, *submission.LOOKS)
"""Seconds between looks for jobs of which nobody knows: 20 s in all, as after a submission."""

_SETTLING: Final = 0.5
"""Part of the time for stopping that a submission under way may take."""

_PAUSE: Final = 0.25
"""Seconds between two looks at whether the jobs have ended."""

_UNANSWERED: Final = Backoff(first=2 * _PAUSE, longest=2.0, within=math.inf)
"""The same while AWS Batch does not answer."""

DEADLINE: Final = Timer("stop deadline")
SETTLED: Final = Timer("stop settled")
PAUSE: Final = Timer("stop pause")


class Step(Enum):
    """How far a stop has come."""

    ENDING = "ending"
    """Jobs that are known are being ended."""
    CHECKING = "checking"
    """AWS Batch is asked once whether those that have answered have left."""
    SETTLING = "settling"
    """A submission under way comes to its end."""
    ENDING_REST = "ending the rest"
    """What it has made is being ended."""
    SWEEPING = "sweeping"
    """Jobs of which nobody knows are looked for, and ended."""
    PURGING = "purging"
    """The run's objects are being removed."""
    OVER = "over"
    """Nothing follows."""


class Stop:
    """A stop under way.

    Attributes:
        within: Seconds that it may take.
        step: How far it has come.
        confirmed: Whether AWS Batch has confirmed that no job of ours runs.
        left: Jobs that AWS Batch has not called over.
        ended: Those that it has.
        asking: What AWS Batch is being asked, by number; ``None`` for nothing.
        looks: Seconds before each further look for jobs of which nobody knows.
        found: How many the last look has found.
        waits: Seconds before each further try, while AWS Batch does not answer.
    """

    def __init__(self, within: float, waits: Iterator[float]) -> None:
        self.within = within
        self.step = Step.ENDING
        self.confirmed = False
        self.left: set[str] = set()
        self.ended: set[str] = set()
        self.asking: int | None = None
        self.looks: Iterator[float] = iter(LOOKS)
        self.found = 0
        self.waits = waits


def on_asked(core: Core, event: StopAsked, now: float) -> None:
    """Forget all tasks and end all jobs."""
    stop = core.stop = Stop(event.within, _UNANSWERED.waits(core.random.uniform))
    core.timers.set(DEADLINE, now + event.within)
    # A SubmitJob that gets no answer is not waited for to the last: its job can be found by its name.
    core.timers.set(SETTLED, now + event.within * _SETTLING)
    # Jobs that are being submitted are recorded before they are given up, so that they end by their parent's id.
    _forget(core, but=Stage.SUBMITTING)
    _end_all(core, stop)
    go_on(core, now)


def go_on(core: Core, now: float) -> None:
    """Go to the next step once nothing is left of this one; called after every event while stopping."""
    stop = core.stop
    while stop is not None and stop.step is not Step.OVER and stop.asking is None and not ending.is_busy(core):
        if stop.left:
            if math.isinf(core.timers.moment(PAUSE)):
                _ask(core, stop, stop.left)
            return
        if not _next_step(core, stop, now):
            return


def on_end_reported(core: Core, event: EndReported, now: float) -> None:
    """Take note of the jobs that are over."""
    stop = core.stop
    if stop is None or stop.asking != event.ask:
        return
    stop.asking = None
    reports = event.reports
    if stop.step is Step.CHECKING:
        stop.step = Step.SETTLING
        _end(core, stop, [job_id for job_id, report in (reports or {}).items() if not report.status.is_final])
        return
    if reports is None:
        core.timers.set(PAUSE, now + next(stop.waits))
        return
    over = {job_id for job_id in stop.left if job_id not in reports or reports[job_id].status.is_final}
    stop.left -= over
    stop.ended |= over
    stop.waits = _UNANSWERED.waits(core.random.uniform)
    if stop.left:
        core.timers.set(PAUSE, now + _PAUSE)


def on_named(core: Core, event: JobsNamed) -> None:
    """End jobs of which nobody knew."""
    stop = core.stop
    if stop is None or stop.asking != event.ask:
        return
    stop.asking = None
    found = set(event.job_ids) - stop.ended
    stop.found = len(found)
    if found:
        logger.info("found %d job(s) whose submission was never confirmed; ending them", len(found))
        _end(core, stop, sorted(found))


def on_settled(core: Core) -> None:
    """Wait no longer for what need not be known."""
    if core.stop is not None and core.stop.step is Step.CHECKING:
        core.stop.asking = None
        core.stop.step = Step.SETTLING


def on_deadline(core: Core) -> None:
    """Give up."""
    stop = core.stop
    if stop is None or stop.step is Step.OVER:
        return
    if stop.step is Step.PURGING:
        logger.warning(
            "all jobs are ended, but S3 did not remove the run's objects in time; the bucket's lifecycle will"
        )
    else:
        logger.error("not all jobs could be ended within %.1f s: %s", stop.within, _unconfirmed(core, stop))
    _over(core, stop)


def on_purged(core: Core) -> None:
    """The last step is done."""
    if core.stop is not None and core.stop.step is Step.PURGING:
        _over(core, core.stop)


def _next_step(core: Core, stop: Stop, now: float) -> bool:
    """Take the next step; ``False`` where it has to be waited for."""
    match stop.step:
        case Step.ENDING:
            submission.leave(core, now)
            return _check(core, stop)
        case Step.SETTLING:
            if submission.is_submitting(core) and core.timers.moment(SETTLED) > now:
                return False
            core.timers.clear(SETTLED)
            stop.step = Step.ENDING_REST
            _forget(core)
            _end_all(core, stop)
            return True
        case Step.ENDING_REST:
            stop.step = Step.SWEEPING
            return True
        case Step.SWEEPING:
            return _sweep(core, stop, now)
        case Step.PURGING if not submission.is_writing(core):
            stop.asking = core.number()
            core.cleaning.keys = {}
            core.emit(PurgeRun())
            return False
        case _:
            return False


def _sweep(core: Core, stop: Stop, now: float) -> bool:
    """Look for jobs of which nobody knows, until all that there can be are found or looks are used up."""
    if not math.isinf(core.timers.moment(PAUSE)):
        return False
    in_doubt = core.submitting.in_doubt
    pause = next(stop.looks, None) if stop.found < len(in_doubt) else None
    if pause is None:
        stop.step = Step.PURGING
        stop.confirmed = True
        return True
    core.timers.set(PAUSE, now + pause)
    return False


def on_pause_over(core: Core) -> None:
    """Ask AWS Batch once more."""
    stop = core.stop
    if stop is None or stop.step is Step.OVER or stop.asking is not None:
        return
    if stop.left:
        _ask(core, stop, stop.left)
    else:
        stop.asking = core.number()
        queues = sorted(set(core.submitting.in_doubt.values()))
        core.emit(ListNamedJobs(stop.asking, job_names(core.run.run_id), queues))


def _check(core: Core, stop: Stop) -> bool:
    """Ask whether the jobs that have answered have left; nobody waits for those that have not."""
    answered = set(core.ending.answered) - set(core.ending.recent)
    if answered and core.timers.moment(SETTLED) < math.inf:
        stop.step = Step.CHECKING
        _ask(core, stop, answered)
        return False
    stop.step = Step.SETTLING
    return True


def _ask(core: Core, stop: Stop, job_ids: set[str]) -> None:
    stop.asking = core.number()
    core.emit(DescribeEnded(stop.asking, sorted(job_ids)))


def _forget(core: Core, but: Stage | None = None) -> None:
    for task in core.tasks:
        if task.stage is not but:
            core.tasks.forget(task)


def _end_all(core: Core, stop: Stop) -> None:
    """End all jobs that are known: a submission by its parent's id, one call for fifty arrays of ten thousand."""
    parents = list(core.jobs)
    for parent in parents:
        for job in list(parent.jobs.values()):
            ending.close(core, job)
    stop.left |= set(core.ending.recent) - stop.ended
    _end(core, stop, [parent.job_id for parent in parents])


def _end(core: Core, stop: Stop, job_ids: list[str]) -> None:
    stop.left |= set(job_ids)
    for job_id in job_ids:
        ending.end(core, job_id, ending.STOPPED)


def _over(core: Core, stop: Stop) -> None:
    stop.step = Step.OVER
    # A job that AWS Batch still takes is then ended, since nobody waits for it.
    _forget(core)
    for timer in (DEADLINE, SETTLED, PAUSE):
        core.timers.clear(timer)


def _unconfirmed(core: Core, stop: Stop) -> str:
    """Say which jobs may still be running."""
    job_ids = sorted(stop.left | {parent.job_id for parent in core.jobs})
    said = [f"these may still be running: {', '.join(job_ids)}"] if job_ids else []
    if core.submitting.in_doubt:
        names = ", ".join(f"{name} in queue {queue}" for name, queue in core.submitting.in_doubt.items())
        said.append(f"AWS Batch may have taken these without confirming it: {names}")
    return "; ".join(said) or "none were running"
