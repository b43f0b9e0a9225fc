"""Large objects on disk."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.local import LocalAWS
from scaler_batch.local.services.objects import LARGE, Arena, StoredValue

MIB = 1 << 20


@given(st.integers(0), st.integers(1, 200))
def test_what_is_stored_is_read_again_whatever_is_stored_and_released_meanwhile(seed: int, steps: int) -> None:
    chance, arena = random.Random(seed), Arena()
    kept: dict[tuple[int, int], bytes] = {}
    for _ in range(steps):
        if kept and chance.random() < 0.5:
            extent = chance.choice(list(kept))
            del kept[extent]
            arena.release(extent)
        else:
            content = chance.randbytes(chance.randint(1, 50))
            kept[arena.store(content)] = content
        for extent, content in kept.items():
            assert arena.load(extent, 0, len(content)) == content
    assert arena.size == max((offset + size for offset, size in kept), default=0)


@pytest.mark.parametrize("size", [0, 1, LARGE - 1, LARGE, 3 * LARGE + 1])
def test_a_value_is_read_whole_and_in_pieces(size: int) -> None:
    content = os.urandom(size)
    value = StoredValue(Arena())
    value.write(b"x" * LARGE)
    value.write(content)
    value.seek(0)
    assert value.read() == content
    value.seek(0)
    assert b"".join(iter(lambda: value.read(1000), b"")) == content


def test_a_value_that_is_forgotten_gives_its_space_back() -> None:
    arena = Arena()
    value = StoredValue(arena)
    value.write(b"x" * LARGE)
    assert arena.size == LARGE
    del value
    assert arena.size == 0


def resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.long
def test_objects_take_no_memory_and_no_descriptors(aws: LocalAWS) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="large")
    s3.put_object(Bucket="large", Key="first", Body=b"0" * MIB)
    for number in range(50):  # the server's threads have their buffers then
        s3.put_object(Bucket="large", Key=f"{number}", Body=b"1" * MIB)
    memory, descriptors = resident(aws.pid), len(os.listdir(f"/proc/{aws.pid}/fd"))
    for number in range(50, 150):
        s3.put_object(Bucket="large", Key=f"{number}", Body=bytes([number]) * MIB)
    assert resident(aws.pid) - memory < 30 * MIB
    assert len(os.listdir(f"/proc/{aws.pid}/fd")) - descriptors < 10
    for number in (57, 99, 149):
        assert s3.get_object(Bucket="large", Key=f"{number}")["Body"].read() == bytes([number]) * MIB
    s3.close()
