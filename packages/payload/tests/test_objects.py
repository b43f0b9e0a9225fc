from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.payload import decode_object, encode_object
from scaler_batch.payload.envelope import Kind, seal
from scaler_batch.payload.errors import MalformedError, OversizedError, VersionError
from scaler_batch.payload.objects import THRESHOLD, digest

NOISE = random.Random(0).randbytes(2 * THRESHOLD)


def sealed(data: bytes) -> bytes:
    return b"".join(encode_object(data))


@given(st.binary(max_size=10_000) | st.builds(lambda piece: piece * 1000, st.binary(max_size=100)))
def test_an_object_comes_back_as_it_was(data: bytes) -> None:
    assert decode_object(sealed(data), len(data)) == data


def test_an_object_that_does_not_shrink_is_neither_copied_when_written_nor_when_read() -> None:
    view = memoryview(NOISE)
    assert encode_object(view)[1] is view
    written = sealed(NOISE)
    assert decode_object(written, len(NOISE)).obj is written


def test_an_object_that_shrinks_is_compressed() -> None:
    assert len(sealed(bytes(THRESHOLD + 1))) < 10_000


def test_an_object_is_known_by_the_hash_of_its_content() -> None:
    assert digest(memoryview(b"content")) == hashlib.sha256(b"content").hexdigest()


@pytest.mark.parametrize("data", [NOISE, bytes(len(NOISE))], ids=["as it is", "compressed"])
def test_an_object_of_another_size_than_the_reference_says_is_refused(data: bytes) -> None:
    with pytest.raises(OversizedError):
        decode_object(sealed(data), len(data) - 1)
    with pytest.raises(MalformedError):
        decode_object(sealed(data), len(data) + 1)


@pytest.mark.parametrize("kind", [Kind.PACK, Kind.OUTCOMES, Kind.TABLE])
def test_what_is_no_object_is_refused(kind: Kind) -> None:
    with pytest.raises(MalformedError):
        decode_object(b"".join(seal(kind, [b"data"])), 4)


def test_an_object_of_another_version_is_refused() -> None:
    written = bytearray(sealed(b"data"))
    written[4] = 9
    with pytest.raises(VersionError):
        decode_object(written, 4)  # type: ignore[arg-type]
