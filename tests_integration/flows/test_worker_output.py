"""What tasks print, and what the worker's figures say, through the real client."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import termios
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from scaler import Client

from stack import Options, Stack
from watching import metrics_port, worker_status

STREAMED = """
import sys, time
from scaler import Client

def speak(words):
    for word in words:
        print(word, flush=True)
        time.sleep(0.4)
    print("half of a pair: \\\\ud800", file=sys.stderr)
    return len(words)

with Client(address=sys.argv[1], stream_output=True) as client:
    assert client.submit(speak, ["first", "second", "third"]).result() == 3
    print("result")
    assert client.submit(speak, []).result() == 0
    print(client.map(speak, [["of one array"], ["and", "of another child"], []]))
"""


@pytest.fixture(scope="module")
def stack(cloud: Stack) -> Iterator[Stack]:
    options = ("--metrics-port", "0", "--log-format", "json", "--name", "observed")
    with Stack(Options(worker=options)) as running:
        running.join(cloud).start_adapter()
        yield running


def test_what_a_task_prints_comes_before_its_result(stack: Stack) -> None:
    printed = stack.run("client", "-c", STREAMED, stack.scheduler_address)
    assert [printed.index(word) for word in ("first", "second", "third", "result")] == sorted(
        printed.index(word) for word in ("first", "second", "third", "result")
    )
    assert '{"event"' not in printed
    assert all(words in printed for words in ("of one array", "of another child", "half of a pair", "[1, 2, 0]"))


SHARED = """
import sys
from scaler import Client

def speak(number):
    import os
    for line in range(20):
        print(f"task {number} line {line}", flush=True)
    return os.environ["AWS_BATCH_JOB_ID"] + os.environ.get("AWS_BATCH_JOB_ARRAY_INDEX", "")

with Client(address=sys.argv[1], stream_output=True) as client:
    print("jobs:", len(set(client.map(speak, range(6)))))
with Client(address=sys.argv[1]) as client:
    print("silent jobs:", len(set(client.map(speak, range(6, 18)))))
"""


@pytest.mark.parametrize("tasks_per_job", ["3", "auto"])
def test_where_tasks_share_jobs_each_line_is_still_its_tasks_own(cloud: Stack, tasks_per_job: str) -> None:
    options = ("--tasks-per-job", tasks_per_job, "--max-concurrent-jobs", "4", "--name", f"shared-{tasks_per_job}")
    with Stack(Options(worker=options)) as stack:
        stack.join(cloud).start_adapter()
        printed = stack.run("client", "-c", SHARED, stack.scheduler_address)
    lines = re.findall(r"^task (\d+) line (\d+)$", printed, re.MULTILINE)
    for number in range(6):
        assert [int(line) for task, line in lines if int(task) == number] == list(range(20))
    assert not [task for task, _ in lines if int(task) >= 6]
    assert "jobs: 6\n" in printed
    silent = re.search(r"silent jobs: (\d+)", printed)
    assert silent is not None
    assert int(silent[1]) < 12


def test_the_figures_agree_with_what_was_done(stack: Stack, client: Client) -> None:
    assert client.map(abs, range(-7, 0)) == [7, 6, 5, 4, 3, 2, 1]
    worker = worker_status(stack)
    assert worker["answers"]["success"] >= 7
    assert worker["stages"] == dict.fromkeys(("queued", "submitting", "running", "collecting", "replying"), 0)
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port(stack)}/metrics") as answer:
        text = answer.read().decode()
    successes = re.search(r'scaler_batch_answers_total\{run="[^"]+",status="success"\} (\d+)', text)
    assert successes is not None
    assert int(successes[1]) == worker["answers"]["success"]


def test_the_status_command_shows_a_running_worker(stack: Stack) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scaler_batch.adapter", "status", "--metrics-port", str(metrics_port(stack)), "--once"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("observed ")
    assert "jobs in flight" in done.stdout


def read_until(terminal: int, pattern: str) -> re.Match[str]:
    """Read what a program shows until it shows this."""
    shown = ""
    while (found := re.search(pattern, shown)) is None:
        shown += os.read(terminal, 4096).decode(errors="replace")
    return found


def test_the_status_lives_in_a_terminal_until_it_is_interrupted(stack: Stack, client: Client) -> None:
    assert client.submit(abs, -1).result() == 1
    ours, terminal = os.openpty()
    termios.tcsetwinsize(terminal, (40, 120))
    command = [sys.executable, "-m", "scaler_batch.adapter", "status", "--metrics-port", str(metrics_port(stack))]
    with subprocess.Popen([*command, "--interval", "0.2"], stdin=terminal, stdout=terminal, stderr=terminal) as showing:
        os.close(terminal)
        before = int(read_until(ours, r"success (\d+)\D")[1])  # not a part of the number
        assert client.map(abs, range(-9, 0)) == list(range(9, 0, -1))
        read_until(ours, rf"success {before + 9}\D")
        showing.send_signal(signal.SIGINT)
        # To its end: a terminal that nobody reads fills up, and whoever writes to it waits.
        with contextlib.suppress(OSError):
            while os.read(ours, 4096):
                pass
        assert showing.wait(30) == 0
    os.close(ours)


def test_the_log_has_run_and_task_ids_and_nothing_of_the_users(stack: Stack, client: Client) -> None:
    secret = "rosebud"
    assert client.submit(str.upper, secret).result() == "ROSEBUD"
    lines = [json.loads(line) for line in stack.part("adapter").log.read_text().splitlines()]
    answered = [line for line in lines if line["message"].endswith(": success")]
    assert answered
    assert all(re.fullmatch("[0-9a-f]{32}", line["task"]) and line["run"] for line in answered)
    assert secret not in json.dumps(lines).lower()


def test_without_being_asked_nothing_is_streamed(
    stack: Stack, connect: Callable[[Stack], Client], capfd: pytest.CaptureFixture[str]
) -> None:
    connect(stack).submit(print, "quiet").result()
    assert "quiet" not in capfd.readouterr().out
