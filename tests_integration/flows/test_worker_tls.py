"""The whole way with the published scheduler's own TLS on: both links of the worker, and those of the client."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from certificates import Authority
from stack import Options, Stack

MAP = """
import sys
from scaler import Client

def upper(data):
    return data.upper()

with Client(address=sys.argv[1]) as client:
    print("map", client.map(pow, range(300), [2] * 300) == [number * number for number in range(300)])
    large = b"x" * 3_000_000
    print("large", client.submit(upper, large).result() == large.upper())
"""


@pytest.fixture(scope="module", params=["wss", "tls", "ws"])
def secured(request: pytest.FixtureRequest, cloud: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running system whose scheduler and object storage listen at addresses of one scheme."""
    authority = Authority(Path(tmp_path_factory.mktemp("authority")))
    encrypted = request.param != "ws"
    options = Options(
        worker=("--tls-ca", str(authority.file), "--name", f"secured-{request.param}"),
        scheme=request.param,
        tls=authority.pair() if encrypted else None,
    )
    with Stack(options) as running:
        running.join(cloud).start_adapter()
        yield running


def test_the_harness_passes_through_every_scheme(secured: Stack) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scaler_batch.adapter.harness", "--scheduler", secured.scheduler_address],
        env=secured.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Results: 4/4 passed" in done.stdout, done.stdout
    assert done.returncode == 0


@pytest.mark.long
def test_a_map_of_300_and_a_large_object_pass_through_every_scheme(secured: Stack) -> None:
    client = secured.start_client(MAP)
    assert client.process.wait(120) == 0, client.tail()
    assert client.says("map True")
    assert client.says("large True")
    log = secured.part("adapter").log.read_text()
    answered = re.findall(r"task ([0-9a-f]{32}): success", log)
    assert len(answered) == len(set(answered)) >= 301
    assert "not encrypted" not in log  # loopback


@pytest.mark.long
def test_a_worker_that_stops_says_goodbye_through_every_scheme(secured: Stack) -> None:
    adapter = secured.start_adapter("second adapter")
    assert secured.stop(adapter) == 0
    assert "Traceback" not in adapter.log.read_text()
