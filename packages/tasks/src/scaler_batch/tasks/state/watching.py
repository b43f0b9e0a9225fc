"""Seeing outcomes appear: one listing of the run's outcomes, a thousand keys a call, however many jobs there are.

A look comes soon after something happened, and ever more rarely while nothing does. Where outcomes cannot be listed,
for good or for longer than the settings allow, nobody can tell what becomes of the jobs; they are ended, and their
tasks fail with the cause.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Final, TypeVar

from scaler_batch.payload.errors import ContractError
from scaler_batch.payload.keys import parse_outcome_key
from scaler_batch.tasks.commands import ListOutcomes
from scaler_batch.tasks.errors import StorageUnavailableError, TaskFailedError
from scaler_batch.tasks.events import ListingFailed, OutcomesListed
from scaler_batch.tasks.models import Stage
from scaler_batch.tasks.state.cleaning import discard
from scaler_batch.tasks.state.collecting import see, settle
from scaler_batch.tasks.state.core import Core
from scaler_batch.tasks.state.ending import end, start_groups
from scaler_batch.tasks.state.tables import Job
from scaler_batch.tasks.state.timers import Timer

logger = logging.getLogger(__name__)

LOOK: Final = Timer("look")
CHECKUP: Final = Timer("checkup")
KEYS: Final = Timer("keys")

AT_ONCE: Final = 250
"""Keys of a listing that are looked at before others have their turn: whoever can write to the bucket can have it list
as many as they like."""

NO_OUTCOMES: Final = (
    "what came of the task cannot be told, because S3 does not let the worker read outcomes. "
    "Check that the bucket exists and that the worker's credentials may list and read it"
)

_E = TypeVar("_E", bound=TaskFailedError)


def on_launched(core: Core, now: float) -> None:
    """Look soon after jobs were submitted."""
    note_event(core, now)
    core.timers.advance(LOOK, now + _soon(core))


def on_look_due(core: Core, now: float) -> None:
    """Look for outcomes, if there are jobs that may leave some."""
    if not core.jobs:
        rest(core)
    elif core.watching.listing is None:
        core.watching.listing = start_listing(core)


def start_listing(core: Core) -> int:
    """Have outcomes listed."""
    number = core.number()
    core.emit(ListOutcomes(number))
    return number


def on_listed(core: Core, event: OutcomesListed, now: float) -> int | None:
    """Take note of a listing; return its number once all of it was looked at."""
    if core.watching.storage.worked():
        logger.info("outcomes can be listed again")
    core.watching.keys.append((event.listing, deque(event.keys)))
    return look_at_keys(core, now) if len(core.watching.keys) == 1 else None


def look_at_keys(core: Core, now: float) -> int | None:
    """Look at some keys; return the number of the listing if they were its last."""
    if not core.watching.keys:
        return None
    listing, keys = core.watching.keys[0]
    seen = [_see(core, keys.popleft(), now) for _ in range(min(AT_ONCE, len(keys)))]
    if any(seen):
        note_event(core, now)
    if not keys:
        core.watching.keys.popleft()
    if core.watching.keys:
        core.timers.advance(KEYS, now)
    if keys:
        return None
    look_again(core, listing, now)
    return listing


def on_listing_failed(core: Core, event: ListingFailed, now: float) -> None:
    """Try again later, or give up all jobs."""
    storage, error = core.watching.storage, event.error
    if storage.failed(error, now):
        logger.warning("outcomes cannot be listed for %.0f s, trying again: %s", storage.seconds(now), error)
    if storage.is_hopeless:
        give_up(core, lambda job: without(StorageUnavailableError, f"{NO_OUTCOMES}: {error}", job), now)
    look_again(core, event.listing, now)


def look_again(core: Core, listing: int, now: float) -> None:
    """Plan the next look, if this one was planned."""
    if core.watching.listing == listing:
        core.watching.listing = None
        if core.jobs:
            core.timers.advance(LOOK, now + interval(core, now))
        else:
            rest(core)


def give_up(core: Core, failure: Callable[[Job], TaskFailedError], now: float) -> None:
    """End all jobs, since nobody can tell what becomes of them."""
    submissions = list(core.jobs)
    if submissions:
        logger.error("giving up %d job(s) of %d submission(s)", core.jobs.open, len(submissions))
    for submission in submissions:
        end(core, submission.job_id)
    start_groups(core)
    for submission in submissions:
        for job in list(submission.jobs.values()):
            job.read_error = job.failure = failure(job)
            settle(core, job, now)


def rest(core: Core) -> None:
    """Ask for nothing more until there is a job; AWS Batch has to take that first, so it is not given up before."""
    core.timers.clear(LOOK)
    core.timers.clear(CHECKUP)
    core.watching.batch.worked()
    worry(core)
    tell_reasons(core)


def note_event(core: Core, now: float) -> None:
    """Look soon again. A checkup that is due sooner stays so, else steady traffic would put it off for ever."""
    core.watching.last_event = now
    core.timers.advance(CHECKUP, checkup_from(core, now))
    core.timers.advance(LOOK, now + interval(core, now))


def worry(core: Core) -> None:
    """Look at AWS Batch more often again."""
    core.watching.calm = core.settings.polling.batch_check_shortest


def checkup_from(core: Core, now: float) -> float:
    """When to look at AWS Batch, as seen from now."""
    return now + max(core.settings.polling.batch_check_ratio * interval(core, now), core.watching.calm)


def interval(core: Core, now: float) -> float:
    """Seconds between two looks at the store."""
    polling = core.settings.polling
    return min(max(polling.backoff_fraction * (now - core.watching.last_event), _soon(core)), polling.longest)


def tell_reasons(core: Core) -> None:
    """Say what jobs wait for, once a reason, and when none waits for it any more."""
    waiting, told = core.jobs.waiting(), core.watching.reasons
    for reason in waiting.keys() - told:
        said = next(each.wait.said for each in core.jobs if each.wait.reason == reason)
        logger.warning("%d job(s) wait, and AWS Batch says why: %s", waiting[reason], said)
    for reason in told - waiting.keys():
        logger.info("no job waits any more for %s", reason)
    core.watching.reasons = set(waiting)


def without(kind: type[_E], text: str, job: Job) -> _E:
    """Say why nobody can tell what came of a job, and what is known of it all the same."""
    said = f"\nAWS Batch says that it is over: {job.death}" if job.death else ""
    failure = kind(f"{text}\njob: {job.job_id}{said}")
    failure.job_id, failure.reason = job.job_id, job.death
    return having_waited(failure, job)


def having_waited(failure: _E, job: Job) -> _E:
    """Add to a failure what its job has waited for until then."""
    said = job.submission.wait.said
    if said and said not in str(failure):
        failure.args = (f"{failure}\nwaited for: {said}",)
    return failure


def _soon(core: Core) -> float:
    """The more tasks are running, the more of them one look sees that comes a little later."""
    polling = core.settings.polling
    scaled = polling.shortest * (1 + core.tasks.count(Stage.RUNNING) / polling.tasks_per_doubling)
    return min(scaled, max(polling.longest_scaled, polling.shortest))


def _see(core: Core, key: str, now: float) -> bool:
    try:
        found = parse_outcome_key(key)
    except ContractError:
        _pass_over(core, key)
        return False
    job = core.jobs.find(found.sequence, found.child)
    if job is None:
        _remove_orphan(core, found.sequence, key)
        return False
    if key in job.seen:
        return False
    if not job.seal.owns(found) or (found.first is not None and found.first >= job.size):
        _pass_over(core, key)
        return False
    if found.first is None:
        _note_interruption(core, job, key, now)
        return False
    see(core, job, key, now)
    return True


def _remove_orphan(core: Core, sequence: int, key: str) -> None:
    """Remove what a job has published that nobody waits for. A job that is being submitted may be waited for."""
    attempt = core.submitting.attempt
    is_over = sequence <= core.submitting.sequence and (attempt is None or attempt.sequence != sequence)
    if is_over and key not in core.reading.unread and key not in core.reading.pending:
        discard(core, key)


def _pass_over(core: Core, key: str) -> None:
    """Leave alone what no job of ours has called so, and say so the first time: each listing shows it again."""
    if not core.watching.has_passed_over:
        core.watching.has_passed_over = True
        logger.warning("ignoring unexpected objects among the outcomes, such as %r", key)


def _note_interruption(core: Core, job: Job, key: str, now: float) -> None:
    """An attempt was told to stop: whether another follows, AWS Batch knows."""
    job.seen.add(key)
    discard(core, key)
    worry(core)
    note_event(core, now)
