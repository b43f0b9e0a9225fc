"""Turning waiting tasks into jobs: choose, load, pack, submit.

One submission at a time. That is what gathers tasks into arrays, and it makes numbering and retrying plain.

SubmitJob has no idempotency token, and the answer to one that worked can get lost. Each job therefore carries a name
that no other has, and after a failure that may have had its effect the name is looked up before anything is sent again.
"""

from __future__ import annotations

import logging
from typing import Final

from scaler_batch.aws import JobShape, JobSpec, ServiceError
from scaler_batch.payload.contract import (
    KEY_IN_CONTAINER,
    KEY_PARAMETER,
    PACK_PARAMETER,
    RUN_PARAMETER,
    SEQUENCE_PARAMETER,
)
from scaler_batch.payload.keys import pack_key
from scaler_batch.tasks.commands import FindJob, SubmitJob, WritePack
from scaler_batch.tasks.errors import StorageUnavailableError, SubmitRejectedError, TaskFailedError
from scaler_batch.tasks.events import FindFailed, JobFound, PackFailed, PackWritten, SubmitFailed, Submitted
from scaler_batch.tasks.models import Stage, job_names
from scaler_batch.tasks.scheduling import (
    BundleLimits,
    Queue,
    SlotState,
    auto_bundles,
    fixed_bundles,
    linger,
    may_start,
    next_bundles,
    turn_of,
)
from scaler_batch.tasks.state.attempt import Attempt, Step
from scaler_batch.tasks.state.cleaning import discard, discard_all
from scaler_batch.tasks.state.core import SCHEDULE, Core
from scaler_batch.tasks.state.ending import abandon, end
from scaler_batch.tasks.state.loading import ROOM, load
from scaler_batch.tasks.state.replying import answer
from scaler_batch.tasks.state.tables import Submission, Task, join_job
from scaler_batch.tasks.state.timers import Timer
from scaler_batch.tasks.state.watching import NO_OUTCOMES, on_launched, start_listing

logger = logging.getLogger(__name__)

LOOKS: Final = (1.0, 2.0, 5.0, 12.0)
"""Seconds between looks for a job that AWS Batch may have taken: at 1, 3, 8 and 20 s. ListJobs lags behind SubmitJob,
usually by less than a second; AWS states no bound."""


def schedule(core: Core, now: float) -> None:
    """Submit what waits, as far as slots are free and no other submission is under way."""
    submitting = core.submitting
    while submitting.attempt is None and (due := _due(core, now)) is not None:
        shape, bundles = due
        submitting.sequence += 1
        attempt = submitting.attempt = Attempt(submitting.sequence, shape, bundles, ROOM)
        if load(core, attempt, now):
            on_loaded(core, attempt, now)


def on_loaded(core: Core, attempt: Attempt, now: float) -> None:
    """Pack what was loaded; but first see whether outcomes can be read again, where that was given up."""
    core.timers.clear(Timer("grace", attempt.sequence))
    chosen = [[task for task in bundle if task in attempt.calls and not task.ended] for bundle in attempt.bundles]
    attempt.keep([bundle for bundle in chosen if bundle])
    if not attempt.bundles:
        _finish(core, attempt, now)
    elif core.watching.storage.is_hopeless:
        attempt.step = Step.CHECKING
        attempt.listing = start_listing(core)
    else:
        _pack(core, attempt)


def on_listing_over(core: Core, listing: int, worked: bool, now: float) -> None:
    """Go on if outcomes can be read again."""
    attempt = core.submitting.attempt
    if attempt is None or attempt.step is not Step.CHECKING or attempt.listing != listing:
        return
    if worked:
        _pack(core, attempt)
    else:
        error = core.watching.storage.error
        _fail(core, attempt, StorageUnavailableError(f"{NO_OUTCOMES}, so no job is started: {error}"), now)


