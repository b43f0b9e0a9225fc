"""Where a job finds its calls."""

from __future__ import annotations

import base64
import json
import math
import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scaler_batch.payload import Call, encode_object, encode_pack, place
from scaler_batch.payload.calls import make_call
from scaler_batch.payload.contract import ExitCode
from scaler_batch.payload.keys import pack_key

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
    assert run.paths(*run.published_keys()) == [f"outcomes/{sequence}.0/0", f"outcomes/{sequence}.2/0"]


def test_a_pack_that_is_not_in_the_store_is_named(run: Run) -> None:
    assert "packs/0" in refused(run, f"sha256:{'0' * 64}", ExitCode.NO_INPUT)


@pytest.mark.parametrize("parameter", ["-", "-79"])
def test_a_pack_of_an_older_worker_is_refused_with_what_helps(run: Run, parameter: str) -> None:
    message = refused(run, parameter, ExitCode.BAD_PACK)
    assert "install the same release of scaler-batch in the worker and in the container image" in message


BUNDLE = [make_call(math.sqrt, 16)]
LARGE = [[make_call(len, os.urandom(600_000))] for _ in range(2)]


@pytest.mark.parametrize("bundles", [[BUNDLE], LARGE], ids=["in one piece", "in parts"])
def test_a_pack_that_somebody_has_replaced_is_refused_before_anything_of_it_is_read(
    run: Run, tmp_path: Path, bundles: list[list[Call]]
) -> None:
    trace = tmp_path / "ran"

    def harmful() -> None:
        trace.touch()

    sequence, (*_, parameter, _, _) = run.stored(*bundles)
    there, _ = run.stored(*[[make_call(harmful)._replace(arguments=call.arguments)] for [call] in bundles])
    for forged in (run.store.get(pack_key(there)), b"", b"junk" * 1_000_000):
        s3 = run.s3
        s3.put_object(Bucket="tests", Key=f"{run.location.root}/{pack_key(sequence)}", Body=bytes(forged))
        command = run.command(sequence, parameter)
        code, _, _ = run.start(*command).finish()
        # Nothing of an empty object can be fetched.
        assert code in ((ExitCode.ALTERED_INPUT,) if forged else (ExitCode.ALTERED_INPUT, ExitCode.STORE_UNAVAILABLE))
        assert run.published_keys() == []
        assert not trace.exists()


def test_an_object_that_somebody_has_replaced_is_refused_before_it_is_read(run: Run, tmp_path: Path) -> None:
    trace = tmp_path / "ran"

    class Harmful:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (trace,)

    honest = pickle.dumps(bytes(2_000_000))
    reference = run.object(honest)
    _, command = run.inline(make_call(len, b"")._replace(arguments=(reference,)))
    harmful = pickle.dumps(Harmful())
    forged = b"".join(encode_object(harmful.ljust(len(honest), b"0")))
    run.s3.put_object(Bucket="tests", Key=f"{run.location.root}/{reference.key}", Body=forged)
    code, _, err = run.start(*command).finish()
    assert code == ExitCode.ALTERED_INPUT
    assert reference.key in json.loads(err.splitlines()[-1])["message"]
    assert run.published_keys() == []
    assert not trace.exists()


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
