"""The job host as a real process, spoken to as the server speaks to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from scaler_batch.local import hosting
from scaler_batch.local.errors import StartError
from scaler_batch.local.hosting import JobHost
from scaler_batch.local.jobhost.messages import Ended, Message, Output, Refused, Start, Started, Stop


class Conversation:
    """A job host, and what it has said."""

    def __init__(self, mode: str = "spawn", python: str = sys.executable) -> None:
        self.heard: Queue[Message] = Queue()
        self.lost = threading.Event()
        self.host = JobHost(python, mode, self.heard.put, self.lost.set)
        self.ready = self.host.wait_until_ready()

    def start(self, *command: str, attempt: str = "a", **environment: str) -> None:
        self.host.send(Start(attempt, list(command), environment))

    def next(self, kind: type[Any] | None = None) -> Any:
        """The next message, or the next of a kind."""
        while True:
            message = self.heard.get(timeout=20)
            if kind is None or isinstance(message, kind):
                return message

    def run(self, *command: str, **environment: str) -> tuple[int, list[str]]:
        """Exit code and output of a command."""
        self.start(*command, **environment)
        assert isinstance(self.next(), Started)
        lines: list[str] = []
        while not isinstance(message := self.next(), Ended):
            lines += message.lines
        return message.exit_code, lines


@pytest.fixture(scope="module")
def shared() -> Iterator[Conversation]:
    conversation = Conversation()
    yield conversation
    conversation.host.close()


@pytest.fixture
def converse() -> Iterator[Callable[..., Conversation]]:
    made: list[Conversation] = []

    def begin(*arguments: Any) -> Conversation:
        made.append(Conversation(*arguments))
        return made[-1]

    yield begin
    for each in made:
        each.host.close()


def test_output_and_errors_come_before_the_end(shared: Conversation) -> None:
    assert shared.run("sh", "-c", "echo out; echo err >&2; printf rest; exit 3") == (3, ["out", "err", "rest"])


def test_output_comes_while_the_job_runs(shared: Conversation, tmp_path: Path) -> None:
    fifo = tmp_path / "go"
    os.mkfifo(fifo)
    shared.start("sh", "-c", f"echo first; read line < {fifo}; echo $line")
    assert shared.next(Output).lines == ["first"]
    fifo.write_text("second\n")
    assert shared.next(Output).lines == ["second"]
    assert shared.next(Ended).exit_code == 0


def test_a_job_has_an_environment_of_its_own(shared: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
    _, lines = shared.run("env", A="1")
    variables = dict(line.split("=", 1) for line in lines)
    assert set(variables) == {"A", "PATH", "LANG", "HOME", "TMPDIR"}
    assert variables["HOME"] == variables["TMPDIR"] != os.environ.get("HOME")
    assert variables["PATH"].startswith(os.path.dirname(sys.executable))


def test_a_job_works_in_an_empty_directory_that_goes_with_it(shared: Conversation) -> None:
    _, (directory, content) = shared.run("sh", "-c", "pwd; ls -A | wc -l; touch left-behind")
    assert content.strip() == "0"
    assert not os.path.exists(directory)


def test_a_job_leads_a_session_and_a_group_of_its_own(shared: Conversation) -> None:
    script = "import os; print(os.getpid() == os.getpgrp() == os.getsid(0))"
    assert shared.run("python", "-c", script) == (0, ["True"])


def test_python_is_the_interpreter_of_jobs(shared: Conversation) -> None:
    assert shared.run("python", "-c", "import sys; print(sys.executable)") == (0, [sys.executable])


def test_a_job_reads_nothing(shared: Conversation) -> None:
    assert shared.run("cat") == (0, [])


def test_no_descriptor_of_the_host_reaches_a_job(shared: Conversation) -> None:
    script = "import os; print(sorted(int(fd) for fd in os.listdir('/proc/self/fd'))[:-1])"
    assert shared.run("python", "-c", script) == (0, ["[0, 1, 2]"])


def test_a_signal_is_reported_as_a_container_would(shared: Conversation) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        shared.start("sleep", "60")
        shared.host.send(Stop("a", number))
        assert shared.next(Ended).exit_code == 128 + number


def test_a_signal_reaches_the_whole_group(shared: Conversation, processes: Any) -> None:
    shared.start("sh", "-c", "sleep 60 & echo $!; wait")
    child = int(shared.next(Output).lines[0])
    shared.host.send(Stop("a", signal.SIGTERM))
    assert shared.next(Ended).exit_code == 143
    assert processes.alive([child]) == []


def test_what_a_job_leaves_running_ends_with_it(shared: Conversation, processes: Any) -> None:
    code, lines = shared.run("sh", "-c", "sleep 60 & echo $!")
    assert code == 0
    assert processes.alive([int(lines[0])]) == []


@pytest.mark.parametrize("command", [["no-such-program"], ["/no/such/program"], []])
def test_a_command_that_does_not_exist_is_refused(shared: Conversation, command: list[str]) -> None:
    shared.start(*command)
    assert isinstance(shared.next(), Refused)


def test_much_output_passes_complete_and_in_order(shared: Conversation) -> None:
    code, lines = shared.run("python", "-c", "for n in range(100_000): print(n, 'x' * 50)")
    assert code == 0
    assert [int(line.split()[0]) for line in lines] == list(range(100_000))


def test_a_server_that_does_not_listen_holds_up_no_command(converse: Callable[..., Conversation]) -> None:
    """The host must take a command while its own messages wait, or each would wait for the other."""
    conversation = converse()
    listening = threading.Event()

    def slow(message: Message) -> None:
        listening.wait()
        conversation.heard.put(message)

    conversation.host._heard = slow
    conversation.start("yes", "x" * 100, attempt="loud")
    for number in range(200):
        conversation.start("true", attempt=str(number), PAYLOAD="x" * 20_000)
    conversation.host.send(Stop("loud", signal.SIGKILL))
    listening.set()
    ended = {conversation.next(Ended).attempt for _ in range(201)}
    assert len(ended) == 201


def test_when_the_host_is_told_to_go_nothing_stays(converse: Callable[..., Conversation], processes: Any) -> None:
    conversation = converse()
    conversation.start("sh", "-c", "setsid sleep 60 & echo $!; trap '' TERM; sleep 60")
    pids = [conversation.next(Started).pid, int(conversation.next(Output).lines[0])]
    conversation.host.close()
    assert processes.alive([*pids, conversation.ready.pid]) == []
    assert not os.path.exists(conversation.ready.root)
    assert not conversation.lost.is_set()


def test_when_the_host_is_killed_its_jobs_die_and_somebody_hears(
    converse: Callable[..., Conversation], processes: Any, until: Callable[..., Any]
) -> None:
    conversation = converse()
    conversation.start("sleep", "60")
    job = conversation.next(Started).pid
    os.kill(conversation.ready.pid, signal.SIGKILL)
    assert conversation.lost.wait(10)
    assert not os.path.exists(conversation.ready.root)
    until(lambda: processes.alive([job]), lambda left: not left)
    conversation.host.send(Stop("a", signal.SIGTERM))


def test_an_interpreter_that_is_not_there_is_an_error() -> None:
    with pytest.raises(StartError, match="cannot run"):
        JobHost("/no/such/python", "spawn", print, print)


def test_an_interpreter_that_is_none_is_an_error() -> None:
    host = JobHost("/bin/false", "spawn", print, print)
    with pytest.raises(StartError, match="did not come up"):
        host.wait_until_ready()


def test_the_host_needs_nothing_but_the_standard_library() -> None:
    """Loaded the way another interpreter loads it: without site packages, by its path."""
    folder = Path(hosting.__file__).parent / "jobhost"
    names = sorted(path.stem for path in folder.glob("*.py") if path.stem not in {"__init__", "start"})
    program = f"""
import importlib, runpy, sys
runpy.run_path({str(folder / "start.py")!r})["load"]()
for name in {names!r}:
    importlib.import_module(f"scaler_batch_job_host.{{name}}")
print("scaler_batch" in sys.modules)
"""
    command = [sys.executable, "-I", "-S", "-c", program]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_forked_runners_are_like_started_ones(converse: Callable[..., Conversation]) -> None:
    conversation = converse("fork")
    assert conversation.ready.warm, conversation.ready.note
    forked = conversation.run("python", "-m", "scaler_batch.runner", "--help")
    script = conversation.run("scaler-batch-runner", "--help")
    started = conversation.run("python", "-m", "scaler_batch.runner", "--help", PYTHONHASHSEED="1")
    assert forked[0] == script[0] == started[0] == 0
    assert forked[1][0].split()[0] == started[1][0].split()[0] == "usage:"
    assert conversation.run("python", "-m", "scaler_batch.runner")[0] == 64
