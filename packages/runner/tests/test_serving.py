"""Calls of a bundle that share a process, and when they do not."""

from __future__ import annotations

import math
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scaler_batch.payload import Call, Status
from scaler_batch.payload.calls import make_call
from scaler_batch.payload.contract import ExitCode

if TYPE_CHECKING:
    from conftest import Run

Fresh = Callable[[Callable[[], Any]], Any]


def values(run: Run, *calls: Call, processes: int = 0) -> list[Any]:
    """What the calls of one bundle returned."""
    sequence, command = run.inline(*calls, processes=processes)
    code, _, err = run.start(*command).finish()
    assert code == ExitCode.PUBLISHED, err
    answers = [outcome for _, (outcome, _) in sorted(run.answers(sequence).items())]
    assert {outcome.status for outcome in answers} == {Status.SUCCESS}
    return [pickle.loads(outcome.value) for outcome in answers]


def test_calls_of_a_bundle_share_a_process_and_what_it_has_imported(run: Run) -> None:
    def importing() -> tuple[int, bool]:
        had = "colorsys" in sys.modules
        import colorsys

        return os.getpid(), had and bool(colorsys)

    (first, had_first), *others = values(run, *[make_call(importing)] * 3)
    assert not had_first
    assert others == [(first, True)] * 2


def test_calls_side_by_side_share_as_many_processes_as_may_run(run: Run) -> None:
    def slow() -> int:
        time.sleep(0.05)
        return os.getpid()

    assert len(set(values(run, *[make_call(slow)] * 10, processes=2))) == 2


def leave_thread() -> None:
    import threading

    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()


def leave_process() -> None:
    import subprocess

    subprocess.Popen(["sleep", "600"])


def leave_corpse() -> None:
    if os.fork() == 0:
        os._exit(0)


def leave_for_another_folder() -> None:
    os.chdir("/")


def leave_in_a_folder_that_is_gone() -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)


def leave_output_closed() -> None:
    sys.stdout.close()


def leave_output_replaced() -> None:
    sys.stdout = None  # type: ignore[assignment]


def leave_alarm() -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(600)


@pytest.mark.parametrize(
    "leaving",
    [
        leave_thread,
        leave_process,
        leave_corpse,
        leave_for_another_folder,
        leave_in_a_folder_that_is_gone,
        leave_output_closed,
        leave_output_replaced,
        leave_alarm,
    ],
)
def test_what_a_call_leaves_behind_goes_with_its_process(run: Run, leaving: Callable[[], None]) -> None:
    """The function is sent by value: the container has no such test."""

    def messy(leave: Callable[[], None]) -> tuple[int, str]:
        found = os.getpid(), os.getcwd()
        leave()
        return found

    def tidy() -> tuple[int, str, bool, float]:
        return os.getpid(), os.getcwd(), sys.stdout.closed, signal.getitimer(signal.ITIMER_REAL)[0]

    leaving.__module__ = "__main__"
    (first, home), (second, folder, is_closed, alarm) = values(run, make_call(messy, leaving), make_call(tidy))
    assert first != second
    assert (folder, is_closed, alarm) == (home, False, 0.0)


def test_a_large_answer_ends_its_process(run: Run) -> None:
    def large() -> tuple[int, bytes]:
        return os.getpid(), b"x" * 3_000_000

    def small() -> int:
        return os.getpid()

    before, (pid, data), after = values(run, make_call(small), make_call(large), make_call(small))
    assert before == pid
    assert after != pid
    assert data == b"x" * 3_000_000


@pytest.fixture
def as_first_process() -> tuple[str, ...]:
    """What makes a program the first process of a container, to which the kernel sends signals by rules of its own."""
    command = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    if shutil.which(command[0]) is None or subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("no process namespace can be made here")
    return command


def test_the_first_process_of_a_container_hears_its_calls(run: Run, as_first_process: tuple[str, ...]) -> None:
    sequence, command = run.inline(make_call(os.getpid), make_call(os._exit, 3), make_call(os.getppid))
    code, _, err = run.start(*command, within=as_first_process).finish()
    assert code == ExitCode.PUBLISHED, err
    first, crashed, last = (run.answers(sequence)[position][0] for position in range(3))
    assert pickle.loads(first.value) > 1
    assert crashed.status is Status.CRASHED
    assert pickle.loads(last.value) == 1


def test_a_process_that_grows_is_replaced(run: Run) -> None:
    def leaking() -> int:
        sys.__dict__.setdefault("leak", []).append(bytearray(b"x") * 100_000_000)
        return os.getpid()

    first, second, third, fourth, fifth = values(run, *[make_call(leaking)] * 5)
    assert first == second == third == fourth
    assert fifth != first


