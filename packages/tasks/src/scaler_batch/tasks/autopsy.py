"""Why jobs have died, with the end of their logs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from scaler_batch.aws import JobReport, ServiceError
from scaler_batch.tasks.errors import JobFailedError
from scaler_batch.tasks.failures import job_failed
from scaler_batch.tasks.ports import JobService

EXPLAINED: Final = 20
"""Dead jobs of one checkup that are looked into; where there are more, they have most likely died of the same."""

LINES: Final = 50
"""Log lines that go with each."""


class Autopsy:
    """Looks into dead jobs, as far as AWS lets it: a failure to see more is no failure."""

    def __init__(self, jobs: JobService) -> None:
        self._jobs = jobs

    async def explain(self, reports: Sequence[JobReport]) -> list[JobFailedError]:
        """Return the failure of each dead job, in order."""
        near, far = await self._detailed(reports[:EXPLAINED]), reports[EXPLAINED:]
        tails = await asyncio.gather(*map(self._tail, near))
        told = [replace(report, log_tail=tail) for report, tail in zip(near, tails, strict=True)]
        return [job_failed(report) for report in (*told, *far)]

    async def _detailed(self, reports: Sequence[JobReport]) -> list[JobReport]:
        """A listing of children leaves out attempts and logs; describing them does not."""
        sparse = [report.job_id for report in reports if not report.log_stream]
        try:
            described = await self._jobs.describe(sparse) if sparse else {}
        except ServiceError:
            described = {}
        return [described.get(report.job_id, report) for report in reports]

    async def _tail(self, report: JobReport) -> tuple[str, ...]:
        try:
            return await self._jobs.tail(report, LINES) if report.log_stream else ()
        except ServiceError:
            return ()
