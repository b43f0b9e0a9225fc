"""What a job writes into its log, on its way to the user's terminal."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from scaler_batch.adapter.logs import TextFormatter
from stack import Stack

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egpj.exe\u2066 \x08"
OBEYED = ("\x1b", "\x07", "\x08", "\x9b", "\u202e", "\u2066")

STREAMED = """
import sys
from scaler import Client

def speak():
    import json, sys
    from scaler_batch.runner import log
    print('{"event": "runner", "mark": "mine"}', flush=True)
    print('{"event": "task", "mark": "mine", "task": "1/0"}', flush=True)
    print('{"event": "task", "mark": "%s", "task": "1/0"}' % getattr(log, "_mark", None), flush=True)
    log.line("task")
    print(json.dumps({"event": "user logged in", "level": "info"}), flush=True)
    print("HOSTILE", flush=True)
    sys.stdout.write("progress 100%")
    return "done"

with Client(address=sys.argv[1], stream_output=True) as client:
    print(client.submit(speak).result())
"""


def test_lines_that_look_like_the_runners_end_nothing_and_hide_nothing(stack: Stack) -> None:
    program = STREAMED.replace("HOSTILE", HOSTILE.encode("unicode_escape").decode())
    printed = stack.run("client", "-c", program, stack.scheduler_address)
    told = [line for line in printed.splitlines() if line.startswith('{"event"')]
    assert [json.loads(line)["event"] for line in told] == ["runner", "task", "task", "task", "user logged in"]
    assert "progress 100%\n" in printed
    assert "done\n" in printed
    assert not [one for one in OBEYED if one in printed]
    assert "\\x1b]0;owned\\x07" in printed
    assert not stack.part("adapter").says("is not complete"), "the end was recognised"


def test_nothing_of_a_job_is_obeyed_by_the_terminal_that_explains_it(cloud: Stack, tmp_path: Path) -> None:
    with contextlib.ExitStack() as clients:
        batch = clients.enter_context(contextlib.closing(cloud.aws("batch")))
        program = f"print({HOSTILE!r} + ' [bold]', flush=True); raise SystemExit(3)"
        batch.register_job_definition(
            jobDefinitionName="hostile",
            type="container",
            containerProperties={"image": "x", "command": [sys.executable, "-c", program], "vcpus": 1, "memory": 256},
        )
        job = batch.submit_job(
            jobName="hostile", jobQueue=cloud.provisioned["SCALER_JOB_QUEUE"], jobDefinition="hostile"
        )["jobId"]
        wait_until_failed(batch, job)
    done = subprocess.run(
        [sys.executable, "-m", "scaler_batch.provision", "why", job],
        env=cloud.environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "\\x1b]0;owned\\x07" in done.stdout
    assert "[bold]" in done.stdout
    assert not [one for one in OBEYED if one in done.stdout + done.stderr]


def wait_until_failed(batch: Any, job: str) -> None:
    deadline = time.monotonic() + 60
    while batch.describe_jobs(jobs=[job])["jobs"][0]["status"] != "FAILED":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_nothing_that_aws_or_a_job_says_is_obeyed_in_the_workers_log() -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "job failed: %s", (HOSTILE,), None)
    said = TextFormatter().format(record)
    assert said.endswith("\\u2066 \\x08")
    assert not [one for one in OBEYED if one in said]