def on_packed(core: Core, event: PackWritten, now: float) -> None:
    """Submit a job, unless all its tasks were cancelled meanwhile."""
    if (attempt := _at(core, event.sequence, Step.PACKING)) is None:
        return
    attempt.stored_at = now if event.stored else None
    if all(task.ended for task in attempt.tasks):
        _finish(core, attempt, now)
        return
    parameters = {
        RUN_PARAMETER: str(core.run),
        SEQUENCE_PARAMETER: str(attempt.sequence),
        PACK_PARAMETER: event.parameter,
        KEY_PARAMETER: _key_parameter(core, attempt.sequence),
    }
    name = f"{job_names(core.run.run_id)}{attempt.sequence}"
    logger.info(
        "submitting %s: %d task(s) in %d job(s), pack of %d bytes %s",
        name, len(attempt.tasks), len(attempt.bundles), event.size, "in S3" if event.stored else "inline",
    )  # fmt: skip
    attempt.job = JobSpec(name, attempt.shape, parameters, len(attempt.bundles))
    attempt.waits = core.settings.backoff.waits(core.random.uniform)
    core.submitting.in_doubt[name] = attempt.shape.queue
    _submit(core, attempt, attempt.job)


def on_not_packed(core: Core, event: PackFailed, now: float) -> None:
    """Fail the tasks whose pack could not be stored."""
    if (attempt := _at(core, event.sequence, Step.PACKING)) is not None:
        _fail(core, attempt, event.failure, now)


def on_submitted(core: Core, event: Submitted, now: float) -> None:
    """Take note of a job that AWS Batch has taken."""
    if (attempt := _at(core, event.sequence, Step.SUBMITTING, event.ask)) is not None:
        _launch(core, attempt, event.job_id, certain=not attempt.is_unsure, now=now)
    elif not _is_known(core, event.sequence, event.job_id):
        # Nobody waits for it any more.
        end(core, event.job_id)


def on_submit_failed(core: Core, event: SubmitFailed, now: float) -> None:
    """Try again, look for the job first, or fail its tasks."""
    if (attempt := _at(core, event.sequence, Step.SUBMITTING, event.ask)) is None:
        return
    attempt.error = event.error
    # For good: what was not to be found a moment ago may have been taken all the same.
    attempt.is_unsure = attempt.is_unsure or event.error.ambiguous
    attempt.looks = iter(LOOKS if attempt.is_unsure else ())
    _look_later(core, attempt, now)


def on_found(core: Core, event: JobFound, now: float) -> None:
    """Take note of a job that AWS Batch had taken unheard, or look once more."""
    attempt = _at(core, event.sequence, Step.FINDING, event.ask)
    if attempt is not None and event.job_id is not None:
        _launch(core, attempt, event.job_id, certain=attempt.sent == 1, now=now)
    elif attempt is not None:
        _look_later(core, attempt, now)
    elif event.job_id is not None and not _is_known(core, event.sequence, event.job_id):
        end(core, event.job_id)


def on_find_failed(core: Core, event: FindFailed, now: float) -> None:
    """Look once more, or fail the tasks of a job of which nobody knows whether it was taken."""
    if (attempt := _at(core, event.sequence, Step.FINDING, event.ask)) is None or attempt.job is None:
        return
    wait = next(attempt.find_waits, None) if _may_repeat(core, event.error) else None
    if wait is None:
        failure = SubmitRejectedError(
            f"AWS Batch did not say whether it took job {attempt.job.name}; "
            f"look for it there before submitting the task again: {event.error}"
        )
        _fail(core, attempt, failure, now)
        return
    attempt.step = Step.LOOKING
    core.timers.set(Timer("submit", attempt.sequence), now + wait)


def on_due(core: Core, sequence: int, now: float) -> None:
    """Do what was to be done later."""
    attempt = core.submitting.attempt
    if attempt is None or attempt.sequence != sequence or attempt.job is None:
        return
    if attempt.step is Step.WAITING:
        _submit(core, attempt, attempt.job)
    elif attempt.step is Step.LOOKING:
        attempt.step = Step.FINDING
        attempt.ask = core.number()
        core.emit(FindJob(sequence, attempt.ask, attempt.job.name, attempt.job.shape.queue))


