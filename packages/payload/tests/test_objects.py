from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.payload import Reference, decode_object, encode_object
from scaler_batch.payload.envelope import Kind, seal
from scaler_batch.payload.errors import AlteredError
from scaler_batch.payload.hashing import digest
from scaler_batch.payload.keys import object_key
from scaler_batch.payload.objects import THRESHOLD

NOISE = random.Random(0).randbytes(2 * THRESHOLD)


def sealed(data: bytes) -> bytes:
    return b"".join(encode_object(data))


def named(data: bytes, size: int | None = None) -> Reference:
    return Reference(object_key(digest(data), 7), len(data) if size is None else size)


@given(st.binary(max_size=10_000) | st.builds(lambda piece: piece * 1000, st.binary(max_size=100)))
def test_an_object_comes_back_as_it_was(data: bytes) -> None:
    assert decode_object(sealed(data), named(data)) == data


def test_an_object_that_does_not_shrink_is_neither_copied_when_written_nor_when_read() -> None:
    view = memoryview(NOISE)
    assert encode_object(view)[1] is view
    written = sealed(NOISE)
    assert decode_object(written, named(NOISE)).obj is written


def test_an_object_that_shrinks_is_compressed() -> None:
    assert len(sealed(bytes(THRESHOLD + 1))) < 10_000


def test_an_object_is_known_by_the_hash_of_its_content() -> None:
    assert digest(memoryview(b"content")) == hashlib.sha256(b"content").hexdigest()


@pytest.mark.parametrize("data", [NOISE, bytes(len(NOISE))], ids=["as it is", "compressed"])
def test_an_object_of_another_size_than_the_reference_says_is_refused(data: bytes) -> None:
    for size in (len(data) - 1, len(data) + 1):
        with pytest.raises(AlteredError):
            decode_object(sealed(data), named(data, size))


def test_an_object_of_the_same_size_and_other_content_is_refused() -> None:
    data = b"content"
    with pytest.raises(AlteredError, match="objects/"):
        decode_object(sealed(b"forgery"), named(data))


@pytest.mark.parametrize("found", [b"", b"junk", sealed(b"data")[:-1], sealed(b"data") + b"0"])
def test_what_is_no_envelope_is_no_object(found: bytes) -> None:
    with pytest.raises(AlteredError):
        decode_object(found, named(b"data"))


@pytest.mark.parametrize("kind", [Kind.PACK, Kind.OUTCOMES, Kind.TABLE])
def test_what_is_no_object_is_refused(kind: Kind) -> None:
    with pytest.raises(AlteredError):
        decode_object(b"".join(seal(kind, [b"data"])), named(b"data"))


def test_an_object_of_another_version_is_refused() -> None:
    written = bytearray(sealed(b"data"))
    written[4] = 9
    with pytest.raises(AlteredError):
        decode_object(bytes(written), named(b"data"))
