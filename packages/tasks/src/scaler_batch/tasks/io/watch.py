"""What is new in S3, and what AWS Batch says of jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from scaler_batch.aws import JobReport, ServiceError
from scaler_batch.payload import Store
from scaler_batch.payload.errors import StoreError
from scaler_batch.payload.keys import OUTCOMES
from scaler_batch.tasks.commands import DescribeJobs, DiagnoseJobs, ListFailedChildren, ListOutcomes
from scaler_batch.tasks.events import (
    ChildrenFailed,
    ChildrenListed,
    JobsDiagnosed,
    JobsReported,
    ListingFailed,
    OutcomesListed,
    ReportsFailed,
)
from scaler_batch.tasks.failures import LOG_LINES, job_failed
from scaler_batch.tasks.ports import JobService

DIAGNOSED: Final = 20
"""Dead jobs of one checkup that are looked into; where there are more, they have most likely died of the same."""


async def list_outcomes(store: Store, command: ListOutcomes) -> OutcomesListed | ListingFailed:
    """List the run's outcomes."""
    try:
        return OutcomesListed(command.listing, await store.list(OUTCOMES))
    except StoreError as error:
        return ListingFailed(command.listing, error)


async def describe_jobs(jobs: JobService, command: DescribeJobs) -> JobsReported | ReportsFailed:
    """Ask how jobs are."""
    try:
        return JobsReported(command.checkup, await jobs.describe(command.job_ids))
    except ServiceError as error:
        return ReportsFailed(command.checkup, error)


async def list_failed_children(jobs: JobService, command: ListFailedChildren) -> ChildrenListed | ChildrenFailed:
    """Ask which children of an array have failed."""
    try:
        return ChildrenListed(command.checkup, command.sequence, await jobs.failed_children(command.job_id))
    except ServiceError as error:
        return ChildrenFailed(command.checkup, command.sequence, error)


async def diagnose_jobs(jobs: JobService, command: DiagnoseJobs) -> JobsDiagnosed:
    """Find out why jobs died. What AWS does not let us see is left out, without an error."""
    near, far = await _detailed(jobs, command.reports[:DIAGNOSED]), command.reports[DIAGNOSED:]
    tails = await asyncio.gather(*(_tail(jobs, report) for report in near))
    told = [replace(report, log_tail=tail) for report, tail in zip(near, tails, strict=True)]
    return JobsDiagnosed(command.checkup, {report.job_id: job_failed(report) for report in (*told, *far)})


async def _detailed(jobs: JobService, reports: Sequence[JobReport]) -> list[JobReport]:
    """A listing of children leaves out attempts and logs; describing them does not."""
    sparse = [report.job_id for report in reports if not report.log_stream]
    try:
        described = await jobs.describe(sparse) if sparse else {}
    except ServiceError:
        described = {}
    return [described.get(report.job_id, report) for report in reports]


async def _tail(jobs: JobService, report: JobReport) -> tuple[str, ...]:
    try:
        return await jobs.tail(report, LOG_LINES) if report.log_stream else ()
    except ServiceError:
        return ()