def leave(core: Core, now: float) -> None:
    """Try nothing twice any more. What is in doubt is for whoever stops."""
    core.submitting.leaving = True
    attempt = core.submitting.attempt
    if attempt is not None and attempt.step in (Step.WAITING, Step.LOOKING):
        core.timers.clear(Timer("submit", attempt.sequence))
        _reject(core, attempt, now)


def is_submitting(core: Core) -> bool:
    """Whether AWS Batch is being asked to take a job."""
    attempt = core.submitting.attempt
    return attempt is not None and attempt.job is not None


def is_writing(core: Core) -> bool:
    """Whether something is being put into S3."""
    submitting = core.submitting
    return bool(submitting.storing) or (submitting.attempt is not None and submitting.attempt.step is Step.PACKING)


def _due(core: Core, now: float) -> tuple[JobShape, list[list[Task]]] | None:
    """The tasks that leave now, in bundles; ``None`` if none do, and then when to see again."""
    submitting = core.submitting
    if (shape := core.backlog.next_shape()) is None:
        submitting.idle_since = None
        return None
    queue = core.backlog.queue(shape)
    slots, limits = _slots(core, shape, queue, now)
    left = min(submitting.left, slots.free)
    jobs = max(may_start(slots), left)
    if jobs <= 0 or (now < submitting.gather_until and not slots.urgent and left <= 0):
        _see_later(core, now)
        return None
    submitting.idle_since = None
    bundles = next_bundles(queue, jobs, limits, core.durations, turn_of(core.settings.max_concurrent_jobs))
    submitting.left = jobs - len(bundles) if len(queue) else 0
    for bundle in bundles:
        for task in bundle:
            core.tasks.move(task, Stage.SUBMITTING)
    return shape, bundles


def _slots(core: Core, shape: JobShape, queue: Queue, now: float) -> tuple[SlotState, BundleLimits]:
    settings, submitting = core.settings, core.submitting
    free = settings.max_concurrent_jobs - core.jobs.open
    waiting = len(queue)
    limits = (
        auto_bundles(waiting, free, settings.max_concurrent_jobs, shape.timeout)
        if settings.tasks_per_job == "auto"
        else fixed_bundles(settings.tasks_per_job)
    )
    first = queue.peek()
    if free > 0 and submitting.idle_since is None:
        submitting.idle_since = now
    slots = SlotState(
        slots=settings.max_concurrent_jobs,
        free=free,
        wanted=queue.jobs(limits.share, enough=free + 1),
        urgent=first is not None and first.request.priority > 0,
        waited=0.0 if submitting.idle_since is None else now - submitting.idle_since,
        patience=settings.refill_wait,
    )
    return slots, limits


def _see_later(core: Core, now: float) -> None:
    submitting = core.submitting
    moments = [submitting.gather_until]
    if submitting.idle_since is not None:
        moments.append(submitting.idle_since + core.settings.refill_wait)
    ahead = [moment for moment in moments if moment > now]
    if ahead:
        core.timers.set(SCHEDULE, min(ahead))


def _pack(core: Core, attempt: Attempt) -> None:
    attempt.step = Step.PACKING
    calls = [[attempt.calls[task] for task in bundle] for bundle in attempt.bundles]
    # They may be large, and whoever makes the pack has them.
    attempt.calls, attempt.values = {}, {}
    settings = core.settings
    processes = settings.processes if max(map(len, calls)) > 1 else 0
    core.emit(WritePack(attempt.sequence, calls, settings.client, processes, settings.inline_limit))


def _key_parameter(core: Core, sequence: int) -> str:
    """The key that jobs sign with, unless they have what it is made from."""
    shared = core.settings.payload_key
    return core.seals.submission(sequence).key.reveal() if shared is None else f"{KEY_IN_CONTAINER}{shared.fingerprint}"


def _submit(core: Core, attempt: Attempt, job: JobSpec) -> None:
    attempt.step = Step.SUBMITTING
    attempt.sent += 1
    attempt.ask = core.number()
    core.emit(SubmitJob(attempt.sequence, attempt.ask, job))


