"""Every reader gives a value or our own error, whatever it is fed."""

from __future__ import annotations

import contextlib
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler_batch.payload import (
    Call,
    Origin,
    Outcome,
    PayloadError,
    Status,
    decode_bundle,
    decode_outcomes,
    encode_outcomes,
    encode_pack,
)
from scaler_batch.payload.compression import expand
from scaler_batch.payload.envelope import Kind, seal, unseal
from scaler_batch.payload.sections import split

PACK = encode_pack([[Call(b"1234", b"serializer", b"function", (b"one", b"two"))], []])
LARGE_PACK = encode_pack([[Call(b"1234", b"serializer", b"function" * 1000, (b"one", b"two"))], []])
ORIGIN = Origin("job", 1, "host", "3.12.1")
OUTCOMES = encode_outcomes([Outcome(b"1234", Status.SUCCESS, b"value"), Outcome(b"5", Status.RAISED, b"")], ORIGIN)
LARGE_OUTCOMES = encode_outcomes([Outcome(b"1234", Status.SUCCESS, b"value" * 1000)], ORIGIN)

Reader = Callable[[bytes], object]

READERS: dict[str, Reader] = {
    "pack": lambda data: decode_bundle(data, 0),
    "outcomes": lambda data: decode_outcomes(data, max_body=1_000_000),
    "envelope": lambda data: unseal(Kind.PACK, data, max_body=1_000_000),
    "sections": split,
    "gzip": lambda data: expand(data, 5000),
}
SEEDS = (PACK, LARGE_PACK, OUTCOMES, LARGE_OUTCOMES, LARGE_PACK[20:], OUTCOMES[20:])

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["00", "success"]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Something real with bits flipped, a piece cut out, put in, or repeated."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        data[start:end] = draw(st.binary(max_size=12) | st.just(bytes(data[start:end]) * 2))
    return bytes(data)


def resealed(data: bytes) -> bytes:
    """Give damaged bytes a checksum and a size that fit, so that the readers behind the envelope get to see them."""
    stored = data[20:]
    return (
        struct.pack("<4sBBBxQI", b"SBPL", 1, data[5] if len(data) > 5 else 1, 0, len(stored), zlib.crc32(stored))
        + stored
    )


def reads_or_refuses(reader: Reader, data: bytes) -> None:
    with contextlib.suppress(PayloadError):
        reader(data)


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=300)
@given(data=st.binary(max_size=200) | damaged() | damaged().map(resealed))
def test_damaged_bytes_are_read_or_refused(name: str, data: bytes) -> None:
    reads_or_refuses(READERS[name], data)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", READERS)
def test_truncated_bytes_are_read_or_refused(name: str, seed: bytes) -> None:
    for size in range(len(seed)):
        reads_or_refuses(READERS[name], seed[:size])


@settings(max_examples=500)
@given(index=json_values, values=st.lists(st.binary(max_size=4), max_size=3))
def test_any_json_as_index_of_a_pack_is_read_or_refused(index: Any, values: list[bytes]) -> None:
    reads_or_refuses(READERS["pack"], _with_index(Kind.PACK, {"bundles": [[index]]}, values))
    reads_or_refuses(READERS["pack"], _with_index(Kind.PACK, {"bundles": index}, values))


@settings(max_examples=500)
@given(index=json_values, origin=json_values, values=st.lists(st.binary(max_size=4), max_size=3))
def test_any_json_as_index_of_outcomes_is_read_or_refused(index: Any, origin: Any, values: list[bytes]) -> None:
    entry = {"task": "00", "status": "success", "wall": index, "cpu": 1, "memory": index}
    good = {"job": index, "attempt": index, "host": index, "python": index}
    for outcomes, place in ((index, origin), ([index], origin), ([entry], good), ([entry] * len(values), good)):
        written = _with_index(Kind.OUTCOMES, {"outcomes": outcomes, "origin": place}, values)
        reads_or_refuses(READERS["outcomes"], written)


def _with_index(kind: Kind, index: dict[str, Any], values: list[bytes]) -> bytes:
    head = json.dumps({**index, "sizes": [len(value) for value in values]}).encode()
    return seal(kind, struct.pack("<I", len(head)) + head + b"".join(values))
