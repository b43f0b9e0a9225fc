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

from scaler_batch.payload import Outcome, RunLocation, Seal, Status, encode_outcomes
from scaler_batch.payload.calls import make_call
from scaler_batch.payload.contract import ExitCode
from scaler_batch.payload.keys import PLACES
from scaler_batch.payload.testing import Answer, Fault, FaultyS3, Hang, Reset

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
    code, _, err = run.start(
        *(run.command(9, f"sha256:{'0' * 64}") if stored else command), AWS_ENDPOINT_URL="nowhere"
    ).finish()
    assert code == ExitCode.USAGE
    assert "AWS_ENDPOINT_URL" in json.loads(err.splitlines()[-1])["message"]


CONFLICT = Answer(409, "ConditionalRequestConflict")


@pytest.mark.parametrize(
    "faults",
    [
        [Reset()],
        [Reset(served=True)],
        [Reset(), Reset(), Reset(served=True)],
        [CONFLICT],
        [Answer(500, "InternalError", served=True)],
        [Answer(400, "RequestTimeout")],
        [Answer(400, "ExpiredToken")],
        [Answer(403, "InvalidAccessKeyId")],
    ],
    ids=str,
)
def test_a_result_is_not_lost_to_a_fault_that_passes(run: Run, faults: list[Fault]) -> None:
    with FaultyS3(faults) as s3:
        there = replace(run, endpoint=s3.address)
        sequence, command = there.inline(make_call(math.sqrt, 16))
        code, _, err = there.start(*command).finish()
        assert code == ExitCode.PUBLISHED, err
        assert "already_published" not in err
        [outcome], _ = there.published(sequence)
        assert pickle.loads(outcome.value) == 4.0


def test_a_second_attempt_whose_first_has_answered_meanwhile_leaves_that(run: Run) -> None:
    with FaultyS3() as s3:
        there = replace(run, endpoint=s3.address)
        sequence, command = there.inline(make_call(os.getpid))
        assert there.start(*command, AWS_BATCH_JOB_ATTEMPT="1").finish()[0] == ExitCode.PUBLISHED
        first = there.published(sequence)
        # Not told that it is the second, it does not look before it runs the call.
        code, _, err = there.start(*command).finish()
        assert code == ExitCode.PUBLISHED, err
        assert "already_published" in err
        assert there.published(sequence) == first


JUNK = ["outcomes/{}//x", "outcomes/{}/../x", "outcomes/{}/a\x01", "outcomes/{}/x", "outcomes/{}/1"]
JUNK.append(f"outcomes/{{}}/0.{'0' * 32}")


@pytest.mark.parametrize("key", JUNK)
def test_what_others_have_put_among_the_outcomes_does_not_stop_a_second_attempt(run: Run, key: str) -> None:
    with FaultyS3() as s3:
        there = replace(run, endpoint=s3.address)
        sequence, command = there.inline(make_call(os.getpid), make_call(math.sqrt, 16))
        assert there.start(*command, AWS_BATCH_JOB_ATTEMPT="1").finish()[0] == ExitCode.PUBLISHED
        first = there.answers(sequence)
        s3.objects[f"{there.location.root}/{key.format(sequence)}"] = b"junk"
        code, _, err = there.start(*command, AWS_BATCH_JOB_ATTEMPT="2").finish()
        assert code == ExitCode.PUBLISHED, err
        assert '"event": "task"' not in err
        assert first.keys() == {0, 1}


FORGED = [Outcome(position, Status.SUCCESS, pickle.dumps("forged")) for position in range(3)]


def forgeries(there: Run, sequence: int, key: str) -> dict[str, bytes]:
    """What may lie where a job's outcomes belong, and is not from the job."""
    envelope = encode_outcomes(FORGED, there.origin(attempt=1))
    stranger = replace(there, key=Seal.new())
    return {
        "junk": b"junk",
        "nothing": b"",
        "unsigned": b"".join(envelope),
        "signed by another run": b"".join(stranger.seal(sequence).sign(key, envelope)),
        "signed by another submission": b"".join(there.seal(sequence + 1).sign(key, envelope)),
        "signed by another job": b"".join(there.seal(sequence, 0).sign(key, envelope)),
        "signed for another place": b"".join(there.seal(sequence).sign(f"{key}0", envelope)),
    }


