"""SIGTERM, SIGKILL, and what must not outlive them."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scaler_batch.payload.calls import make_call
from scaler_batch.payload.contract import ExitCode

if TYPE_CHECKING:
    from conftest import Job, Run


def stubborn() -> Callable[[str], None]:
    """User code with a process of its own, neither of which cares for SIGTERM."""

    def function(word: str) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        grandchild = subprocess.Popen(["sleep", "600"])
        sys.stdout.write(f"{word} {os.getpid()} {grandchild.pid}\n")
        grandchild.wait()

    return function


def family(job: Job) -> list[int]:
    """Wait until user code runs; return handles on its processes."""
    assert job.stdout is not None
    word, *pids = job.stdout.readline().split()
    assert word == "running"
    return [os.pidfd_open(int(pid)) for pid in pids]


def are_gone(handles: list[int]) -> bool:
    """Whether all these processes come to an end."""
    ended = [bool(select.select([handle], [], [], 30)[0]) for handle in handles]
    for handle in handles:
        os.close(handle)
    return all(ended)


@pytest.mark.parametrize("kill", [os.kill, os.killpg], ids=["runner", "group"])
def test_sigterm_ends_the_call_with_all_its_processes_and_publishes_nothing(
    run: Run, kill: Callable[[int, int], None]
) -> None:
    _, command = run.inline(make_call(b"1", stubborn(), "running"))
    job = run.start(*command)
    handles = family(job)
    kill(job.pid, signal.SIGTERM)
    code, _, err = job.finish()
    assert code == ExitCode.INTERRUPTED
    assert are_gone(handles)
    assert run.published_keys() == []
    assert '"event": "task"' not in err


@pytest.mark.parametrize("kill", [os.kill, os.killpg], ids=["runner", "group"])
def test_a_runner_that_is_killed_takes_the_calls_processes_with_it(run: Run, kill: Callable[[int, int], None]) -> None:
    _, command = run.inline(make_call(b"1", stubborn(), "running"))
    job = run.start(*command)
    handles = family(job)
    kill(job.pid, signal.SIGKILL)
    assert job.finish()[0] == -signal.SIGKILL
    assert are_gone(handles)
    assert run.published_keys() == []


def test_a_bundle_that_is_interrupted_is_left_whole_to_the_next_attempt(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")

    def waiting(gate: str) -> str:
        sys.stdout.write("running\n")
        return "second" if os.environ["AWS_BATCH_JOB_ATTEMPT"] == "2" else open(gate).read()

    sequence, command = run.inline(make_call(b"1", os.getpid), make_call(b"2", waiting, str(tmp_path / "gate")))
    first = run.start(*command, AWS_BATCH_JOB_ATTEMPT="1")
    assert first.stdout is not None
    assert first.stdout.readline() == "running\n"
    first.terminate()
    assert first.finish()[0] == ExitCode.INTERRUPTED
    assert run.published_keys() == []
    assert run.start(*command, AWS_BATCH_JOB_ATTEMPT="2").finish()[0] == ExitCode.PUBLISHED
    assert [outcome.task_id for outcome in run.published(sequence)[0]] == [b"1", b"2"]


def test_user_code_that_sends_sigterm_to_itself_crashes_alone(run: Run) -> None:
    def function() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    outcome, _, _ = run.call(function)
    assert b"SIGTERM" in bytes(outcome.value)


def test_sigterm_between_the_fork_and_its_bookkeeping_is_not_lost(fresh: Callable[[Callable[[], Any]], Any]) -> None:
    def parent() -> tuple[int, str]:
        from scaler_batch.runner import forked
        from scaler_batch.runner.errors import TerminatedError
        from scaler_batch.runner.termination import Termination

        with Termination() as termination:
            child = forked.start(lambda answer: int(signal.pause() is None))
            os.kill(os.getpid(), signal.SIGTERM)
            code = termination.await_end(child).code
            try:
                termination.check()
            except TerminatedError as error:
                return code, type(error).__name__
        return code, "nothing"

    assert fresh(parent) == (-signal.SIGKILL, "TerminatedError")


def test_the_handler_of_before_is_restored(fresh: Callable[[Callable[[], Any]], Any]) -> None:
    def parent() -> bool:
        from scaler_batch.runner.termination import Termination

        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with Termination() as termination:
            termination.check()
            inside = signal.getsignal(signal.SIGTERM)
        return inside is not signal.SIG_IGN and signal.getsignal(signal.SIGTERM) is signal.SIG_IGN

    assert fresh(parent)


def test_a_publication_under_way_is_finished(run: Run, tmp_path: Path) -> None:
    """The store is a server that answers only after SIGTERM was sent."""
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    arrived, sent = threading.Event(), threading.Event()
    bodies: list[bytes] = []

    class Slow(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            arrived.set()
            sent.wait(30)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.send_header("ETag", '"1"')
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Slow) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        _, command = run.inline(make_call(b"1", os.getpid))
        job = run.start(*command, AWS_ENDPOINT_URL=f"http://127.0.0.1:{server.server_port}")
        assert arrived.wait(30)
        # To everybody, as some service managers do.
        children = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
        for pid in (job.pid, *map(int, children)):
            os.kill(pid, signal.SIGTERM)
        sent.set()
        assert job.finish()[0] == ExitCode.PUBLISHED
        thread.join()
    assert len(bodies) == 1
