"""The adapter and the runner that opengris-scaler ships do their work on the local AWS: both can be compared on it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from scaler import Client

from stack import Stack
from upstream import NAME, define, options, start_worker_manager, warm_python

pytestmark = pytest.mark.long


@pytest.fixture(scope="module", params=[False, True], ids=["a new interpreter a job", "forked"])
def upstream(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Scheduler, storage and their worker manager on a local AWS."""
    warm = warm_python(tmp_path_factory.mktemp("python") / "theirs") if request.param else None
    with Stack(options(warm=warm)) as stack:
        for step in (stack.start_aws, stack.start_storage, stack.start_scheduler):
            step()
        define(stack, warm=warm is not None)
        start_worker_manager(stack, 10)
        yield stack


def square(x: int) -> int:
    return x * x


def test_their_adapter_gets_tasks_done_by_their_runner(upstream: Stack, connect: Callable[..., Client]) -> None:
    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    client = connect(upstream)
    assert client.submit(square, 7).result() == 49
    assert client.map(square, range(4)) == [0, 1, 4, 9]


def test_their_jobs_are_ordinary_jobs(upstream: Stack) -> None:
    batch: Any = upstream.aws("batch")
    listed = batch.list_jobs(jobQueue=NAME, jobStatus="SUCCEEDED")["jobSummaryList"]
    assert listed
    batch.close()
