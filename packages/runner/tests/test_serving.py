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


def leave_output_closed() -> None:
    sys.stdout.close()


def leave_file_closed() -> None:
    os.close(1)
    os.open("/dev/null", os.O_RDONLY)


def leave_write_patched() -> None:
    os.write = lambda *_: 0


def leave_open_patched() -> None:
    import builtins

    builtins.open = None  # type: ignore[assignment]


def leave_runner_patched() -> None:
    from scaler_batch.runner import execution

    execution._value = lambda *_: b""  # type: ignore[assignment]


def leave_module_replaced() -> None:
    sys.modules["json"] = sys


def leave_limit_lowered() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(1)


@pytest.mark.parametrize(
    "leaving",
    [
        leave_thread,
        leave_process,
        leave_corpse,
        leave_output_closed,
        leave_file_closed,
        leave_write_patched,
        leave_open_patched,
        leave_runner_patched,
        leave_module_replaced,
        leave_limit_lowered,
    ],
)
def test_what_a_call_leaves_behind_for_good_goes_with_its_process(run: Run, leaving: Callable[[], None]) -> None:
    """The function is sent by value: the container has no such test."""

    def messy(leave: Callable[[], None]) -> int:
        leave()
        return os.getpid()

    leaving.__module__ = "__main__"
    first, second, third = values(run, make_call(messy, leaving), make_call(os.getpid), make_call(os.getpid))
    assert first != second
    assert second == third


def look_around() -> dict[str, Any]:
    """What a call finds."""
    import asyncio
    import decimal
    import gc
    import locale
    import resource
    import signal
    import socket
    import subprocess
    import threading
    import warnings

    mask = os.umask(0o77)
    os.umask(mask)
    failed = subprocess.run(["sh", "-c", "umask; ulimit -Sn; echo $LEFT; exit 3"], capture_output=True)
    return {
        "process": os.getpid(),
        "folder": os.getcwd(),
        "umask": mask,
        "shell": (failed.stdout, failed.returncode),
        "environment": dict(os.environ),
        "handlers": [str(signal.getsignal(number)) for number in range(1, 32)],
        "mask": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "alarm": signal.getitimer(signal.ITIMER_REAL),
        "limits": resource.getrlimit(resource.RLIMIT_NOFILE),
        "path": list(sys.path),
        "arguments": list(sys.argv),
        "streams": [type(stream).__name__ for stream in (sys.stdin, sys.stdout, sys.stderr)],
        "blocking": os.get_blocking(1),
        "hooks": (sys.excepthook is sys.__excepthook__, threading.excepthook is threading.__excepthook__),
        "recursion": sys.getrecursionlimit(),
        "trace": sys.gettrace(),
        "collects": gc.isenabled(),
        "locale": locale.setlocale(locale.LC_ALL),
        "filters": len(warnings.filters),
        "policy": type(asyncio.get_event_loop_policy()).__name__,
        "timeout": socket.getdefaulttimeout(),
        "precision": decimal.getcontext().prec,
    }


def leave_what_can_be_put_back() -> int:
    import asyncio
    import decimal
    import gc
    import locale
    import resource
    import signal
    import socket
    import tempfile
    import threading
    import time
    import warnings

    class Policy(asyncio.DefaultEventLoopPolicy):
        pass

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
    os.umask(0o077)
    os.environ["LEFT"] = "behind"
    os.environ.pop("PATH")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    signal.setitimer(signal.ITIMER_REAL, 600)
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    sys.path.insert(0, "/left")
    sys.path = list(sys.path)
    sys.argv.append("left")
    os.set_blocking(1, False)
    sys.stdout = sys.stdin = None  # type: ignore[assignment]
    sys.excepthook = threading.excepthook = print
    sys.setrecursionlimit(200)
    sys.settrace(lambda *_: None)
    gc.disable()
    locale.setlocale(locale.LC_ALL, "C.UTF-8" if locale.setlocale(locale.LC_ALL) == "C" else "C")
    warnings.simplefilter("error")
    asyncio.set_event_loop_policy(Policy())
    socket.setdefaulttimeout(0.001)
    decimal.getcontext().prec = 3
    time.tzset()
    return os.getpid()


def test_what_a_call_leaves_behind_is_put_back(run: Run) -> None:
    for function in (look_around, leave_what_can_be_put_back):
        function.__module__ = "__main__"
    calls = [look_around, look_around, leave_what_can_be_put_back, look_around]
    _, before, process, after = values(run, *map(make_call, calls))
    assert process == before["process"]
    assert after == before


def test_calls_of_one_process_draw_random_numbers_of_their_own(run: Run) -> None:
    def drawing(seeds: bool) -> tuple[int, float, float]:
        import random

        import numpy as np

        if seeds:
            random.seed(7)
            np.random.seed(7)
        return os.getpid(), random.random(), float(np.random.random())

    pytest.importorskip("numpy")
    calls = [make_call(drawing, seeds) for seeds in (True, False, True, False)]
    (pid, *seeded), (_, *free), (_, *again), (last, *other) = values(run, *calls)
    assert pid == last
    assert seeded == again
    assert free[0] != other[0]
    assert free[1] != other[1]


def test_helpers_that_do_no_harm_end_no_process(run: Run) -> None:
    def tracking() -> int:
        from multiprocessing import resource_tracker

        resource_tracker.ensure_running()
        return os.getpid()

    def monitoring() -> int:
        import threading
        import time

        monitor = type(
            "TMonitor", (threading.Thread,), {"__module__": "tqdm._monitor", "run": lambda _: time.sleep(600)}
        )
        monitor(daemon=True).start()
        return os.getpid()

    assert len(set(values(run, make_call(tracking), make_call(monitoring), make_call(os.getpid)))) == 1


def test_a_large_answer_ends_its_process(run: Run) -> None:
    def large() -> tuple[int, bytes]:
        return os.getpid(), b"x" * 40_000_000

    def small() -> int:
        return os.getpid()

    before, (pid, data), after = values(run, make_call(small), make_call(large), make_call(small))
    assert before == pid
    assert after != pid
    assert data == b"x" * 40_000_000


def test_an_answer_of_a_megabyte_or_two_ends_no_process(run: Run) -> None:
    def answering() -> tuple[int, bytes]:
        return os.getpid(), b"x" * 2_000_000

    answers = values(run, *[make_call(answering)] * 5)
    assert len({pid for pid, _ in answers}) == 1
    assert all(data == b"x" * 2_000_000 for _, data in answers)


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
