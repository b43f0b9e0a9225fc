"""A great many outcomes that were written to hurt: none takes much memory or time, and none ends a process.

The inputs are sealed correctly, so that all of a reader gets to see them: bodies that expand a thousandfold, indexes of
nothing but brackets, numbers that no protocol carries, calls that the bundle does not have. They are read in a process
of its own, which is measured as a worker would be. PAYLOAD_HOSTILE_INPUTS says how many; 100000 is the long run.
"""

from __future__ import annotations

import gzip
import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from scaler_batch.payload.contract import FORMAT_VERSION

pytestmark = pytest.mark.long

INPUTS = int(os.environ.get("PAYLOAD_HOSTILE_INPUTS", "500"))
POSITIONS = 16
MAX_BODY = 16 * 2**20

READS = """
import re, struct, sys, time
from scaler_batch.payload import PayloadError, decode_outcomes
from scaler_batch.payload.errors import MalformedError

def peak():
    # Not that of getrusage, which begins with what the parent held.
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\\s+([0-9]+) kB", status.read())[1]) * 1024

idle, positions, max_body, slowest, refused, read = peak(), int(sys.argv[1]), int(sys.argv[2]), 0.0, 0, 0
while size := sys.stdin.buffer.read(4):
    sealed = sys.stdin.buffer.read(struct.unpack("<I", size)[0])
    started = time.thread_time()
    try:
        outcomes, _ = decode_outcomes(sealed, positions=positions, max_body=max_body)
        for outcome in outcomes:
            struct.pack("<fQf", outcome.usage.wall, outcome.usage.memory, outcome.usage.cpu)
        read += 1
    except MalformedError as error:
        refused += 1
        assert len(str(error)) < 500
    slowest = max(slowest, time.thread_time() - started)
print(peak() - idle, slowest, refused, read)
"""

NUMBERS: list[Any] = [float("nan"), float("inf"), float("-inf"), 1e300, -1.0, 2**63, 2**64, 2**70, 10**400, -1, True]
ORIGIN = {"job": "", "attempt": 1, "host": "", "python": "", "packages": {}}
ENTRY = {"position": 0, "status": "success", "wall": 1.0, "cpu": 1.0, "memory": 1}


def sealed(body: bytes, declared: int | None = None) -> bytes:
    packed = gzip.compress(body, 1)
    size = len(body) if declared is None else declared
    return struct.pack("<4sBBBxQI", b"SBPL", FORMAT_VERSION, 2, 1, size, zlib.crc32(packed)) + packed


def indexed(head: bytes, values: int = 0) -> bytes:
    return struct.pack("<I", len(head)) + head + bytes(values)


def described(entries: list[Any], values: int = 0) -> bytes:
    sizes = [values, *[0] * (len(entries) - 1)][: len(entries)]
    return indexed(json.dumps({"outcomes": entries, "origin": ORIGIN, "sizes": sizes}).encode(), sum(sizes))


def brackets(random: Random) -> bytes:
    """An index that is mostly structure, up to the size that is read, and beyond it."""
    size = random.choice([1_000, 100_000, 260_000, 300_000, 4_000_000])
    depth = random.choice([0, 1, 5, 200])
    one = random.choice([b"[" * depth + b"]" * depth, b'{"":' * depth + b"0" + b"}" * depth]) + b","
    return indexed(b'{"outcomes":[' + one * (size // len(one)) + b'0],"sizes":[]}')


def numbers(random: Random) -> bytes:
    name = random.choice(["wall", "cpu", "memory", "position"])
    entries = [{**ENTRY, "position": position} for position in range(random.randrange(1, 4))]
    random.choice(entries)[name] = random.choice(NUMBERS)
    return described(entries)


def hostile(random: Random) -> bytes:
    match random.randrange(8):
        case 0:
            return sealed(brackets(random))
        case 1:  # a body that expands, with an index that is right
            return sealed(described([ENTRY], random.choice([10**6, 15 * 10**6])))
        case 2:  # one that expands beyond what is accepted, or declared
            return sealed(bytes(random.choice([2 * MAX_BODY, 10**6])), declared=random.choice([None, 0, 100, 2**62]))
        case 3:
            return sealed(described([{**ENTRY, "position": n} for n in range(POSITIONS, 2000)]))
        case 4:
            return sealed(described([{**ENTRY, "failure": {"message": "x" * random.choice([10, 200_000])}}]))
        case 5:
            return sealed(indexed(b'{"' + b'a":0,"' * 40_000 + b'b":0,"sizes":[]}'))
        case _:
            return sealed(numbers(random))


def inputs() -> Iterator[bytes]:
    # Making one takes longer than reading it; so each is read several times.
    random = Random(15)
    made = [hostile(random) for _ in range(min(INPUTS, 300))]
    for number in range(INPUTS):
        yield made[number % len(made)]


def test_hostile_outcomes_take_little_memory_and_time() -> None:
    command = [sys.executable, "-c", READS, str(POSITIONS), str(MAX_BODY)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        for data in inputs():
            reader.stdin.write(struct.pack("<I", len(data)) + data)
        reader.stdin.close()
        memory, slowest, refused, read = map(float, reader.stdout.read().split())
    assert reader.returncode == 0
    assert (refused + read, read > 0) == (INPUTS, True)
    assert refused > INPUTS / 2
    assert memory < 256 * 2**20
    # Most of it without the interpreter's lock; half a second leaves room for a busy machine.
    assert slowest < 0.5
