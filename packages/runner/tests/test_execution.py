"""What comes of a call, seen from outside: a real job, its outcome in the store, its log."""

from __future__ import annotations

import functools
import json
import math
import os
import pickle
import resource
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scaler_batch.payload import Call, Status, Usage
from scaler_batch.payload.calls import make_call
from scaler_batch.runner.execution import Told, outcome_of
from scaler_batch.runner.forked import Ended

if TYPE_CHECKING:
    from conftest import Run


def lines(err: str) -> list[dict[str, Any]]:
    """The runner's own lines."""
    said = [json.loads(line) for line in err.splitlines() if line.startswith('{"event"')]
    assert len({line["mark"] for line in said}) == 1
    return [line for line in said if line["event"] != "runner"]


def test_a_result_is_published_as_the_serializer_wrote_it(run: Run) -> None:
    outcome, out, _ = run.call(math.hypot, 3, 4)
    assert outcome.status is Status.SUCCESS
    assert pickle.loads(outcome.value) == 5.0
    assert out == ""


def test_an_exception_is_published_as_itself(run: Run) -> None:
    outcome, _, _ = run.call(math.sqrt, -1)
    assert outcome.status is Status.RAISED
    assert str(pickle.loads(outcome.value)) == "math domain error"


def test_an_argument_that_cannot_be_read_is_the_tasks_failure(run: Run) -> None:
    call = make_call(math.sqrt, 16)
    sequence, command = run.inline(Call(call.serializer, call.function, (b"garbage",)))
    assert run.start(*command).finish()[0] == 0
    [outcome], _ = run.published(sequence)
    assert outcome.status is Status.RAISED
    assert type(pickle.loads(outcome.value)) is pickle.UnpicklingError


def test_a_module_that_the_container_lacks_is_the_tasks_failure(run: Run) -> None:
    call = make_call(math.sqrt, 16)
    sequence, command = run.inline(Call(call.serializer, b"cno_such_module\nfunction\n.", ()))
    assert run.start(*command).finish()[0] == 0
    [outcome], _ = run.published(sequence)
    assert type(pickle.loads(outcome.value)) is ModuleNotFoundError


def test_a_result_that_cannot_be_written_is_the_tasks_failure(run: Run) -> None:
    def function() -> object:
        import threading

        return threading.Lock()

    outcome, _, _ = run.call(function)
    assert outcome.status is Status.RAISED
    assert type(pickle.loads(outcome.value)) is TypeError


def test_what_cannot_travel_is_published_as_text(run: Run) -> None:
    def function() -> None:
        import threading

        error = ValueError("locked")
        error.lock = threading.Lock()  # type: ignore[attr-defined]
        raise error

    outcome, _, _ = run.call(function)
    assert outcome.status is Status.UNPICKLABLE
    assert bytes(outcome.value) == b""
    assert outcome.failure is not None
    assert (outcome.failure.type, outcome.failure.message) == ("ValueError", "locked")
    assert outcome.failure.traceback.startswith("Traceback (most recent call last)")
    assert outcome.failure.traceback.endswith("ValueError: locked\n")


def test_an_exit_is_a_failure(run: Run) -> None:
    outcome, _, err = run.call(sys.exit, 3)
    assert outcome.status is Status.RAISED
    assert str(pickle.loads(outcome.value)) == "the task called sys.exit(3)"
    assert lines(err)[0]["raised"] == "SystemExit"


@pytest.mark.parametrize("code", [0, 3])
def test_a_process_that_leaves_by_itself_is_a_crash(run: Run, code: int) -> None:
    outcome, _, _ = run.call(os._exit, code)
    assert outcome.status is Status.CRASHED
    assert outcome.failure is not None
    assert outcome.failure.exit_code == code


def test_a_process_that_is_killed_is_a_crash_that_names_the_signal(run: Run) -> None:
    def function() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    outcome, _, err = run.call(function)
    assert outcome.status is Status.CRASHED
    assert outcome.failure is not None
    assert outcome.failure.message.startswith("the process of the task was killed by signal 9 (SIGKILL)")
    assert outcome.failure.signal == signal.SIGKILL
    assert lines(err)[0]["function"].endswith("function")


