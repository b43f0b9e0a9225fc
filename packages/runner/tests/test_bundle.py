"""Bundles of several calls: side by side, published as they go, and attempts that meet."""

from __future__ import annotations

import contextlib
import json
import math
import os
import pickle
import random
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from scaler_batch.payload import Client, Outcome, Status
from scaler_batch.payload.calls import make_call
from scaler_batch.payload.contract import ExitCode
from scaler_batch.runner.environment import this_side

if TYPE_CHECKING:
    from conftest import Job, Run


def values(run: Run, sequence: int) -> list[object]:
    return [pickle.loads(outcome.value) for _, (outcome, _) in sorted(run.answers(sequence).items())]


def meet(folder: str, mine: str, other: str) -> str:
    """Two of these can only return side by side."""
    with open(f"{folder}/{mine}", "w"):
        pass
    while not os.path.exists(f"{folder}/{other}"):
        time.sleep(0.01)
    return mine


def test_calls_run_side_by_side_as_the_command_line_says(run: Run, tmp_path: Path) -> None:
    sequence, command = run.inline(
        make_call(meet, str(tmp_path), "a", "b"), make_call(meet, str(tmp_path), "b", "a"), make_call(os.getppid)
    )
    job = run.start(*command, "--processes", "2")
    assert job.finish()[0] == ExitCode.PUBLISHED
    assert values(run, sequence) == ["a", "b", job.pid]


def test_calls_run_side_by_side_as_the_pack_says(run: Run, tmp_path: Path) -> None:
    sequence, command = run.inline(
        make_call(meet, str(tmp_path), "a", "b"), make_call(meet, str(tmp_path), "b", "a"), processes=2
    )
    assert run.start(*command).finish()[0] == ExitCode.PUBLISHED
    assert values(run, sequence) == ["a", "b"]