@pytest.mark.parametrize(
    "forgery", ["junk", "nothing", "unsigned", "signed by another run", "signed for another place"]
)
def test_what_lies_in_the_place_of_an_outcome_makes_the_job_take_another(run: Run, forgery: str) -> None:
    with FaultyS3() as s3:
        there = replace(run, endpoint=s3.address)
        sequence, command = there.inline(*[make_call(math.sqrt, number) for number in (16, 25, 36)])
        seal = there.seal(sequence)
        taken = seal.outcome_key(0)
        s3.objects[f"{there.location.root}/{taken}"] = forgeries(there, sequence, taken)[forgery]
        assert there.start(*command).finish()[0] == ExitCode.PUBLISHED
        assert sorted(there.published_keys()) == sorted([taken, seal.outcome_key(0, 1)])
        outcomes, _ = there.read(seal.outcome_key(0, 1))
        assert [pickle.loads(outcome.value) for outcome in outcomes] == [4.0, 5.0, 6.0]


@pytest.mark.parametrize(
    "forgery", ["junk", "unsigned", "signed by another run", "signed by another submission", "signed by another job"]
)
def test_a_second_attempt_believes_no_answer_that_its_job_has_not_signed(run: Run, forgery: str) -> None:
    with FaultyS3() as s3:
        there = replace(run, endpoint=s3.address)
        sequence, command = there.inline(make_call(math.sqrt, 16), make_call(math.sqrt, 25))
        seal = there.seal(sequence)
        planted = seal.outcome_key(0)
        s3.objects[f"{there.location.root}/{planted}"] = forgeries(there, sequence, planted)[forgery]
        code, _, err = there.start(*command, AWS_BATCH_JOB_ATTEMPT="2").finish()
        assert code == ExitCode.PUBLISHED
        assert err.count('"event": "task"') == 2
        outcomes, _ = there.read(seal.outcome_key(0, 1))
        assert [pickle.loads(outcome.value) for outcome in outcomes] == [4.0, 5.0]


def test_where_every_place_of_an_outcome_is_taken_the_others_go_out_and_the_job_says_so(run: Run) -> None:
    with FaultyS3() as s3:
        there = replace(run, endpoint=s3.address)
        sequence, command = there.inline(*[make_call(math.sqrt, number) for number in (16, 25, 36)])
        seal = there.seal(sequence)
        taken = [seal.outcome_key(0, place) for place in range(PLACES)]
        s3.objects |= {f"{there.location.root}/{key}": b"junk" for key in taken}
        code, _, err = there.start(*command).finish()
        assert code == ExitCode.BAD_PACK
        assert taken[-1] in json.loads(err.splitlines()[-1])["message"]
        outcomes, _ = there.read(seal.outcome_key(1))
        assert [pickle.loads(outcome.value) for outcome in outcomes] == [5.0, 6.0]


def test_many_long_failures_are_published_in_objects_that_can_be_read(run: Run) -> None:
    def failing() -> None:
        raise ValueError("\x01" * 10_000)

    sequence, command = run.stored([make_call(failing)] * 12)
    code, _, err = run.start(*command).finish()
    assert code == ExitCode.PUBLISHED, err
    answers = run.answers(sequence)
    assert sorted(answers) == list(range(12))
    assert {outcome.status for outcome, _ in answers.values()} == {Status.RAISED}


@pytest.mark.long
def test_a_store_that_hangs_does_not_keep_a_runner_beyond_sigkill(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")

    def waiting(gate: str) -> None:
        sys.stdout.write("running\n")
        Path(gate).read_text()

    with FaultyS3(always=Hang()) as s3:
        there = replace(run, endpoint=s3.address)
        _, command = there.inline(make_call(math.sqrt, 16), make_call(waiting, str(tmp_path / "gate")), processes=2)
        job = there.start(*command)
        assert job.stdout is not None
        assert job.stdout.readline() == "running\n"
        job.send_signal(signal.SIGTERM)
        code, _, err = job.finish()
        assert code in (ExitCode.STORE_UNAVAILABLE, ExitCode.INTERRUPTED), err
