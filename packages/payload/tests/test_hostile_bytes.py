"""Every reader gives a value or our own error, whatever it is fed."""

from __future__ import annotations

import contextlib
import functools
import gzip
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler_batch.payload import (
    Call,
    Failure,
    Origin,
    Outcome,
    PayloadError,
    Reference,
    RunLocation,
    RunSeal,
    Seal,
    Status,
    decode_bundle,
    decode_object,
    decode_outcomes,
    decode_pack,
    encode_object,
    encode_outcomes,
    encode_pack,
    fetch_bundle,
    sections,
)
from scaler_batch.payload.compression import expand
from scaler_batch.payload.contract import FORMAT_VERSION
from scaler_batch.payload.envelope import Kind, seal, unseal
from scaler_batch.payload.errors import AlteredError, OversizedError
from scaler_batch.payload.hashing import digest
from scaler_batch.payload.keys import object_key
from scaler_batch.payload.parts import Range

PACK = b"".join(encode_pack([[Call(b"serializer", b"function", (b"one", b"two"))], []]).pieces)
LARGE_PACK = b"".join(encode_pack([[Call(b"serializer", b"function" * 1000, (b"one", b"two"))], []]).pieces)
ORIGIN = Origin("job", 1, "host", "3.12.1", {"cloudpickle": "3.1.2"})
FAILURE = Failure("ValueError", "no", "Traceback", 9, 1)
OUTCOMES = b"".join(
    encode_outcomes([Outcome(0, Status.SUCCESS, b"value"), Outcome(1, Status.RAISED, b"", failure=FAILURE)], ORIGIN)
)
LARGE_OUTCOMES = b"".join(encode_outcomes([Outcome(0, Status.SUCCESS, b"value" * 1000)], ORIGIN))
OBJECT = b"".join(encode_object(b"object" * 1000))
PARTS = [b"".join(encode_object(b"shared")), b"".join(encode_pack([[Call(b"s", b"f")]]).pieces)]
HASHES = bytes.fromhex("".join(map(digest, PARTS)))
INDEX = {"uses": [[0]], "parts": list(map(len, PARTS))}
HASH_OF_PAGE = bytes.fromhex(digest(HASHES))
TABLE = b"".join(seal(Kind.TABLE, sections.join(INDEX, [HASH_OF_PAGE])))


def _ranges_of(data: bytes, ranges: Sequence[Range]) -> list[bytes]:
    return [data[start:end] for start, end in ranges]


SEAL = RunSeal(RunLocation("bucket", "", "run", "us-east-1"), Seal(bytes(32))).submission(1).job(None)

Reader = Callable[[bytes], object]

READERS: dict[str, Reader] = {
    "bundle": lambda data: decode_bundle(data, 0),
    "pack": decode_pack,
    "table": lambda data: fetch_bundle(functools.partial(_ranges_of, data), len(TABLE), digest(data[: len(TABLE)]), 0),
    "object": lambda data: decode_object(data, Reference(object_key(digest(b"object" * 1000), 7), 6000)),
    "signed": lambda data: SEAL.open("key", data),
    "outcomes": lambda data: decode_outcomes(data, max_body=1_000_000),
    "envelope": lambda data: unseal(Kind.PACK, data, max_body=1_000_000),
    "sections": sections.split,
    "gzip": lambda data: expand(data, 5000),
}
SEEDS = (
    PACK,
    LARGE_PACK,
    OUTCOMES,
    LARGE_OUTCOMES,
    OBJECT,
    b"".join([TABLE, HASHES, *PARTS]),
    LARGE_PACK[20:],
    OUTCOMES[20:],
)

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
        struct.pack(
            "<4sBBBxQI", b"SBPL", FORMAT_VERSION, data[5] if len(data) > 5 else 1, 0, len(stored), zlib.crc32(stored)
        )
        + stored
    )


def reads_or_refuses(reader: Reader, data: bytes) -> None:
    with contextlib.suppress(PayloadError):
        reader(data)


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=100)
@given(data=st.binary(max_size=200) | damaged() | damaged().map(resealed))
def test_damaged_bytes_are_read_or_refused(name: str, data: bytes) -> None:
    reads_or_refuses(READERS[name], data)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", READERS)
