from __future__ import annotations

import gzip
import random
import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.payload import compression
from scaler_batch.payload.compression import THRESHOLD, compress, expand
from scaler_batch.payload.errors import MalformedError, OversizedError


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def test_the_threshold_is_the_one_of_the_setup_guide() -> None:
    assert THRESHOLD == 4096


def test_a_body_of_4096_bytes_stays_as_it_is() -> None:
    assert compress([b"a" * 4096]) is None


def test_a_body_of_4097_bytes_is_compressed() -> None:
    packed = compress([b"a" * 4097])
    assert packed is not None
    assert len(packed) < 100


@pytest.mark.parametrize("size", [4097, 64 * 1024, 64 * 1024 + 1, 3 * 1024 * 1024])
def test_noise_is_never_compressed(size: int) -> None:
    assert compress([noise(size)]) is None
    assert compress([b"head", memoryview(noise(size))]) is None


def test_a_large_body_of_noise_is_judged_by_a_probe_and_not_compressed_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression._engine, "compressobj", None)
    assert compress([noise(1024 * 1024)]) is None
    assert compress([b"head", noise(1024 * 1024), b"tail" * 10_000]) is None


@pytest.mark.parametrize("size", [4097, 65_537, 2 * 1024 * 1024])
def test_any_gzip_can_read_what_was_compressed(size: int) -> None:
    body = b"some text, " * (size // 11 + 1)
    packed = compress([body[:100], body[100:]])
    assert packed is not None
    assert gzip.decompress(packed) == body
    assert subprocess.run(["gzip", "-dc"], input=packed, capture_output=True, check=True).stdout == body


def test_the_threshold_is_of_all_pieces_together() -> None:
    assert compress([b"a"] * 4096) is None
    assert compress([b"a"] * 4097) is not None
    assert compress([]) is None


def test_equal_bodies_give_equal_bytes() -> None:
    assert compress([b"a" * 10_000]) == compress([b"a" * 10_000])


@given(st.binary(min_size=1, max_size=40), st.integers(4097, 200_000))
def test_what_was_compressed_expands_to_the_body(piece: bytes, size: int) -> None:
    body = (piece * (size // len(piece) + 1))[:size]
    middle = size // 2
    packed = compress([memoryview(body)[:middle], b"", body[middle:]])
    assert packed is not None
    assert expand(packed, len(body)) == body


def test_a_bomb_is_refused_without_being_expanded() -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024), compresslevel=9)
    tracemalloc.start()
    try:
        with pytest.raises(OversizedError):
            expand(bomb, 1000)
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"not gzip at all",
        gzip.compress(b"a" * 100)[:-1],
        gzip.compress(b"a" * 100)[:20],
        gzip.compress(b"a" * 99),
        gzip.compress(b"a" * 100) + b"more",
        gzip.compress(b"a" * 100) + gzip.compress(b""),
        gzip.compress(b"a" * 100)[:-8] + bytes(8),
    ],
    ids=["empty", "garbage", "cut", "cut early", "too short", "trailing", "second member", "wrong checksum"],
)
def test_what_is_not_one_gzip_member_of_the_declared_size_is_refused(packed: bytes) -> None:
    with pytest.raises(MalformedError):
        expand(packed, 100)


ENGINES = """
import sys
if sys.argv[1] == "zlib":
    sys.modules["isal"] = None
from scaler_batch.payload import compression
body = bytes(range(256)) * 40_000
assert ("isal" in compression._engine.__name__) == (sys.argv[1] == "isal")
if sys.argv[2] == "write":
    sys.stdout.buffer.write(compression.compress([body[:5000], memoryview(body)[5000:]]))
else:
    assert compression.expand(sys.stdin.buffer.read(), len(body)) == body
"""


@pytest.mark.parametrize(("writer", "reader"), [("isal", "zlib"), ("zlib", "isal"), ("isal", "isal"), ("zlib", "zlib")])
def test_what_one_engine_writes_the_other_reads_and_so_does_any_gzip(writer: str, reader: str) -> None:
    pytest.importorskip("isal")
    written = subprocess.run([sys.executable, "-c", ENGINES, writer, "write"], check=True, capture_output=True).stdout
    subprocess.run([sys.executable, "-c", ENGINES, reader, "read"], check=True, input=written)
    assert gzip.decompress(written) == bytes(range(256)) * 40_000
