from __future__ import annotations

import random
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.payload.contract import FORMAT_VERSION
from scaler_batch.payload.envelope import HEADER_SIZE, MAGIC, MAX_BODY, Kind, seal, unseal
from scaler_batch.payload.errors import MalformedError, OversizedError, PayloadError, VersionError


def header(
    *,
    magic: bytes = MAGIC,
    version: int = FORMAT_VERSION,
    kind: int = Kind.PACK,
    flags: int = 0,
    reserved: int = 0,
    size: int = 5,
    stored: bytes = b"hello",
    checksum: int | None = None,
) -> bytes:
    crc = zlib.crc32(stored) if checksum is None else checksum
    return struct.pack("<4sBBBBQI", magic, version, kind, flags, reserved, size, crc) + stored


def sealed_in_one(kind: Kind, *body: bytes) -> bytes:
    return b"".join(seal(kind, body))


def test_the_layout_is_the_documented_one() -> None:
    assert sealed_in_one(Kind.PACK, b"hello") == header()
    assert HEADER_SIZE == 20


def test_a_body_up_to_the_threshold_travels_as_it_is() -> None:
    sealed = sealed_in_one(Kind.PACK, b"a" * 4096)
    assert len(sealed) == HEADER_SIZE + 4096
    assert sealed[6] == 0


def test_a_body_above_the_threshold_travels_as_gzip() -> None:
    sealed = sealed_in_one(Kind.PACK, b"a" * 4097)
    assert sealed[6] == 1
    assert sealed[HEADER_SIZE:].startswith(b"\x1f\x8b")
    assert unseal(Kind.PACK, sealed) == b"a" * 4097


def test_a_body_that_does_not_shrink_travels_as_it_is() -> None:
    body = random.Random(1).randbytes(100_000)
    sealed = sealed_in_one(Kind.OUTCOMES, body)
    assert sealed[6] == 0
    assert unseal(Kind.OUTCOMES, sealed) == body


def test_a_body_that_is_not_compressed_is_not_copied() -> None:
    large = memoryview(random.Random(1).randbytes(100_000))
    assert seal(Kind.PACK, [b"hello", large])[-1] is large
    sealed = sealed_in_one(Kind.PACK, b"hello")
    assert unseal(Kind.PACK, sealed).obj is sealed


@pytest.mark.parametrize("expected", Kind)
@pytest.mark.parametrize("found", Kind)
def test_an_envelope_of_any_other_kind_is_refused(expected: Kind, found: Kind) -> None:
    sealed = sealed_in_one(found, b"hello")
    if expected is found:
        assert unseal(expected, sealed) == b"hello"
    else:
        with pytest.raises(MalformedError, match=f"found kind {found:d}"):
            unseal(expected, sealed)


@given(st.sampled_from(Kind), st.lists(st.binary(max_size=10_000), max_size=4))
def test_what_was_sealed_unseals_to_the_body(kind: Kind, pieces: list[bytes]) -> None:
    assert unseal(kind, sealed_in_one(kind, *pieces)) == b"".join(pieces)


@pytest.mark.parametrize("version", [0, 1, 3, 255])
def test_every_other_version_is_refused_by_name(version: int) -> None:
    with pytest.raises(VersionError) as caught:
        unseal(Kind.PACK, header(version=version))
    assert caught.value.found == version


@pytest.mark.parametrize(
    "sealed",
    [
        b"",
        MAGIC,
        header()[:-6],
        header(magic=b"PK\3\4"),
        header(kind=Kind.OUTCOMES),
        header(kind=0),
        header(flags=2),
        header(flags=0x80),
        header(reserved=1),
        header(checksum=0),
        header(size=4),
        header(size=6),
        header() + b"x",
        header()[:-1],
    ],
    ids=[
        "empty",
        "magic only",
        "half a header",
        "another magic",
        "another kind",
        "no kind",
        "unknown flag",
        "unknown high flag",
        "reserved byte",
        "checksum",
        "declares less",
        "declares more",
        "longer",
        "shorter",
    ],
)
def test_what_is_no_whole_envelope_is_refused(sealed: bytes) -> None:
    with pytest.raises(MalformedError):
        unseal(Kind.PACK, sealed)


def test_a_body_may_be_as_large_as_the_reader_allows_and_no_larger() -> None:
    sealed = sealed_in_one(Kind.PACK, b"a" * 10_000)
    assert len(unseal(Kind.PACK, sealed, max_body=10_000)) == 10_000
    with pytest.raises(OversizedError):
        unseal(Kind.PACK, sealed, max_body=9_999)


@pytest.mark.parametrize("size", [MAX_BODY + 1, 2**64 - 1])
def test_a_claim_beyond_the_largest_body_is_refused_before_anything_is_expanded(size: int) -> None:
    with pytest.raises(OversizedError):
        unseal(Kind.PACK, header(flags=1, size=size))


def test_a_body_that_expands_beyond_its_claim_is_refused() -> None:
    sealed = bytearray(sealed_in_one(Kind.PACK, bytes(1_000_000)))
    sealed[8:16] = (1000).to_bytes(8, "little")
    with pytest.raises(OversizedError):
        unseal(Kind.PACK, bytes(sealed))


@pytest.mark.parametrize("body", [b"hello", b"a" * 5000])
def test_no_flipped_bit_goes_unnoticed(body: bytes) -> None:
    sealed = sealed_in_one(Kind.PACK, body)
    for position in range(len(sealed) * 8):
        flipped = bytearray(sealed)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(PayloadError):
            unseal(Kind.PACK, bytes(flipped))


@pytest.mark.parametrize("body", [b"hello", b"a" * 5000])
def test_no_truncation_goes_unnoticed(body: bytes) -> None:
    sealed = sealed_in_one(Kind.PACK, body)
    for size in range(len(sealed)):
        with pytest.raises(PayloadError):
            unseal(Kind.PACK, sealed[:size])
