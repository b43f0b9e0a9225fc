"""Where a job finds its calls."""

from __future__ import annotations

import base64
import json
import math
import pickle
from typing import TYPE_CHECKING

import pytest

from scaler_batch.payload import encode_pack, place
from scaler_batch.payload.calls import make_call
from scaler_batch.payload.contract import ExitCode

if TYPE_CHECKING:
    from conftest import Run

PACK = b"".join(encode_pack([[make_call(math.sqrt, 16)]]).pieces)


def refused(run: Run, parameter: str, code: ExitCode, **environment: str) -> str:
    """Check that a job fails with ``code`` and publishes nothing; return its message."""
    sequence = next(run.sequences)
    found, _, err = run.start(*run.command(sequence, parameter), **environment).finish()
    assert found == code
    assert run.published_keys() == []
    line = json.loads(err.splitlines()[-1])
    assert (line["event"], line["exit_code"]) == ("runner_failed", code)
    return str(line["message"])


def test_a_pack_that_lies_in_the_store_is_fetched(run: Run) -> None:
    sequence, command = run.stored([make_call(math.sqrt, 16)])
    assert run.start(*command).finish()[0] == ExitCode.PUBLISHED
    assert pickle.loads(run.published(sequence)[0][0].value) == 4.0


def test_a_pack_larger_than_any_command_line_is_fetched(run: Run) -> None:
    sequence, command = run.stored([make_call(len, bytes(range(256)) * 20_000)])
    assert run.start(*command).finish()[0] == ExitCode.PUBLISHED
    assert pickle.loads(run.published(sequence)[0][0].value) == 256 * 20_000


@pytest.mark.parametrize("stored", [True, False])
def test_each_child_of_an_array_runs_its_own_bundle(run: Run, stored: bool) -> None:
    bundles = [[make_call(math.sqrt, number**2)] for number in range(3)]
    sequence, command = run.stored(*bundles)
    if not stored:
        command = run.command(sequence, place(encode_pack(bundles)).parameter)
    for index in (2, 0):
        environment = {"AWS_BATCH_JOB_ARRAY_INDEX": str(index), "AWS_BATCH_JOB_ID": f"id:{index}"}
        assert run.start(*command, **environment).finish()[0] == ExitCode.PUBLISHED
        [outcome], origin = run.published(sequence, index)
        assert outcome.position == 0
        assert pickle.loads(outcome.value) == index
        assert origin.job == f"id:{index}"
    assert sorted(run.published_keys()) == [f"outcomes/{sequence}.0/0", f"outcomes/{sequence}.2/0"]


def test_a_pack_that_is_not_in_the_store_is_named(run: Run) -> None:
    assert "packs/0" in refused(run, "-", ExitCode.NO_INPUT)


@pytest.mark.parametrize(
    "parameter",
    [
        "no base64!",
        base64.b64encode(b"no pack").decode(),
        base64.b64encode(PACK[:-1]).decode(),
        base64.b64encode(PACK[:4] + b"\xff" + PACK[5:]).decode(),
    ],
    ids=["not base64", "not a pack", "truncated", "another version"],
)
def test_a_damaged_pack_is_refused(run: Run, parameter: str) -> None:
    refused(run, parameter, ExitCode.BAD_PACK)


def test_a_place_in_the_array_that_the_pack_does_not_hold_is_refused(run: Run) -> None:
    message = refused(run, base64.b64encode(PACK).decode(), ExitCode.BAD_PACK, AWS_BATCH_JOB_ARRAY_INDEX="1")
    assert "no bundle 1" in message