def test_what_a_call_uses_is_its_own(run: Run) -> None:
    def greedy() -> int:
        held = bytearray(b"x") * 60_000_000
        until = time.process_time() + 0.3
        while time.process_time() < until:
            pass
        return len(held)

    sequence, command = run.inline(make_call(greedy), make_call(math.sqrt, 4), make_call(os._exit, 3))
    assert run.start(*command).finish()[0] == ExitCode.PUBLISHED
    first, second, crashed = (run.answers(sequence)[position][0].usage for position in range(3))
    assert first.cpu > 0.25
    assert 59_000_000 < first.memory < 90_000_000
    for modest in (second, crashed):
        assert modest.cpu < 0.2
        assert modest.wall < first.wall
        assert modest.memory < 20_000_000


def answers_with(*written: Any) -> None:
    """Have this process answer with these pieces, whatever the call returns."""
    from scaler_batch.runner import execution

    execution.sections.join = lambda *_: written  # type: ignore[assignment]


def index(**said: Any) -> bytes:
    import json
    import struct

    head = json.dumps({"status": "success", "failure": None, "sizes": [0], **said}).encode()
    return struct.pack("<I", len(head)) + head


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"garbage",
        b"\xff" * 1000,
        index(status="interrupted"),
        index(status=[]),
        index(sizes=[]),
        index(sizes=[0, 0]),
        index(failure=5),
        index(failure=[None, 1, {}]),
        index(failure=["E", "\ud800", ""]),
        index(status="raised", failure=["E", "x" * 300_000, ""]),
    ],
    ids=range(11),
)
def test_an_answer_that_cannot_be_read_is_a_crash_of_its_own_call_only(run: Run, written: bytes) -> None:
    sequence, command = run.inline(make_call(answers_with, written), make_call(math.sqrt, 16))
    code, _, err = run.start(*command, "--processes", "2").finish()
    assert code == ExitCode.PUBLISHED, err
    garbled, good = (run.answers(sequence)[position][0] for position in range(2))
    assert garbled.status is Status.CRASHED
    assert garbled.failure is not None
    assert "cannot be read" in garbled.failure.message
    assert pickle.loads(good.value) == 4.0


def reports(*numbers: float) -> None:
    """Have this process report that its call has used these."""
    from scaler_batch.runner import serving

    serving._Meter.read = lambda _: numbers  # type: ignore[method-assign,assignment]


@pytest.mark.parametrize(
    "numbers", [(float("nan"), 0.0, 0), (0.0, float("inf"), 0), (1e300, 0.0, 0), (0.0, -1.0, 0), (0.0, 0.0, 2**64 - 1)]
)
def test_a_report_of_impossible_numbers_is_not_published(run: Run, numbers: tuple[float, ...]) -> None:
    sequence, command = run.inline(make_call(reports, *numbers), make_call(math.sqrt, 16))
    code, _, err = run.start(*command).finish()
    assert code == ExitCode.PUBLISHED, err
    strange = run.answers(sequence)[0][0]
    assert strange.status is Status.SUCCESS
    assert 0 < strange.usage.wall < 60


def test_half_a_line_is_printed_before_the_next_call_begins(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")

    def printing() -> None:
        sys.stdout.write("half a line")

    def waiting(gate: str) -> None:
        with open(gate) as file:
            file.read()

    _, command = run.inline(make_call(printing), make_call(waiting, str(tmp_path / "gate")))
    job = run.start(*command)
    assert job.stdout is not None
    assert job.stdout.read(len("half a line")) == "half a line"
    assert job.poll() is None
    (tmp_path / "gate").write_text("opened")
    assert job.finish()[0] == ExitCode.PUBLISHED


def test_a_call_that_has_reported_is_answered_though_its_process_is_killed(fresh: Fresh) -> None:
    def parent() -> tuple[bool, bytes]:
        from scaler_batch.payload.calls import make_call
        from scaler_batch.runner.execution import told_by
        from scaler_batch.runner.serving import CallProcess
        from scaler_batch.runner.supervision import Supervisor

        with Supervisor() as supervisor:
            process = CallProcess(supervisor, [make_call(abs, -5), make_call(abs, -6)], 0)
            assert supervisor.wait() == []
            [(_, end)] = supervisor.kill([process.child])
            ended = process.ended(end)
        return ended.whole, bytes(told_by(ended).value)

    whole, value = fresh(parent)
    assert whole
    assert pickle.loads(value) == 5


def test_a_process_that_died_while_it_waited_is_found_dead_when_it_is_told_a_call(fresh: Fresh) -> None:
    def parent() -> tuple[int, bool]:
        import signal

        from scaler_batch.payload.calls import make_call
        from scaler_batch.runner.serving import CallProcess
        from scaler_batch.runner.supervision import Supervisor

        with Supervisor() as supervisor:
            process = CallProcess(supervisor, [make_call(abs, -5), make_call(abs, -6)], 0)
            assert supervisor.wait() == []
            assert process.finished() is not None
            os.kill(process.child.pid, signal.SIGKILL)
            os.waitid(os.P_PID, process.child.pid, os.WEXITED | os.WNOWAIT)
            process.order(1)
            while not (found := supervisor.wait()):
                pass
            ended = process.ended(found[0][1])
        return ended.code, ended.whole

    assert fresh(parent) == (-signal.SIGKILL, False)
