from __future__ import annotations

import importlib.metadata
import subprocess
import sys

from scaler_batch import wire
from scaler_batch.wire import testing


def test_everything_promised_is_there() -> None:
    assert [name for name in wire.__all__ if not hasattr(wire, name)] == []
    assert wire.__all__ == sorted(wire.__all__)


def test_the_tools_for_tests_are_there() -> None:
    assert testing.__all__ == ["MemoryObjectStorage", "ScriptedScheduler"]


def test_the_version_is_that_of_the_distribution() -> None:
    assert wire.__version__ == importlib.metadata.version("scaler-batch-wire")


def test_nothing_but_pyzmq_and_wsproto_is_needed() -> None:
    program = (
        "import sys, scaler_batch.wire, scaler_batch.wire.testing; "
        "print({'scaler', 'capnp', 'pytest', 'hypothesis'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"
