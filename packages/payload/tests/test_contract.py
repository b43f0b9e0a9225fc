from __future__ import annotations

import base64
import itertools

import pytest

from scaler_batch.payload import contract
from scaler_batch.payload.contract import (
    FIRST_PACK_IN_STORE,
    KEY_IN_CONTAINER,
    PACK_IN_STORE,
    RUNNER_COMMAND,
    ExitCode,
)

PARAMETERS = (
    contract.RUN_PARAMETER,
    contract.SEQUENCE_PARAMETER,
    contract.PACK_PARAMETER,
    contract.KEY_PARAMETER,
)


def test_every_parameter_is_one_whole_element_of_the_command() -> None:
    assert [element for element in RUNNER_COMMAND if "Ref::" in element] == [f"Ref::{name}" for name in PARAMETERS]


def test_no_parameter_is_the_beginning_of_another() -> None:
    for one, other in itertools.permutations(PARAMETERS, 2):
        assert not other.startswith(one)


def test_what_does_not_stand_in_a_parameter_itself_is_no_base64() -> None:
    for sign in (PACK_IN_STORE, KEY_IN_CONTAINER, FIRST_PACK_IN_STORE):
        with pytest.raises(ValueError, match="base64"):
            base64.b64decode(f"{sign}AAAA", validate=True)


def test_exit_codes_are_told_apart_and_none_is_one_that_a_shell_or_python_uses_by_itself() -> None:
    assert len(set(ExitCode)) == len(ExitCode.__members__)
    assert not {1, 2, 126, 127, 137, 139} & set(ExitCode)
    assert ExitCode.INTERRUPTED == 128 + 15
