from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.local.batch.listing import select
from scaler_batch.local.errors import ApiError


@pytest.fixture
def jobs(make_world: Any) -> list[Any]:
    """Six jobs: two run, two are starting, two wait; the first two are called alpha, and so on."""
    world = make_world(slots=4)
    made = []
    for name in ("Alpha-1", "alpha-2", "beta-1", "beta-2", "gamma-1", "gamma-2"):
        made.append(world.submit(name=name))
        world.now += 1
    world.start(made[0])
    world.start(made[1])
    return made


def names(page: list[Any]) -> list[str]:
    return [job.spec.name for job in page]


def test_running_jobs_are_listed_unless_another_state_is_asked_for(jobs: list[Any]) -> None:
    assert names(select(jobs, {})[0]) == ["Alpha-1", "alpha-2"]
    assert names(select(jobs, {"jobStatus": "RUNNABLE"})[0]) == ["gamma-1", "gamma-2"]
    assert select(jobs, {"jobStatus": "FAILED"}) == ([], None)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [("alpha*", ["alpha-2", "Alpha-1"]), ("ALPHA-1", ["Alpha-1"]), ("alph", []), ("beta-2", ["beta-2"])],
)
def test_a_name_filter_ignores_case_and_state_and_lists_the_newest_first(
    jobs: list[Any], pattern: str, found: list[str]
) -> None:
    request = {"jobStatus": "FAILED", "filters": [{"name": "JOB_NAME", "values": [pattern]}]}
    assert names(select(jobs, request)[0]) == found


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("JOB_DEFINITION", "work", 6),
        ("JOB_DEFINITION", "wor*", 6),
        ("JOB_DEFINITION", "wor", 0),
        ("JOB_DEFINITION", "arn:aws:batch:us-east-1:123456789012:job-definition/work:1", 6),
        ("BEFORE_CREATED_AT", "1002000", 2),
        ("AFTER_CREATED_AT", "1002000", 3),
        ("SHARE_IDENTIFIER", "blue", 0),
    ],
)
def test_other_filters(jobs: list[Any], name: str, value: str, count: int) -> None:
    assert len(select(jobs, {"filters": [{"name": name, "values": [value]}]})[0]) == count


@pytest.mark.parametrize("filtered", [True, False])
def test_pages_are_disjoint_and_together_complete(jobs: list[Any], filtered: bool) -> None:
    request: dict[str, Any] = {"filters": [{"name": "JOB_NAME", "values": ["*"]}]} if filtered else {}
    whole, none = select(jobs, request)
    assert none is None
    pages, token = select(jobs, {**request, "maxResults": 1})
    while token:
        page, token = select(jobs, {**request, "maxResults": 1, "nextToken": token})
        assert len(page) == 1
        pages += page
    assert pages == whole


def test_a_page_stays_in_place_when_jobs_come_in_between(jobs: list[Any]) -> None:
    request = {"filters": [{"name": "JOB_NAME", "values": ["*"]}], "maxResults": 2}
    first, token = select(jobs[:4], request)
    second, _ = select(jobs, {**request, "nextToken": token})
    assert names(first + second) == ["beta-2", "beta-1", "alpha-2", "Alpha-1"]


def test_a_page_has_a_thousand_jobs_at_most_and_a_filtered_one_a_hundred(make_world: Any) -> None:
    world = make_world(slots=1)
    jobs = [world.submit() for _ in range(1102)]
    assert len(select(jobs, {"jobStatus": "RUNNABLE", "maxResults": 5000})[0]) == 1000
    assert len(select(jobs, {"filters": [{"name": "JOB_NAME", "values": ["job"]}]})[0]) == 100


@pytest.mark.parametrize(
    "request_",
    [
        {"jobStatus": "ASLEEP"},
        {"maxResults": 0},
        {"maxResults": "2"},
        {"nextToken": "???"},
        {"nextToken": "YWJj"},
        {"filters": [{"name": "COLOUR", "values": ["red"]}]},
        {"filters": [{"name": "JOB_NAME", "values": ["a"]}] * 2},
        {"filters": [{"name": "AFTER_CREATED_AT", "values": ["noon"]}]},
    ],
)
def test_what_makes_no_sense_is_refused(jobs: list[Any], request_: dict[str, Any]) -> None:
    with pytest.raises(ApiError):
        select(jobs, request_)


@given(st.text())
def test_no_token_of_somebody_elses_breaks_a_listing(token: str) -> None:
    with contextlib.suppress(ApiError):
        assert select([], {"nextToken": token}) == ([], None)