def test_what_is_finished_is_published_while_the_rest_runs(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")

    def waiting(gate: str) -> str:
        with open(gate) as file:
            return file.read()

    calls = [make_call(math.sqrt, 16), make_call(math.sqrt, 25), make_call(waiting, str(tmp_path / "gate"))]
    sequence, command = run.inline(*calls)
    job = run.start(*command)
    while not (keys := run.published_keys()):
        assert job.poll() is None
        time.sleep(0.05)
    assert keys == [run.seal(sequence).outcome_key(0)]
    assert run.answers(sequence).keys() == {0, 1}, "what finished within a second is one object"
    (tmp_path / "gate").write_text("opened")
    assert job.finish()[0] == ExitCode.PUBLISHED
    assert sorted(run.published_keys()) == [run.seal(sequence).outcome_key(0), run.seal(sequence).outcome_key(2)]
    assert values(run, sequence) == [4.0, 5.0, "opened"]


def test_a_bundle_that_is_quick_is_published_as_one_object(run: Run) -> None:
    sequence, command = run.inline(*(make_call(math.sqrt, number * number) for number in range(20)))
    assert run.start(*command).finish()[0] == ExitCode.PUBLISHED
    assert run.published_keys() == [run.seal(sequence).outcome_key(0)]
    assert values(run, sequence) == list(map(float, range(20)))


def test_a_call_that_dies_leaves_its_neighbours_alone(run: Run) -> None:
    def killed() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    calls = [
        make_call(killed),
        make_call(math.sqrt, 4),
        make_call(os._exit, 0),
        make_call(sys.exit, "no"),
        make_call(abs, -1),
    ]
    sequence, command = run.inline(*calls)
    assert run.start(*command, "--processes", "3").finish()[0] == ExitCode.PUBLISHED
    statuses = [str(outcome.status) for _, (outcome, _) in sorted(run.answers(sequence).items())]
    assert statuses == ["crashed", "success", "crashed", "raised", "success"]


def test_a_second_attempt_runs_what_the_first_left_unanswered(run: Run, tmp_path: Path) -> None:
    """The first attempt published two of four, out of order, before it was killed."""

    def attempt() -> str:
        return os.environ["AWS_BATCH_JOB_ATTEMPT"]

    sequence, command = run.inline(*(make_call(attempt) for _ in range(4)))
    earlier = [Outcome(position, Status.SUCCESS, pickle.dumps("1")) for position in (3, 1)]
    run.publish(sequence, earlier)
    code, _, err = run.start(*command, AWS_BATCH_JOB_ATTEMPT="2").finish()
    assert code == ExitCode.PUBLISHED
    assert values(run, sequence) == ["2", "1", "2", "1"]
    ran = [json.loads(line)["task"] for line in err.splitlines() if '"event": "task"' in line]
    assert ran == [f"{sequence}/0", f"{sequence}/2"]


def test_attempts_that_meet_answer_every_call_once(run: Run, tmp_path: Path) -> None:
    """The first attempt, thought dead, publishes call 0 and 2 after the second has looked."""
    os.mkfifo(tmp_path / "gate")

    def waiting(gate: str) -> str:
        sys.stdout.write("running\n")
        with open(gate) as file:
            return file.read()

    def second() -> str:
        return "second"

    calls = [make_call(waiting, str(tmp_path / "gate")), make_call(second), make_call(second), make_call(second)]
    sequence, command = run.inline(*calls)
    job = run.start(*command, AWS_BATCH_JOB_ATTEMPT="2")
    assert job.stdout is not None
    assert job.stdout.readline() == "running\n"
    late = [Outcome(position, Status.SUCCESS, pickle.dumps("first")) for position in (0, 2)]
    run.publish(sequence, late)
    (tmp_path / "gate").write_text("second")
    assert job.finish()[0] == ExitCode.PUBLISHED
    assert values(run, sequence) == ["first", "second", "first", "second"]


@pytest.mark.parametrize(
    ("client", "named"),
    [
        (Client("3.9", this_side().cloudpickle), ("3.9", this_side().python, "image")),
        (Client(this_side().python, "1.6.0"), ("1.6.0", this_side().cloudpickle, "install")),
    ],
)
def test_a_client_that_cannot_be_read_is_told_both_sides_and_the_fix(
    run: Run, client: Client, named: tuple[str, ...], tmp_path: Path
) -> None:
    def by_value(folder: str) -> None:
        os.mkdir(folder)

    sequence, command = run.inline(make_call(by_value, str(tmp_path / "made")), make_call(abs, -1), client=client)
    assert run.start(*command).finish()[0] == ExitCode.PUBLISHED
    for outcome, _ in run.answers(sequence).values():
        assert outcome.status is Status.MISMATCHED
        assert outcome.failure is not None
        assert all(word in outcome.failure.message for word in named)
    assert run.answers(sequence).keys() == {0, 1}
    assert not (tmp_path / "made").exists(), "nothing was unpickled"


def test_a_client_of_the_same_kind_is_read(run: Run) -> None:
    sequence, command = run.inline(make_call(abs, -1), client=this_side())
    run.start(*command).finish()
    assert values(run, sequence) == [1]


def test_outcomes_name_what_made_them(run: Run) -> None:
    sequence, command = run.inline(make_call(abs, -1))
    run.start(*command).finish()
    _, origin = run.published(sequence)
    assert origin.python == "{}.{}.{}".format(*sys.version_info)
    assert origin.packages.keys() == {"scaler-batch-runner", "scaler-batch-payload"}


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A control group of 200 MB, where this machine lets one be made."""
    for mount, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = Path(mount, f"scaler-batch-{uuid4().hex}")
        try:
            group.mkdir()
            (group / limit).write_text("200000000")
        except OSError:
            with contextlib.suppress(OSError):
                group.rmdir()
        else:
            yield group
            group.rmdir()
            return
    pytest.skip("no control group with a memory limit can be made here")


def test_a_call_that_uses_up_the_memory_is_told_from_others_that_are_killed(run: Run, small_group: Path) -> None:
    def greedy() -> int:
        return len(bytearray(b"x") * 400_000_000)

    def killed() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    sequence, command = run.inline(make_call(greedy), make_call(killed), make_call(abs, -1))
    join = f'echo $$ > {small_group}/cgroup.procs && exec "$@"'
    assert run.start(*command, within=("sh", "-c", join, "sh")).finish()[0] == ExitCode.PUBLISHED
    statuses = [str(outcome.status) for _, (outcome, _) in sorted(run.answers(sequence).items())]
    assert statuses == ["out_of_memory", "crashed", "success"]


def killed_at(job: Job, seconds: float) -> None:
    """Kill a job at a moment of its life, whatever it is doing."""
    time.sleep(seconds)
    os.killpg(job.pid, signal.SIGKILL)
    job.finish()


@pytest.mark.parametrize(
    "seconds", [0.05, 0.2, 0.8, *(pytest.param(moment, marks=pytest.mark.long) for moment in (0.4, 1.4))]
)
def test_a_first_attempt_killed_at_any_moment_leaves_one_answer_a_call(run: Run, seconds: float) -> None:
    def slow(number: int) -> int:
        time.sleep(0.05)
        return number

    sequence, command = run.stored([make_call(slow, number) for number in range(25)])
    killed_at(run.start(*command, AWS_BATCH_JOB_ATTEMPT="1"), seconds)
    assert run.start(*command, AWS_BATCH_JOB_ATTEMPT="2").finish()[0] == ExitCode.PUBLISHED
    assert values(run, sequence) == list(range(25))


def test_a_large_object_is_fetched_once_for_all_calls_that_use_it(run: Run) -> None:
    data = os.urandom(3_000_000)
    reference = run.object(pickle.dumps(data))
    call = make_call(len, b"")
    sequence, command = run.inline(*[call._replace(arguments=(reference,))] * 2, make_call(abs, -1))
    assert run.start(*command).finish()[0] == ExitCode.PUBLISHED
    assert values(run, sequence) == [3_000_000, 3_000_000, 1]


def test_an_object_that_is_not_there_is_named(run: Run) -> None:
    reference = run.object(b"x")
    gone = reference._replace(key=reference.key.partition(".")[0] + ".99")
    _, command = run.inline(make_call(len, b"")._replace(arguments=(gone,)))
    code, _, err = run.start(*command).finish()
    assert code == ExitCode.NO_INPUT
    assert gone.key in json.loads(err.splitlines()[-1])["message"]


def test_each_child_of_a_large_array_reads_its_own_part(run: Run) -> None:
    bundles = [[make_call(len, os.urandom(400_000))] for _ in range(6)]
    sequence, command = run.stored(*bundles)
    assert re.fullmatch("sha256:[0-9a-f]{64}:[0-9]+", command[5]), "so large a pack goes in parts"
    for index in (0, 5):
        job = run.start(*command, AWS_BATCH_JOB_ARRAY_INDEX=str(index))
        assert job.finish()[0] == ExitCode.PUBLISHED
        [outcome], _ = run.published(sequence, index)
        assert pickle.loads(outcome.value) == 400_000


MEASURED = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
sys.exit(code)
"""
"""Runs a program and prints the peak of it and of all its processes; one started by the test would show the test's."""


@pytest.mark.long
@pytest.mark.parametrize("shrinks", [True, False])
def test_a_large_argument_and_a_large_result_are_never_held_three_times(run: Run, shrinks: bool) -> None:
    size = 100_000_000

    def other_way_round(data: bytes) -> bytes:
        return data[::-1]

    reference = run.object(pickle.dumps(bytes(size)[:-1] + b"x" if shrinks else random.Random(1).randbytes(size)))
    sequence, command = run.inline(make_call(other_way_round, b"")._replace(arguments=(reference,)))
    code, out, err = run.start(*command, within=(sys.executable, "-c", MEASURED)).finish()
    assert code == ExitCode.PUBLISHED, err
    assert len(run.published(sequence)[0][0].value) > size
    assert int(out) < 3 * size
