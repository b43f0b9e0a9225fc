"""ListJobs: which jobs, in which order, and in which pages.

Without a filter: the jobs of one state, RUNNING unless the request says otherwise, up to 1,000 a page. With a filter:
jobs of every state, newest first, up to 100 a page; filters do not apply to the children of an array. A token names
the last job of its page by its place in line, so pages stay in order while jobs come and go.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ..errors import ApiError
from .job import Job
from .vocabulary import State

PAGE: Final = 1000
FILTERED_PAGE: Final = 100

Filter = Callable[[Job], bool]


def select(jobs: Sequence[Job], request: Mapping[str, Any]) -> tuple[list[Job], str | None]:
    """One page of jobs, and the token of the next page if there is one.

    Args:
        jobs: All jobs that could be listed, oldest first.
        request: The body of ListJobs.

    Raises:
        ApiError: A state, filter, token or size that does not exist.
    """
    filters = request.get("filters") or []
    wanted = [job for job in jobs if _chosen(filters, request.get("jobStatus"))(job)]
    if filters:
        wanted.reverse()
    wanted = _after(wanted, request.get("nextToken"), newest_first=bool(filters))
    size = _page_size(request.get("maxResults"), FILTERED_PAGE if filters else PAGE)
    page = wanted[:size]
    return page, _token(page[-1]) if len(wanted) > size else None


def _chosen(filters: Sequence[Mapping[str, Any]], status: str | None) -> Filter:
    if len(filters) > 1:
        raise ApiError("Only one filter can be used at a time")
    state = _state(status)
    if not filters:
        return lambda job: job.state is state
    chosen = _filter(filters[0].get("name"), [str(value) for value in filters[0].get("values") or []])
    if status is not None and filters[0].get("name") == "SHARE_IDENTIFIER":
        return lambda job: chosen(job) and job.state is state
    return chosen


def _state(status: str | None) -> State:
    try:
        return State(status or State.RUNNING)
    except ValueError as error:
        raise ApiError(f"Job status is not one of {' | '.join(State)}") from error


def _filter(name: object, values: Sequence[str]) -> Filter:
    match name:
        case "JOB_NAME":
            patterns = [value.lower() for value in values]
            return lambda job: any(_fits(job.spec.name.lower(), pattern) for pattern in patterns)
        case "JOB_DEFINITION":
            return lambda job: any(_is_definition(job, value) for value in values)
        case "BEFORE_CREATED_AT":
            return lambda job: all(job.created_at * 1000 < _moment(value) for value in values)
        case "AFTER_CREATED_AT":
            return lambda job: all(job.created_at * 1000 > _moment(value) for value in values)
        case "SHARE_IDENTIFIER":
            return lambda job: job.spec.share_identifier in values
        case _:
            raise ApiError(f"Filter {name} is not supported")


def _fits(text: str, pattern: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern


def _is_definition(job: Job, value: str) -> bool:
    definition = job.spec.definition
    return value == definition.arn or _fits(definition.name, value)


def _moment(value: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise ApiError(f"{value} is not a number of milliseconds") from error


def _place(job: Job) -> tuple[int, int]:
    return job.order, job.index or 0


def _after(jobs: list[Job], token: object, *, newest_first: bool) -> list[Job]:
    if not token:
        return jobs
    last = _read_token(token)
    return [job for job in jobs if (_place(job) < last if newest_first else _place(job) > last)]


def _token(job: Job) -> str:
    return base64.urlsafe_b64encode("{}:{}".format(*_place(job)).encode()).decode()


def _read_token(token: object) -> tuple[int, int]:
    try:
        order, _, index = base64.b64decode(str(token), altchars=b"-_", validate=True).decode().partition(":")
        return int(order), int(index)
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise ApiError("nextToken is not one that this service gave out") from error


def _page_size(asked: object, most: int) -> int:
    if asked is None:
        return most
    if not isinstance(asked, int) or asked < 1:
        raise ApiError("maxResults must be at least 1")
    return min(asked, most)