def test_truncated_bytes_are_read_or_refused(name: str, seed: bytes) -> None:
    for size in range(len(seed)):
        reads_or_refuses(READERS[name], seed[:size])


@settings(max_examples=200)
@given(index=json_values, values=st.lists(st.binary(max_size=4), max_size=3))
def test_any_json_as_index_of_a_pack_is_read_or_refused(index: Any, values: list[bytes]) -> None:
    call = [[[0] * len(values)]]
    for described in (
        {"bundles": [[index]]},
        {"bundles": index},
        {"bundles": call, "objects": index},
        {"bundles": call, "objects": [index, ["objects/", index]]},
        {"bundles": call, "client": index},
        {"bundles": call, "client": [index, index]},
        {"bundles": call, "processes": index},
    ):
        data = _with_index(Kind.PACK, described, values)
        reads_or_refuses(READERS["bundle"], data)
        reads_or_refuses(READERS["pack"], data)


@settings(max_examples=200)
@given(index=json_values, origin=json_values, values=st.lists(st.binary(max_size=4), max_size=3))
def test_any_json_as_index_of_outcomes_is_read_or_refused(index: Any, origin: Any, values: list[bytes]) -> None:
    entry = {"position": 0, "status": "success", "wall": index, "cpu": 1, "memory": index}
    failed = {"position": index, "status": "raised", "wall": 1, "cpu": 1, "memory": 1, "failure": {"message": index}}
    good = {"job": index, "attempt": index, "host": index, "python": index, "packages": {"x": index}}
    for outcomes, place in ((index, origin), ([index], origin), ([entry], good), ([failed] * len(values), good)):
        written = _with_index(Kind.OUTCOMES, {"outcomes": outcomes, "origin": place}, values)
        reads_or_refuses(READERS["outcomes"], written)


@settings(max_examples=200)
@given(uses=json_values, parts=json_values)
def test_any_json_as_table_is_read_or_refused(uses: Any, parts: Any) -> None:
    sizes = list(map(len, PARTS))
    for table in ((uses, parts), ([uses], sizes), ([[uses]], sizes), ([[0]], parts), ([[0]], [parts, parts])):
        sealed = _with_index(Kind.TABLE, dict(zip(("uses", "parts"), table, strict=True)), [HASH_OF_PAGE])
        data = b"".join([sealed, HASHES, *PARTS])
        with contextlib.suppress(PayloadError):
            read = functools.partial(_ranges_of, data)
            fetch_bundle(read, len(sealed), digest(sealed), 0)


def test_a_bomb_is_refused_at_the_size_it_declares() -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    for kind, reader in ((Kind.PACK, "bundle"), (Kind.OUTCOMES, "outcomes"), (Kind.OBJECT, "object")):
        written = struct.pack("<4sBBBxQI", b"SBPL", FORMAT_VERSION, kind, 1, 6000, zlib.crc32(bomb)) + bomb
        tracemalloc.start()
        try:
            with pytest.raises(AlteredError if kind is Kind.OBJECT else OversizedError):
                READERS[reader](written)
            assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("reader", ["outcomes", "envelope", "object"])
def test_a_claim_beyond_what_the_reader_accepts_is_refused_before_anything_is_expanded(reader: str) -> None:
    kind = {"outcomes": Kind.OUTCOMES, "envelope": Kind.PACK, "object": Kind.OBJECT}[reader]
    bomb = gzip.compress(bytes(2_000_000))
    written = struct.pack("<4sBBBxQI", b"SBPL", FORMAT_VERSION, kind, 1, 2_000_000, zlib.crc32(bomb)) + bomb
    with pytest.raises(PayloadError) as raised:
        READERS[reader](written)
    error = raised.value.__cause__ or raised.value
    assert isinstance(error, OversizedError)
    assert "2000000" in str(error)


def _with_index(kind: Kind, index: dict[str, Any], values: list[bytes]) -> bytes:
    return b"".join(seal(kind, sections.join(index, values)))
