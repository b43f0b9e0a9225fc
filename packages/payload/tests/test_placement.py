from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler_batch.payload import PayloadError, inline_pack, place
from scaler_batch.payload.contract import PACK_IN_STORE, RUNNER_COMMAND
from scaler_batch.payload.errors import MalformedError
from scaler_batch.payload.placement import (
    INLINE_LIMIT,
    MAX_INLINE_LIMIT,
    OVERRIDES_LIMIT,
    OVERRIDES_RESERVE,
    REQUEST_LIMIT,
)


def test_a_pack_at_the_limit_travels_inline() -> None:
    pack = bytes(INLINE_LIMIT)
    placement = place(pack)
    assert not placement.stored
    assert inline_pack(placement.parameter) == pack


def test_a_pack_one_byte_above_the_limit_travels_through_the_store() -> None:
    placement = place(bytes(INLINE_LIMIT + 1))
    assert placement.stored
    assert placement.parameter == PACK_IN_STORE


def test_the_limit_of_the_setup_guide_can_be_set() -> None:
    assert not place(bytes(MAX_INLINE_LIMIT), inline_limit=MAX_INLINE_LIMIT).stored
    assert place(bytes(MAX_INLINE_LIMIT + 1), inline_limit=MAX_INLINE_LIMIT).stored
    assert len(place(bytes(MAX_INLINE_LIMIT), inline_limit=MAX_INLINE_LIMIT).parameter) <= 28 * 1024 < REQUEST_LIMIT


def test_a_limit_of_zero_sends_everything_through_the_store() -> None:
    assert place(b"x", inline_limit=0).stored


def test_the_largest_inline_pack_leaves_the_reserve_in_the_overrides_of_its_container() -> None:
    parameter = place(bytes(INLINE_LIMIT)).parameter
    assert len(parameter) <= OVERRIDES_LIMIT - OVERRIDES_RESERVE
    values = {"Ref::run": "s3://" + "b" * 63 + "/" + "p" * 100 + "/" + "r" * 64 + "?region=us-gov-west-1"}
    values |= {"Ref::sequence": "9" * 18, "Ref::pack": parameter}
    command = [values.get(element, element) for element in RUNNER_COMMAND]
    overrides = {"containerOverrides": [{"name": "default", "command": command}]}
    assert len(json.dumps(overrides, separators=(",", ":"))) <= OVERRIDES_LIMIT


@given(st.binary(max_size=8000))
def test_an_inline_pack_comes_back_as_it_was(pack: bytes) -> None:
    placement = place(pack, inline_limit=8000)
    assert inline_pack(placement.parameter) == pack


@pytest.mark.parametrize("parameter", [PACK_IN_STORE, "abc", "ab=c", "a b c d", "é", "====", "Zm9v!", "Zm9v\n"])
def test_what_is_not_base64_is_refused(parameter: str) -> None:
    with pytest.raises(MalformedError):
        inline_pack(parameter)


@given(st.text())
def test_any_text_is_base64_or_our_error(text: str) -> None:
    try:
        pack = inline_pack(text)
    except PayloadError:
        return
    assert len(base64.b64encode(pack)) >= len(pack)