def test_a_fault_in_native_code_is_a_crash(run: Run) -> None:
    def function() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.kill(os.getpid(), signal.SIGSEGV)

    outcome, _, _ = run.call(function)
    assert outcome.status is Status.CRASHED
    assert outcome.failure is not None
    assert "SIGSEGV" in outcome.failure.message


def test_memory_that_runs_out_inside_python_is_a_memory_error(run: Run) -> None:
    def function() -> int:
        resource.setrlimit(resource.RLIMIT_AS, (400_000_000, 400_000_000))
        return len([bytes(10_000_000) for _ in range(1000)])

    outcome, _, _ = run.call(function)
    assert outcome.status is Status.RAISED
    assert type(pickle.loads(outcome.value)) is MemoryError


@pytest.mark.parametrize(
    ("code", "out_of_memory", "status", "said"),
    [
        (3, False, Status.CRASHED, "the process of the task ended with exit code 3 before the task returned"),
        (-15, False, Status.CRASHED, "the process of the task was killed by signal 15 (SIGTERM)"),
        (-35, None, Status.CRASHED, "the process of the task was killed by signal 35"),
        (-15, True, Status.CRASHED, "the process of the task was killed by signal 15 (SIGTERM)"),
        (-9, False, Status.CRASHED, "the process of the task was killed by signal 9 (SIGKILL)"),
        (
            -9,
            None,
            Status.CRASHED,
            "the process of the task was killed by signal 9 (SIGKILL); the usual cause is running out of memory",
        ),
        (
            -9,
            True,
            Status.OUT_OF_MEMORY,
            "the process of the task was killed (SIGKILL), because the container's memory was used up",
        ),
    ],
)
def test_a_death_is_told_in_words(code: int, out_of_memory: bool | None, status: Status, said: str) -> None:
    ended = Ended(code, whole=False, written=memoryview(b""), usage=Usage())
    outcome = outcome_of(0, Told(""), ended, out_of_memory=out_of_memory)
    assert outcome.failure is not None
    assert (outcome.status, outcome.failure.message) == (status, said)


def test_a_copy_of_the_process_that_user_code_forked_does_not_answer(run: Run) -> None:
    def function() -> int:
        pid = os.fork()
        if pid == 0:
            sys.exit(5)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    outcome, _, _ = run.call(function)
    assert outcome.status is Status.SUCCESS
    assert pickle.loads(outcome.value) == 5


def test_a_copy_of_the_process_that_returns_does_not_answer(run: Run) -> None:
    def function() -> str:
        pid = os.fork()
        if pid == 0:
            return "copy"
        os.waitpid(pid, 0)
        return "original"

    outcome, _, _ = run.call(function)
    assert pickle.loads(outcome.value) == "original"


def test_a_copy_of_the_process_that_raises_does_not_answer(run: Run) -> None:
    def function() -> int:
        pid = os.fork()
        if pid == 0:
            raise ValueError("in the copy")
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    outcome, _, _ = run.call(function)
    assert pickle.loads(outcome.value) == 1


def test_calls_of_a_bundle_each_have_a_process_and_an_outcome_of_their_own(run: Run) -> None:
    def process() -> tuple[int, int]:
        return os.getpid(), os.getppid()

    sequence, command = run.inline(
        make_call(process),
        make_call(os._exit, 1),
        make_call(math.sqrt, -1),
        make_call(process),
    )
    job = run.start(*command)
    code, _, err = job.finish()
    assert code == 0
    outcomes, _ = run.published(sequence)
    assert [outcome.position for outcome in outcomes] == [0, 1, 2, 3]
    assert [str(outcome.status) for outcome in outcomes] == ["success", "crashed", "raised", "success"]
    first, last = pickle.loads(outcomes[0].value), pickle.loads(outcomes[3].value)
    assert first[0] != last[0]
    assert first[1] == last[1] == job.pid
    assert [line["status"] for line in lines(err)] == ["success", "crashed", "raised", "success"]


def test_usage_is_measured(run: Run) -> None:
    def function() -> int:
        held = bytearray(b"x") * 60_000_000
        while time.process_time() < 0.3:
            pass
        return len(held)

    usage = run.call(function)[0].usage
    assert usage.wall >= usage.cpu / 2 > 0
    assert usage.cpu >= 0.2
    assert 59_000_000 < usage.memory < 90_000_000


