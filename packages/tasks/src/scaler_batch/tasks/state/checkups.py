"""Finding jobs that died without an outcome.

One DescribeJobs for a hundred singles and array parents, those that were asked for longest ago, then ListJobs for the
failed children of an array only. A job that Batch calls over has published before it ended, and S3 shows what was put.
So whoever is found over is answered from one more listing, and only what is not in it has failed.

::

    REPORTING ──► CHILDREN ──► LISTING ──► DIAGNOSING ──► (done)      each may be skipped, and each may fail
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from scaler_batch.aws import JobReport, JobStatus, ServiceError
from scaler_batch.aws.limits import DESCRIBE_JOBS
from scaler_batch.tasks.commands import DescribeJobs, DiagnoseJobs, ListFailedChildren
from scaler_batch.tasks.errors import BatchUnavailableError, JobFailedError
from scaler_batch.tasks.events import ChildrenFailed, ChildrenListed, JobsDiagnosed, JobsReported, ReportsFailed
from scaler_batch.tasks.failures import job_failed, job_lost, unschedulable
from scaler_batch.tasks.state.collecting import settle
from scaler_batch.tasks.state.core import Core
from scaler_batch.tasks.state.ending import end, start_groups
from scaler_batch.tasks.state.tables import Job, Submission
from scaler_batch.tasks.state.watching import (
    CHECKUP,
    checkup_from,
    give_up,
    having_waited,
    rest,
    start_listing,
    tell_reasons,
    without,
    worry,
)

logger = logging.getLogger(__name__)

_ASKED: Final = DESCRIBE_JOBS // 2
"""Submissions asked for at a time: one DescribeJobs, with a child for each."""

_PATIENT: Final = 3
"""Checkups without a change after which a child of an array is asked for."""

_CALMER: Final = 2.0
"""How much later each checkup comes than the one before, while nobody is found dead."""

NO_REPORTS: Final = (
    "what becomes of the task's job cannot be told, because AWS Batch does not answer. "
    "Check that the worker's credentials may call DescribeJobs and ListJobs"
)


class Checkup:
    """One look at AWS Batch.

    Attributes:
        number: Its number.
        submissions: Who is asked for.
        reports: What AWS Batch says of jobs, by their ids.
        unlisted: Arrays whose failed children are not listed yet, by the numbers of their submissions.
        named: How many failed children were listed, by the numbers of their submissions.
        dead: Jobs that are over, each with AWS Batch's report or, without one, our own failure.
        listing: The look for what the dead have published.
    """

    def __init__(self, number: int, submissions: Sequence[Submission]) -> None:
        self.number = number
        self.submissions = submissions
        self.reports: Mapping[str, JobReport] | None = None
        self.unlisted: set[int] = set()
        self.named: dict[int, int] = {}
        self.dead: dict[Job, JobReport | JobFailedError] = {}
        self.listing: int | None = None


def on_due(core: Core, now: float) -> None:
    """Ask AWS Batch after submissions."""
    watching, polling = core.watching, core.settings.polling
    if not core.jobs:
        rest(core)
        return
    if watching.checkup is not None:
        return
    # Before the call: one that fails is not to be tried again at the pace of looking.
    core.timers.set(CHECKUP, checkup_from(core, now))
    # While nobody is found dead, the next look comes a little later, until something is.
    watching.calm = min(_CALMER * watching.calm, max(polling.batch_check_ratio * polling.longest, watching.calm))
    submissions = heapq.nsmallest(_ASKED, core.jobs, key=lambda each: each.checked_at)
    watching.checkup = Checkup(core.number(), submissions)
    core.emit(DescribeJobs(watching.checkup.number, [name for each in submissions for name in _names(each)]))


def on_reported(core: Core, event: JobsReported, now: float) -> None:
    """Find out who is over, and list the failed children of arrays that have more of them than were seen."""
    if (checkup := _current(core, event.checkup)) is None or checkup.reports is not None:
        return
    checkup.reports = event.reports
    for submission in checkup.submissions:
        report = event.reports.get(submission.job_id)
        if submission.jobs and report is not None and report.failed_children > submission.failures_seen:
            checkup.unlisted.add(submission.sequence)
            core.emit(ListFailedChildren(checkup.number, submission.sequence, submission.job_id))
    _judge_when_listed(core, checkup, now)


def on_children(core: Core, event: ChildrenListed, now: float) -> None:
    """Take note of the children of an array that have failed."""
    if (checkup := _current(core, event.checkup)) is None or event.sequence not in checkup.unlisted:
        return
    checkup.unlisted.discard(event.sequence)
    checkup.named[event.sequence] = len(event.children)
    for child in event.children:
        if (job := core.jobs.find(event.sequence, child.index)) is not None:
            checkup.dead[job] = child
    _judge_when_listed(core, checkup, now)


def on_children_failed(core: Core, event: ChildrenFailed, now: float) -> None:
    """Do without children that may not be listed; ask again later where AWS Batch does not answer."""
    if (checkup := _current(core, event.checkup)) is None or event.sequence not in checkup.unlisted:
        return
    if event.error.retryable:
        _fail(core, event.error, now)
        return
    logger.warning("the children of array %d cannot be seen: %s", event.sequence, event.error)
    checkup.unlisted.discard(event.sequence)
    checkup.named[event.sequence] = 0
    _judge_when_listed(core, checkup, now)


def on_reports_failed(core: Core, event: ReportsFailed, now: float) -> None:
    """Ask again later, or give up all jobs."""
    if (checkup := _current(core, event.checkup)) is not None and checkup.reports is None:
        _fail(core, event.error, now)


def on_listing_over(core: Core, listing: int, worked: bool, now: float) -> None:
    """What the dead have published is seen; find out why the others have died."""
    checkup = core.watching.checkup
    if checkup is None or checkup.listing != listing:
        return
    if not worked:
        _finish(core, checkup, now, answered=False)
        return
    checkup.dead = {job: found for job, found in checkup.dead.items() if job.is_open}
    if reports := [found for found in checkup.dead.values() if isinstance(found, JobReport)]:
        core.emit(DiagnoseJobs(checkup.number, reports))
    else:
        _bury(core, checkup, {}, now)


def on_diagnosed(core: Core, event: JobsDiagnosed, now: float) -> None:
    """Answer for jobs that are over, as soon as what they published is read."""
    if (checkup := _current(core, event.checkup)) is not None and checkup.listing is not None:
        _bury(core, checkup, event.failures, now)


def _current(core: Core, number: int) -> Checkup | None:
    checkup = core.watching.checkup
    return checkup if checkup is not None and checkup.number == number else None


def _judge_when_listed(core: Core, checkup: Checkup, now: float) -> None:
    if checkup.unlisted:
        return
    if core.watching.batch.worked():
        logger.info("AWS Batch answers again")
    for submission in checkup.submissions:
        if submission.jobs:
            _judge(core, checkup, submission, now)
    start_groups(core)
    if not checkup.dead:
        _finish(core, checkup, now, answered=True)
        return
    worry(core)
    for job, found in checkup.dead.items():
        job.death = found.status_reason or found.status if isinstance(found, JobReport) else found.reason
    checkup.listing = start_listing(core)


def _judge(core: Core, checkup: Checkup, submission: Submission, now: float) -> None:
    """Find the jobs of a submission that are over, whether or not they left an outcome."""
    reports = checkup.reports or {}
    if (report := reports.get(submission.job_id)) is None:
        _judge_missing(core, checkup, submission, now)
        return
    submission.missing_since = None
    eldest = submission.eldest
    told = reports.get(eldest.job_id, report)
    _note_strange(core, told)
    submission.wait.note(told, now)
    if submission.wait.is_hopeless(now, core.settings.misconfiguration_patience):
        # It might start one day, and nobody will wait for it.
        end(core, submission.job_id)
        for job in submission.jobs.values():
            checkup.dead[job] = unschedulable(replace(told, job_id=job.job_id))
    elif told.status.is_final and not report.status.is_final:
        # A child that ended well is in no list of failed ones, and its parent is not over before the last one is.
        checkup.dead.setdefault(eldest, told)
    elif report.status.is_final:
        # Whoever is still open then has neither failed by name nor published: only the parent can speak for it.
        for job in submission.jobs.values():
            checkup.dead.setdefault(job, replace(report, job_id=job.job_id))


def _judge_missing(core: Core, checkup: Checkup, submission: Submission, now: float) -> None:
    """Give up a job that Batch has not known for too long; a new one takes a moment to be known."""
    if submission.missing_since is None:
        submission.missing_since = now
    if now - submission.missing_since >= core.settings.polling.patience:
        # What is not shown may run all the same, and nobody will wait for it.
        end(core, submission.job_id)
        checkup.dead |= {job: job_lost(job.job_id) for job in submission.jobs.values()}


def _note_strange(core: Core, report: JobReport) -> None:
    """A state that nobody knows here is not an end: its job is watched on."""
    if report.status is JobStatus.UNKNOWN and report.job_id not in core.watching.strange:
        core.watching.strange.add(report.job_id)
        logger.warning("job %s is in a state that this release does not know; watching on", report.job_id)


def _bury(core: Core, checkup: Checkup, failures: Mapping[str, JobFailedError], now: float) -> None:
    for job, found in checkup.dead.items():
        failure = found if isinstance(found, JobFailedError) else failures.get(job.job_id) or job_failed(found)
        if job.unanswered and not job.fetching:
            logger.warning("job %s is over, %d task(s) unanswered: %s", job.job_id, len(job.unanswered), failure.reason)
        job.failure = having_waited(failure, job)
        settle(core, job, now)
    _finish(core, checkup, now, answered=True)


def _finish(core: Core, checkup: Checkup, now: float, *, answered: bool) -> None:
    core.watching.checkup = None
    for submission in checkup.submissions:
        submission.checked_at = now
        submission.idle_checks += 1
        # Only now, and only those named: had answering failed, or Batch not listed them yet, they are asked for again.
        if answered:
            submission.failures_seen = max(checkup.named.get(submission.sequence, 0), submission.failures_seen)
    tell_reasons(core)
    core.timers.advance(CHECKUP, checkup_from(core, now))


def _fail(core: Core, error: ServiceError, now: float) -> None:
    core.watching.checkup = None
    core.timers.advance(CHECKUP, checkup_from(core, now))
    batch = core.watching.batch
    if batch.failed(error, now):
        logger.warning("AWS Batch does not tell of jobs for %.0f s, trying again: %s", batch.seconds(now), error)
    if batch.is_hopeless:
        give_up(core, lambda job: without(BatchUnavailableError, f"{NO_REPORTS}: {error}", job), now)


def _names(submission: Submission) -> list[str]:
    """What to ask for: the job, and of an array that does not move one child, since its parent never says why."""
    moves = submission.idle_checks < _PATIENT or submission.eldest.job_id == submission.job_id
    return [submission.job_id] if moves else [submission.job_id, submission.eldest.job_id]