def _look_later(core: Core, attempt: Attempt, now: float) -> None:
    """Look for a job until it would be listed if AWS Batch had taken it, and then submit it again."""
    pause = None if core.submitting.leaving else next(attempt.looks, None)
    if pause is not None:
        attempt.step = Step.LOOKING
        attempt.find_waits = core.settings.backoff.waits(core.random.uniform)
        core.timers.set(Timer("submit", attempt.sequence), now + pause)
        return
    wait = next(attempt.waits, None) if attempt.error and _may_repeat(core, attempt.error) else None
    if wait is None or attempt.job is None:
        _reject(core, attempt, now)
        return
    logger.warning("submitting %s failed, trying again: %s", attempt.job.name, attempt.error)
    if attempt.is_unsure:
        _submit(core, attempt, attempt.job)
    else:
        attempt.step = Step.WAITING
        core.timers.set(Timer("submit", attempt.sequence), now + wait)


def _may_repeat(core: Core, error: ServiceError) -> bool:
    return error.retryable and not core.submitting.leaving


def _launch(core: Core, attempt: Attempt, job_id: str, *, certain: bool, now: float) -> None:
    """Record the jobs, and end those whose tasks were cancelled while they were being submitted."""
    name = attempt.job.name if attempt.job else ""
    logger.info("submitted %s as job %s", name, job_id)
    _resolve(core, name, certain=certain)
    seal = core.seals.submission(attempt.sequence)
    submission = Submission(attempt.sequence, job_id, attempt.shape, attempt.bundles, seal, attempt.stored_at)
    core.jobs.add(submission)
    for job, bundle in zip(list(submission.jobs.values()), attempt.bundles, strict=True):
        for position, task in enumerate(bundle):
            if core.tasks.move(task, Stage.RUNNING):
                join_job(task, job, position)
            else:
                job.runs_in_vain = True
        abandon(core, job)
    on_launched(core, now)
    _finish(core, attempt, now)


def _reject(core: Core, attempt: Attempt, now: float) -> None:
    if attempt.job is not None and attempt.error is not None:
        _resolve(core, attempt.job.name, certain=not attempt.is_unsure)
        _fail(core, attempt, _rejected(attempt.error), now)


def _resolve(core: Core, name: str, *, certain: bool) -> None:
    """Take note of how a submission ended; one that was sent again may have been taken twice."""
    if certain:
        core.submitting.in_doubt.pop(name, None)


def _fail(core: Core, attempt: Attempt, failure: TaskFailedError, now: float) -> None:
    for task in attempt.tasks:
        if task.stage is Stage.SUBMITTING:
            answer(core, task, failure)
    _finish(core, attempt, now)


def _finish(core: Core, attempt: Attempt, now: float) -> None:
    submitting = core.submitting
    submitting.attempt = None
    submitting.gather_until = now + linger(core.stream.seconds(now), core.jobs.open)
    if core.jobs.get(attempt.sequence) is None:
        # Nobody waits for it, even if AWS Batch has taken it unheard.
        if attempt.stored_at is not None:
            discard(core, pack_key(attempt.sequence))
        discard_all(core, core.objects.release(attempt.sequence))
    core.reschedule(now)


def _at(core: Core, sequence: int, step: Step, ask: int = 0) -> Attempt | None:
    """The submission under way, if it is this one, has come this far, and waits for the answer to this question."""
    attempt = core.submitting.attempt
    if attempt is None or attempt.sequence != sequence or attempt.step is not step or attempt.ask != ask:
        return None
    return attempt


def _is_known(core: Core, sequence: int, job_id: str) -> bool:
    submission = core.jobs.get(sequence)
    return submission is not None and submission.job_id == job_id


def _rejected(error: ServiceError) -> SubmitRejectedError:
    if error.awaits_credentials:
        return SubmitRejectedError(f"AWS Batch refuses the worker's credentials, and nobody has renewed them: {error}")
    if error.retryable:
        return SubmitRejectedError(f"AWS Batch could not be reached; submit the task again later: {error}")
    return SubmitRejectedError(
        "AWS Batch does not take the job; check that its queue and definition exist and are enabled, "
        f"and that the worker's credentials may submit to them: {error}"
    )
