"""From what was counted here to what the paper about AWS needs. Pure.

Calls a task and processor time a task are those of the map of 1,000 in this run. What depends on AWS instead of on the
adapter is stated here, with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.aws_model import Approach, Assumptions, Forecast, forecast
from bench.goals import AUTO, OURS, THEIRS, Table
from bench.prices import FREE, WRITE, price
from bench.summary import Summary

COUNTED_ON = "map of 1,000"
SIZES = (10**4, 10**6, 10**8)

LONGEST_JOB = 180.0
"""Seconds of work for which our adapter fills a job, when it may choose."""

THEIR_ROW = 2.0
"""Requests that upstream's adapter makes one after another for each task of an array: it puts inputs in a loop, and
gets and deletes results in a loop. Loops of several arrays overlap, so only two of its four a task are counted."""

POLL = {THEIRS: 1.5, OURS: 0.5, AUTO: 0.5}
"""Half the time between two looks: upstream looks every three seconds at an array, ours at most every second."""


def approaches(found: Sequence[Summary], given: Assumptions) -> list[Approach]:
    """One for each side that was measured."""
    table = Table(found)
    rows = {side: table.row(COUNTED_ON, side) for side in (THEIRS, OURS, AUTO)}
    known = {side: _counted(row, given) for side, row in rows.items() if row}
    if THEIRS in known:
        known[THEIRS] = replace(known[THEIRS], in_a_row=THEIR_ROW)
    if AUTO in known:
        known[AUTO] = _bundled(known[AUTO], max(1.0, LONGEST_JOB / given.task_seconds))
    return list(known.values())


def forecasts(found: Sequence[Approach], given: Assumptions) -> list[Forecast]:
    """Every size for every side, side by side; a bundle is never so long that slots stay empty."""
    return [
        forecast(replace(each, tasks_per_job=min(each.tasks_per_job, max(1.0, size / given.slots))), size, given)
        for size in SIZES
        for each in found
    ]


def _counted(row: Summary, given: Assumptions) -> Approach:
    return Approach(
        name=row.side,
        slots=given.slots,
        tasks_per_job=1.0,
        jobs_per_submission=row.tasks / max(1.0, row.calls.get("batch.SubmitJob", 1.0)),
        puts=_requests(row.calls, paid_as_write=True) / row.tasks,
        gets=_requests(row.calls, paid_as_write=False) / row.tasks,
        deletes=sum(count for name, count in row.calls.items() if name.removeprefix("s3.") in FREE) / row.tasks,
        in_a_row=0.0,
        adapter_cpu=row.adapter_cpu / row.tasks,
        poll=POLL[row.side],
    )


def _bundled(counted: Approach, tasks_per_job: float) -> Approach:
    """A long task is answered in objects of its own, one a second of its job, so requests are as without bundles."""
    return replace(counted, tasks_per_job=tasks_per_job, jobs_per_submission=10.0, puts=1.0, gets=1.0)


def _requests(calls: Mapping[str, float], *, paid_as_write: bool) -> float:
    prices = {name: price(name.removeprefix("s3.")) for name in calls if name.startswith("s3.")}
    return sum(calls[name] for name, each in prices.items() if each and (each == WRITE) == paid_as_write)
