"""Where packs travel, at the boundary values, and that what travels with a job is never more than AWS takes."""

from __future__ import annotations

import base64
import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.payload import (
    Call,
    Pack,
    PayloadError,
    RunLocation,
    Seal,
    Stored,
    decode_pack,
    encode_pack,
    locate,
    place,
)
from scaler_batch.payload.contract import (
    ARRAY_INDEX_VARIABLE,
    ATTEMPT_VARIABLE,
    JOB_ID_VARIABLE,
    KEY_PARAMETER,
    PACK_IN_STORE,
    PACK_PARAMETER,
    RUN_PARAMETER,
    RUNNER_COMMAND,
    SEQUENCE_PARAMETER,
)
from scaler_batch.payload.envelope import HEADER_SIZE
from scaler_batch.payload.errors import MalformedError, VersionError
from scaler_batch.payload.hashing import digest
from scaler_batch.payload.keys import LONGEST_ADDRESS
from scaler_batch.payload.pack import body_of
from scaler_batch.payload.placement import (
    INLINE_LIMIT,
    MAX_INLINE_LIMIT,
    OVERRIDES_LIMIT,
    OVERRIDES_RESERVE,
    REQUEST_LIMIT,
)

NOISE = random.Random(0).randbytes(200_000)
DIGEST = "0123456789abcdef" * 4
KEY = Seal(bytes(32)).reveal()


