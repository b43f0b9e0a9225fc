"""Outcomes into the store, once."""

from __future__ import annotations

import json
import math
import os
import pickle
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scaler_batch.payload import RunLocation
from scaler_batch.payload.calls import make_call
from scaler_batch.payload.contract import ExitCode

if TYPE_CHECKING:
    from conftest import Run


def test_outcomes_say_where_they_come_from(run: Run) -> None:
    sequence, command = run.inline(make_call(math.sqrt, 16))
    run.start(*command, AWS_BATCH_JOB_ID="some-id", AWS_BATCH_JOB_ATTEMPT="2").finish()
    _, origin = run.published(sequence)
    assert (origin.job, origin.attempt, origin.host) == ("some-id", 2, os.uname().nodename)


def test_a_second_attempt_runs_nothing_that_the_first_has_answered(run: Run) -> None:
    sequence, command = run.inline(make_call(os.getpid))
    assert run.start(*command, AWS_BATCH_JOB_ATTEMPT="1").finish()[0] == ExitCode.PUBLISHED
    first = run.published(sequence)
    code, _, err = run.start(*command, AWS_BATCH_JOB_ATTEMPT="2").finish()
    assert code == ExitCode.PUBLISHED
    assert '"event": "task"' not in err
    assert run.published(sequence) == first
    assert first[1].attempt == 1


def test_a_second_attempt_answers_where_the_first_was_killed(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")

    def function(gate: str) -> str:
        sys.stdout.write("running\n")
        return "second" if os.environ["AWS_BATCH_JOB_ATTEMPT"] == "2" else open(gate).read()

    sequence, command = run.stored([make_call(function, str(tmp_path / "gate"))])
    first = run.start(*command, AWS_BATCH_JOB_ATTEMPT="1")
    assert first.stdout is not None
    assert first.stdout.readline() == "running\n"
    first.kill()
    assert first.finish()[0] == -signal.SIGKILL
    assert run.start(*command, AWS_BATCH_JOB_ATTEMPT="2").finish()[0] == ExitCode.PUBLISHED
    [outcome], origin = run.published(sequence)
    assert pickle.loads(outcome.value) == "second"
    assert origin.attempt == 2


def test_a_large_result_is_published(run: Run) -> None:
    def function() -> bytes:
        import random

        return random.Random(1).randbytes(12_000_000)

    outcome, _, _ = run.call(function)
    assert len(pickle.loads(outcome.value)) == 12_000_000


def test_a_store_that_refuses_is_told_by_the_exit_code(run: Run) -> None:
    elsewhere = replace(run, location=RunLocation("no-such-bucket", "prefix", "run", "us-east-1"))
    _, command = elsewhere.inline(make_call(math.sqrt, 16))
    code, _, err = elsewhere.start(*command).finish()
    assert code == ExitCode.STORE_UNAVAILABLE
    assert "outcomes/0" in json.loads(err.splitlines()[-1])["message"]


@pytest.mark.parametrize("stored", [True, False])
def test_an_endpoint_that_is_none_is_an_error_of_usage(run: Run, stored: bool) -> None:
    _, command = run.inline(make_call(math.sqrt, 16))
    code, _, err = run.start(*(run.command(9, "-") if stored else command), AWS_ENDPOINT_URL="nowhere").finish()
    assert code == ExitCode.USAGE
    assert "AWS_ENDPOINT_URL" in json.loads(err.splitlines()[-1])["message"]
