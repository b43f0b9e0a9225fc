"""What travels how: every row of the guide's table by real jobs, and large objects without large memory."""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path

import pytest
from scaler import Client

from stack import Stack

cloudpickle = pytest.importorskip("cloudpickle")
cloudpickle.register_pickle_by_value(sys.modules[__name__])

KILO = 1024


def length(data: bytes) -> int:
    return len(data)


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def peak_of(pid: int) -> int:
    """Bytes of resident memory that a process has had at most."""
    [kilobytes] = re.findall(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(kilobytes) * KILO


@pytest.mark.parametrize(
    ("data", "how"),
    [
        (b"", "inline"),
        (noise(3 * KILO), "inline"),
        (noise(4500), "inline"),
        (b"a" * 200 * KILO, "inline"),
        (noise(6 * KILO), "in S3"),
        (noise(28 * KILO), "in S3"),
        (noise(2000 * KILO), "inline"),
    ],
    ids=[
        "empty",
        "small",
        "below the limit",
        "compressed",
        "above the limit",
        "the guide's limit",
        "object of its own",
    ],
)
def test_data_of_every_size_travels_as_the_documentation_says(
    stack: Stack, client: Client, data: bytes, how: str
) -> None:
    before = stack.part("adapter").log.stat().st_size
    assert client.submit(length, data).result() == len(data)
    [line] = [line for line in stack.part("adapter").log.read_text()[before:].splitlines() if "submitting" in line]
    assert line.endswith(how)


def reversed_copy(data: bytes) -> bytes:
    return data[::-1]


def test_the_adapter_never_holds_a_large_argument_or_result_three_times(stack: Stack, client: Client) -> None:
    size = 100_000_000
    data = noise(size)
    adapter = stack.part("adapter").process.pid
    assert client.submit(reversed_copy, data).result() == data[::-1]
    assert peak_of(adapter) < 3 * size
