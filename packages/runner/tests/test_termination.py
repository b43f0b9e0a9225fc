"""SIGTERM, SIGKILL, and what must not outlive them."""

from __future__ import annotations

import os
import pickle
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scaler_batch.payload import Status
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
def test_sigterm_ends_the_call_with_all_its_processes_and_says_that_it_was_interrupted(
    run: Run, kill: Callable[[int, int], None]
) -> None:
    sequence, command = run.inline(make_call(stubborn(), "running"))
    job = run.start(*command)
    handles = family(job)
    kill(job.pid, signal.SIGTERM)
    code, _, err = job.finish()
    assert code == ExitCode.INTERRUPTED
    assert are_gone(handles)
    assert run.published_keys() == [run.seal(sequence).interruption_key(1)]
    assert run.answers(sequence) == {}
    assert '"event": "task"' not in err


@pytest.mark.parametrize("kill", [os.kill, os.killpg], ids=["runner", "group"])
def test_a_runner_that_is_killed_takes_the_calls_processes_with_it(run: Run, kill: Callable[[int, int], None]) -> None:
    _, command = run.inline(make_call(stubborn(), "running"))
    job = run.start(*command)
    handles = family(job)
    kill(job.pid, signal.SIGKILL)
    assert job.finish()[0] == -signal.SIGKILL
    assert are_gone(handles)
    assert run.published_keys() == []


def test_what_was_finished_before_sigterm_is_published_and_the_next_attempt_runs_the_rest(
    run: Run, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "gate")

    def attempt() -> str:
        return os.environ["AWS_BATCH_JOB_ATTEMPT"]

    def waiting(gate: str) -> str:
        sys.stdout.write("running\n")
        return attempt() if attempt() == "2" else open(gate).read()

    gate = str(tmp_path / "gate")
    sequence, command = run.inline(make_call(attempt), make_call(waiting, gate), make_call(waiting, gate))
    first = run.start(*command, AWS_BATCH_JOB_ATTEMPT="1")
    assert first.stdout is not None
    assert first.stdout.readline() == "running\n"
    first.terminate()
    assert first.finish()[0] == ExitCode.INTERRUPTED
    assert run.answers(sequence).keys() == {0}
    interrupted, _ = run.read(run.seal(sequence).interruption_key(1))
    assert [(outcome.position, outcome.status) for outcome in interrupted] == [
        (1, Status.INTERRUPTED),
        (2, Status.INTERRUPTED),
    ]
    assert run.start(*command, AWS_BATCH_JOB_ATTEMPT="2").finish()[0] == ExitCode.PUBLISHED
    answers = run.answers(sequence)
    assert [pickle.loads(answers[position][0].value) for position in range(3)] == ["1", "2", "2"]


def test_user_code_that_sends_sigterm_to_itself_crashes_alone(run: Run) -> None:
    def function() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    outcome, _, _ = run.call(function)
    assert outcome.failure is not None
    assert outcome.failure.signal == signal.SIGTERM


def test_sigterm_just_before_a_wait_is_not_lost(fresh: Callable[[Callable[[], Any]], Any]) -> None:
    def parent() -> tuple[int, bool]:
        from scaler_batch.runner.supervision import Supervisor

        with Supervisor() as supervisor:
            child = supervisor.start(lambda answer: int(signal.pause() is None))
            os.kill(os.getpid(), signal.SIGTERM)
            return supervisor.wait_for(child).code, supervisor.terminated

    assert fresh(parent) == (-signal.SIGKILL, True)


def test_signals_are_as_before_once_the_work_is_done(fresh: Callable[[Callable[[], Any]], Any]) -> None:
    def parent() -> bool:
        from scaler_batch.runner.supervision import Supervisor

        before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        with Supervisor() as supervisor:
            supervisor.wait_for(supervisor.start(lambda answer: 0))
            os.kill(os.getpid(), signal.SIGTERM)
        return before == signal.pthread_sigmask(signal.SIG_BLOCK, ())

    assert fresh(parent)


def test_user_code_gets_signals_as_anybody_does(run: Run) -> None:
    def function() -> list[int]:
        return sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))

    assert pickle.loads(run.call(function)[0].value) == []


def test_processes_that_user_code_leaves_behind_are_no_business_of_the_waiting(
    fresh: Callable[[Callable[[], Any]], Any],
) -> None:
    """As the first process of its container, the runner inherits orphans."""

    def parent() -> tuple[bytes, list[str]]:
        import ctypes

        from scaler_batch.runner.supervision import Supervisor

        adopt_orphans = 36
        ctypes.CDLL(None).prctl(adopt_orphans, 1)

        def work(answer: Any) -> int:
            if (left := os.fork()) == 0:
                os.setpgid(0, 0)
                os._exit(0)
            os.waitid(os.P_PID, left, os.WEXITED | os.WNOWAIT)  # it has ended, and nobody has waited for it
            answer.write(b"mine")
            return 0

        with Supervisor() as supervisor:
            written = bytes(supervisor.wait_for(supervisor.start(work)).written)
            # The orphan has ended: this child is waited for after it.
            supervisor.wait_for(supervisor.start(lambda answer: 0))
            return written, open(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read().split()

    assert fresh(parent) == (b"mine", [])


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
        _, command = run.inline(make_call(os.getpid))
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
