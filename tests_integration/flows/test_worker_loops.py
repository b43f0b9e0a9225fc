"""The worker on another event loop and with more threads than it needs, over both transports."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from stack import Options, Stack

pytest.importorskip("uvloop", reason="uvloop is not installed")

OPTIONS = ("--event-loop", "uvloop", "--io-threads", "2")

ASK = """
import sys
from scaler import Client

def fail(text):
    raise ValueError(text)

def zeros(number):
    return bytes(number)

with Client(address=sys.argv[1]) as client:
    print(client.map(abs, range(-20, 0)) == list(range(20, 0, -1)))
    print(len(client.submit(zeros, 3_000_000).result()))
    print(repr(client.submit(fail, "why").exception()))
"""

NO_EFFECT = "more than one I/O thread has no effect"


def threads(pid: int) -> int:
    """How many threads of a process ZeroMQ reads and writes in."""
    names = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/comm")]
    return sum(name.startswith("ZMQbg/IO") for name in names)


@pytest.mark.parametrize("backend", ["zmq", "ymq"])
def test_a_worker_on_uvloop_answers_and_stops_in_order(cloud: Stack, backend: str) -> None:
    with Stack(Options(worker=OPTIONS)) as stack:
        stack.environment["SCALER_NETWORK_BACKEND"] = backend
        adapter = stack.join(cloud).start_adapter()
        pid = adapter.process.pid
        assert "/uvloop/" in Path(f"/proc/{pid}/maps").read_text()
        assert threads(pid) == (2 if backend == "zmq" else 0)
        assert adapter.says(NO_EFFECT) is (backend == "ymq")
        answered = stack.run("client", "-c", ASK, stack.scheduler_address)
        assert answered.splitlines() == ["True", "3000000", "ValueError('why')"]
        assert stack.stop(adapter, signal.SIGTERM) == 0
