"""The whole of it: command lines, and ``main`` as a function."""

from __future__ import annotations

import json
import math
import os
import pickle
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from scaler_batch.payload.calls import make_call
from scaler_batch.payload.contract import RUNNER_COMMAND, ExitCode

if TYPE_CHECKING:
    from conftest import Run

Fresh = Callable[[Callable[[], Any]], Any]


def test_the_command_of_a_job_definition_is_understood(run: Run) -> None:
    sequence, (_, address, _, number, _, pack, _, key) = run.inline(make_call(math.sqrt, 16))
    values = {"Ref::run": address, "Ref::sequence": number, "Ref::pack": pack, "Ref::key": key}
    python, *module = RUNNER_COMMAND[:3]
    assert (python, module) == ("python", ["-m", "scaler_batch.runner"])
    command = [values.get(element, element) for element in RUNNER_COMMAND[3:]]
    assert run.start(*command).finish()[0] == ExitCode.PUBLISHED
    assert pickle.loads(run.published(sequence)[0][0].value) == 4.0


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "--run"),
        (["--run", "s3://bucket/run?region=r", "--sequence", "1"], "--pack"),
        (["--run", "Ref::run", "--sequence", "Ref::sequence", "--pack", "Ref::pack"], "parameter 'run'"),
        (["--run", "s3://bucket/run?region=r", "--sequence", "x", "--pack", "-"], "--sequence"),
        (["--run", "s3://bucket/run", "--sequence", "1", "--pack", "-"], "region"),
    ],
)
def test_a_wrong_command_line_is_explained(run: Run, arguments: list[str], named: str) -> None:
    code, out, err = run.start(*arguments).finish()
    assert (code, out) == (ExitCode.USAGE, "")
    assert named in json.loads(err)["message"]


def test_main_can_be_called_in_a_process_forked_from_a_warm_one(run: Run, fresh: Fresh) -> None:
    sequences, commands = zip(*(run.inline(make_call(os.getenv, "WORD")) for _ in range(2)), strict=True)
    environment = run.environment

    def warm() -> list[int]:
        from scaler_batch.runner.main import main

        codes = []
        for number, command in enumerate(commands):
            pid = os.fork()
            if pid == 0:
                os.environ |= environment | {"WORD": f"word {number}"}
                code = main(command)
                os._exit(code if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL else 99)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        return codes

    assert fresh(warm) == [0, 0]
    words = [pickle.loads(run.published(sequence)[0][0].value) for sequence in sequences]
    assert words == ["word 0", "word 1"]


def test_main_can_be_called_twice_in_one_process(run: Run, fresh: Fresh) -> None:
    sequences, commands = zip(*(run.stored([make_call(math.sqrt, 16)]) for _ in range(2)), strict=True)
    environment = run.environment

    def twice() -> tuple[list[int], int]:
        from scaler_batch.runner.main import main

        os.environ |= environment
        codes = [main(command) for command in commands] + [main([])]
        return codes, len(os.listdir("/proc/self/task"))

    assert fresh(twice) == ([ExitCode.PUBLISHED, ExitCode.PUBLISHED, ExitCode.USAGE], 1)
    assert all(run.published(sequence)[0] for sequence in sequences)


def test_nothing_is_left_open(run: Run, fresh: Fresh) -> None:
    _, command = run.stored([make_call(math.sqrt, 16)])
    environment = run.environment

    def opened() -> tuple[list[str], list[str]]:
        from scaler_batch.runner.main import main

        os.environ |= environment
        before = os.listdir("/proc/self/fd")
        main(command)
        return before, os.listdir("/proc/self/fd")

    before, after = fresh(opened)
    assert before == after