def test_output_appears_while_the_call_runs(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")

    def function(gate: str) -> str:
        sys.stdout.write("to stdout\n")
        sys.stderr.write("to stderr\n")
        with open(gate) as file:
            return file.read()

    sequence, command = run.inline(make_call(function, str(tmp_path / "gate")))
    job = run.start(*command)
    assert job.stdout is not None
    assert job.stderr is not None
    assert job.stdout.readline() == "to stdout\n"
    assert job.stderr.readline().startswith('{"event": "runner", "mark": "')
    assert job.stderr.readline() == "to stderr\n"
    assert job.poll() is None
    (tmp_path / "gate").write_text("opened")
    assert job.finish()[0] == 0
    assert pickle.loads(run.published(sequence)[0][0].value) == "opened"


@pytest.mark.parametrize("end", ["raise ValueError", "sys.exit(1)", "None"])
def test_output_without_a_line_end_is_not_lost(run: Run, end: str) -> None:
    def function() -> None:
        sys.stdout.write("half a line")
        exec(end, {"sys": sys})

    assert run.call(function)[1] == "half a line"


def test_a_call_reads_nothing_from_stdin(run: Run) -> None:
    def function() -> str:
        return sys.stdin.read()

    assert pickle.loads(run.call(function)[0].value) == ""


def test_the_log_has_one_line_a_task_and_no_arguments_results_or_messages(run: Run) -> None:
    def function(word: str) -> str:
        if word == "tulip-2":
            raise ValueError("daffodil of " + word)
        return word + "-iris"

    sequence, command = run.inline(make_call(function, "tulip-1"), make_call(function, "tulip-2"))
    code, out, err = run.start(*command).finish()
    assert (code, out) == (0, "")
    first, second = lines(err)
    assert len([line for line in err.splitlines() if line]) == 3
    assert first.keys() == {
        "event",
        "mark",
        "task",
        "function",
        "status",
        "seconds",
        "cpu_seconds",
        "peak_memory_bytes",
    }
    assert second.keys() - first.keys() == {"raised"}
    assert (first["event"], first["task"], first["status"]) == ("task", f"{sequence}/0", "success")
    assert (second["raised"], second["status"]) == ("ValueError", "raised")
    assert not {word for word in ("tulip", "daffodil", "iris") if word in err}
    assert len(run.published(sequence)[0]) == 2


def test_the_log_of_a_private_job_names_neither_the_function_nor_what_it_raised(run: Run) -> None:
    class DaffodilError(Exception): ...

    def tulip() -> None:
        raise DaffodilError

    sequence, command = run.inline(make_call(tulip), make_call(math.sqrt, 4))
    code, _, err = run.start(*command, SCALER_BATCH_PRIVATE="1").finish()
    assert code == 0
    first, second = lines(err)
    assert (
        first.keys()
        == second.keys()
        == {"event", "mark", "task", "status", "seconds", "cpu_seconds", "peak_memory_bytes"}
    )
    assert (first["status"], second["status"]) == ("raised", "success")
    assert not {word for word in ("tulip", "DaffodilError", "sqrt") if word in err}
    assert len(run.published(sequence)[0]) == 2


def test_a_function_is_logged_by_name_even_if_it_has_none(run: Run) -> None:
    class Named:
        def __call__(self) -> None: ...

    functions = [math.sqrt, functools.partial(functools.partial(math.hypot, 1), 2), Named()]
    calls = [make_call(functions[0], 4), make_call(functions[1]), make_call(functions[2])]
    _, command = run.inline(*calls)
    code, _, err = run.start(*command).finish()
    assert code == 0
    first, second, third = (line["function"] for line in lines(err))
    assert (first, second) == ("sqrt", "hypot")
    assert third.endswith("Named")


def test_a_name_of_any_length_and_alphabet_is_logged(run: Run) -> None:
    def function() -> None: ...

    function.__qualname__ = "\N{SNOWMAN}\n\U0001f600" * 1000
    outcome, _, err = run.call(function)
    assert outcome.status is Status.SUCCESS
    assert len(lines(err)[0]["function"]) == 200
