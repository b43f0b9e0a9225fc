"""A running system whose worker each test starts for itself, under faults of the local AWS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scaler import Client

from stack import Stack
from systems import Gate, System


@pytest.fixture(scope="module")
def shared(cloud: Stack) -> Iterator[Stack]:
    """A scheduler and an object storage, without a worker."""
    with Stack() as running:
        yield running.join(cloud)


@pytest.fixture
def system(cloud: Stack, shared: Stack, connect: Callable[[Stack], Client]) -> Iterator[System]:
    started = System(cloud, shared, connect)
    yield started
    started.stop()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path / "gate")
    made.folder.mkdir()
    yield made
    made.open()