def pack_of(size: int, table: int = 0) -> Pack:
    return Pack([NOISE[: size // 2], memoryview(NOISE)[size // 2 : size]], table)


def call_of(body: int, content: bytes = NOISE) -> Call:
    """A call whose body in a pack has so many bytes."""
    rest = len(b"".join(body_of([[Call(b"s", content[:body])]]))) - body
    call = Call(b"s", content[: body - rest])
    spare = body - len(b"".join(body_of([[call]])))
    return Call(b"s" * (1 + spare), call.function)


# --- the decision ---


def test_a_pack_at_the_limit_travels_inline() -> None:
    placement = place(pack_of(INLINE_LIMIT))
    assert not placement.stored
    assert locate(placement.parameter) == NOISE[:INLINE_LIMIT]


def test_a_pack_one_byte_above_the_limit_travels_through_the_store() -> None:
    placement = place(pack_of(INLINE_LIMIT + 1))
    assert placement.stored
    assert placement.parameter == f"{PACK_IN_STORE}{digest(NOISE[: INLINE_LIMIT + 1])}"
    assert locate(placement.parameter) == Stored(digest(NOISE[: INLINE_LIMIT + 1]))


def test_the_limit_of_the_setup_guide_can_be_set() -> None:
    assert not place(pack_of(MAX_INLINE_LIMIT), inline_limit=MAX_INLINE_LIMIT).stored
    assert place(pack_of(MAX_INLINE_LIMIT + 1), inline_limit=MAX_INLINE_LIMIT).stored


def test_a_limit_of_zero_sends_everything_through_the_store() -> None:
    assert place(pack_of(1), inline_limit=0).stored


@pytest.mark.parametrize("table", [1, 20, 9_999_999_999])
def test_a_pack_in_parts_lies_in_the_store_however_small_it_is(table: int) -> None:
    pack = pack_of(100, table)
    placement = place(pack, inline_limit=MAX_INLINE_LIMIT)
    assert placement.stored
    assert placement.parameter == f"{PACK_IN_STORE}{pack.digest}:{table}"
    assert locate(placement.parameter) == Stored(pack.digest, table)


# --- the setup guide's table ---


def decided(call: Call, limit: int = INLINE_LIMIT) -> tuple[bool, bool]:
    """Whether a pack of one call is compressed, and whether it travels inline."""
    pack = encode_pack([[call]])
    placement = place(pack, inline_limit=limit)
    found = locate(placement.parameter)
    written = b"".join(pack.pieces)
    assert found == (Stored(digest(written)) if placement.stored else written)
    assert [bundle.calls for bundle in decode_pack(written)] == [[call]]
    return bool(written[6]), not placement.stored


@pytest.mark.parametrize("content", [NOISE, bytes(200_000)], ids=["noise", "zeros"])
def test_up_to_4096_bytes_travel_inline_as_they_are(content: bytes) -> None:
    assert decided(call_of(4096, content)) == (False, True)


def test_from_4097_bytes_on_a_pack_is_compressed_where_that_helps() -> None:
    assert decided(call_of(4097, bytes(200_000))) == (True, True)
    assert decided(call_of(4097)) == (False, True)


def test_what_does_not_shrink_travels_inline_up_to_the_limit() -> None:
    room = INLINE_LIMIT - HEADER_SIZE
    assert decided(call_of(room)) == (False, True)
    assert decided(call_of(room + 1)) == (False, False)


def test_the_limit_is_one_of_compressed_bytes() -> None:
    """3 to 5 times smaller is what the guide counts on; 100,000 bytes then fit its 28 KiB and not ours."""
    text = base64.b16encode(NOISE[:12_000]) + bytes(76_000)
    assert decided(call_of(100_000, text), MAX_INLINE_LIMIT) == (True, True)
    assert decided(call_of(100_000, text)) == (True, False)
    assert decided(call_of(200_000, bytes(200_000))) == (True, True)


def test_what_stays_above_the_limit_goes_to_the_store() -> None:
    for limit in (INLINE_LIMIT, MAX_INLINE_LIMIT):
        assert decided(call_of(150_000), limit) == (False, False)
        assert decided(call_of(150_000, base64.b16encode(NOISE)), limit) == (True, False)


# --- what AWS takes ---


def overrides(address: str, parameter: str) -> str:
    """What ECS gets to see of a job: the command with its parameters, and Batch's own variables."""
    values = {f"Ref::{RUN_PARAMETER}": address, f"Ref::{SEQUENCE_PARAMETER}": "9" * 19}
    values[f"Ref::{PACK_PARAMETER}"] = parameter
    values[f"Ref::{KEY_PARAMETER}"] = KEY
    variables = {
        ARRAY_INDEX_VARIABLE: "9999",
        ATTEMPT_VARIABLE: "10",
        JOB_ID_VARIABLE: f"{'0' * 36}:9999",
        "AWS_BATCH_JOB_ARRAY_SIZE": "10000",
        "AWS_BATCH_JQ_NAME": "q" * 128,
        "AWS_BATCH_CE_NAME": "c" * 128,
    }
    container = {
        "name": "default",
        "command": [values.get(element, element) for element in RUNNER_COMMAND],
        "environment": [{"name": name, "value": value} for name, value in variables.items()],
    }
    return json.dumps({"containerOverrides": [container]}, separators=(",", ":"))


def address(size: int) -> str:
    """The address of a run with so many characters."""
    run = RunLocation("b" * 63, "p", "20261122T120000-0a1b2c3d", "us-gov-west-1")
    found = str(run._replace(prefix="p" * (1 + size - len(str(run)))))
    assert len(found) == size
    return str(RunLocation.parse(found))


@pytest.mark.parametrize("size", [150, LONGEST_ADDRESS], ids=["usual address", "longest address"])
def test_no_inline_pack_makes_the_overrides_of_its_container_too_long(size: int) -> None:
    largest = place(pack_of(INLINE_LIMIT)).parameter
    assert len(largest) <= OVERRIDES_LIMIT - OVERRIDES_RESERVE
    assert len(overrides(address(size), largest)) <= OVERRIDES_LIMIT
    assert len(overrides(address(size), place(pack_of(10**5, 10**9)).parameter)) <= OVERRIDES_LIMIT


def test_no_inline_pack_makes_the_request_too_large() -> None:
    largest = place(pack_of(MAX_INLINE_LIMIT), inline_limit=MAX_INLINE_LIMIT).parameter
    assert len(largest) <= 28 * 1024
    request = {
        "jobName": "n" * 128,
        "jobQueue": f"arn:aws-us-gov:batch:us-gov-west-1:123456789012:job-queue/{'q' * 128}",
        "jobDefinition": f"arn:aws-us-gov:batch:us-gov-west-1:123456789012:job-definition/{'d' * 128}:100000",
        "arrayProperties": {"size": 10_000},
        "retryStrategy": {"attempts": 10},
        "timeout": {"attemptDurationSeconds": 10**6},
        "parameters": {
            RUN_PARAMETER: address(LONGEST_ADDRESS),
            SEQUENCE_PARAMETER: "9" * 19,
            PACK_PARAMETER: largest,
            KEY_PARAMETER: KEY,
        },
    }
    assert len(json.dumps(request)) <= REQUEST_LIMIT


def test_the_default_uses_what_the_overrides_leave() -> None:
    assert math.ceil((INLINE_LIMIT + 1) / 3) * 4 > OVERRIDES_LIMIT - OVERRIDES_RESERVE


# --- back ---


@given(st.binary(max_size=8000))
def test_an_inline_pack_comes_back_as_it_was(pack: bytes) -> None:
    assert locate(place(Pack([pack]), inline_limit=8000).parameter) == pack


@pytest.mark.parametrize(
    "parameter",
    [
        "abc",
        "ab=c",
        "a b c d",
        "é",
        "====",
        "Zm9v!",
        "Zm9v\n",
        "1-",
        "sha256:",
        "sha256:79",
        f"sha256:{DIGEST[1:]}",
        f"sha256:{DIGEST}0",
        f"sha256:{DIGEST.upper()}",
        f"sha256:{DIGEST}:",
        f"sha256:{DIGEST}:0",
        f"sha256:{DIGEST}:01",
        f"sha256:{DIGEST}:1x",
        f"sha256:{DIGEST}: 1",
        f"sha256:{DIGEST}:1\n",
        f"sha256:{DIGEST}:99999999999",
        f"sha256:{DIGEST}:\N{ARABIC-INDIC DIGIT SEVEN}",
        f"sha512:{DIGEST}",
    ],
)
def test_what_is_neither_base64_nor_a_place_is_refused(parameter: str) -> None:
    with pytest.raises(MalformedError):
        locate(parameter)


@pytest.mark.parametrize("parameter", ["-", "-79", "--"])
def test_a_pack_that_nothing_vouches_for_is_refused_with_what_helps(parameter: str) -> None:
    with pytest.raises(VersionError, match="install the same release") as raised:
        locate(parameter)
    assert (raised.value.found, raised.value.known) == (1, 2)


@given(st.text() | st.text("0123456789:").map(f"sha256:{DIGEST}{{}}".format))
def test_any_text_is_a_pack_a_place_or_our_error(text: str) -> None:
    try:
        found = locate(text)
    except PayloadError:
        return
    if isinstance(found, Stored):
        assert text == f"sha256:{found.digest}" + (f":{found.table}" if found.table else "")
    else:
        assert len(base64.b64encode(found)) >= len(found)
