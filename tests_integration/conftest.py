from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scaler import Client

from stack import Stack
from systems import Gate, System


@pytest.fixture(scope="session")
def cloud() -> Iterator[Stack]:
    """An AWS with a bucket, a queue and a definition, shared by all tests of a process."""
    with Stack() as running:
        running.start_aws(bare=False)
        yield running


@pytest.fixture(scope="module")
def stack(cloud: Stack) -> Iterator[Stack]:
    """A running system, shared by the tests of a module."""
    with Stack() as running:
        running.join(cloud).start_adapter()
        yield running


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Stack], Client]]:
    """Makes clients, and disconnects them at the end."""
    monkeypatch.setenv("SCALER_NETWORK_BACKEND", "zmq")
    clients: list[Client] = []

    def connected(to: Stack, **chosen: Any) -> Client:
        clients.append(Client(address=to.scheduler_address, **chosen))
        return clients[-1]

    yield connected
    for client in clients:
        client.disconnect()


@pytest.fixture
def client(stack: Stack, connect: Callable[[Stack], Client]) -> Client:
    """A real client of the running system."""
    return connect(stack)


@pytest.fixture(scope="module")
def shared(cloud: Stack) -> Iterator[Stack]:
    """A scheduler and an object storage, without a worker."""
    with Stack() as running:
        yield running.join(cloud)


@pytest.fixture
def system(cloud: Stack, shared: Stack, connect: Callable[[Stack], Client]) -> Iterator[System]:
    """A running system whose worker each test starts for itself."""
    started = System(cloud, shared, connect)
    yield started
    started.stop()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """What tasks of the test wait for; it is open when the test is over."""
    made = Gate(tmp_path / "gate")
    made.folder.mkdir()
    yield made
    made.open()
