from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from scaler import Client

from stack import Stack


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
