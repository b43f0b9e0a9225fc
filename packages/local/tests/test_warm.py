from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from scaler_batch.local.jobhost import warm
from scaler_batch.local.jobhost.warm import runner_arguments

START = str(Path(warm.__file__).with_name("start.py"))
RUNNER = ["python", "-m", "scaler_batch.runner", "--run", "x"]


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (RUNNER, ["--run", "x"]),
        (["/usr/bin/python3", "-m", "scaler_batch.runner"], []),
        (["scaler-batch-runner", "--run", "x"], ["--run", "x"]),
        (["/opt/bin/scaler-batch-runner"], []),
        (["python", "-m", "scaler_batch.other"], None),
        (["python", "-u", "-m", "scaler_batch.runner"], None),
        (["python"], None),
        (["sh", "-c", "python -m scaler_batch.runner"], None),
    ],
)
def test_only_the_runners_command_is_forked(command: list[str], arguments: list[str] | None) -> None:
    assert runner_arguments(command, {}) == arguments


def test_variables_that_python_reads_when_it_starts_need_a_start() -> None:
    assert runner_arguments(RUNNER, {"PYTHONPATH": "/x"}) is None
    assert runner_arguments(RUNNER, {"PYTHONUNBUFFERED": "1", "A": "1"}) == ["--run", "x"]


def in_a_fork(body: str, environment: dict[str, str] | None = None) -> tuple[int, list[str]]:
    """Run something in place of the runner, as a forked job does; in an interpreter of its own, which it may ruin."""
    program = f"""
import os, runpy, sys, types
runpy.run_path({START!r})["load"]()
from scaler_batch_job_host import warm
stand_in = types.ModuleType(warm.ENTRY_POINT)
exec({textwrap.dedent(body)!r}, stand_in.__dict__)
sys.modules[warm.ENTRY_POINT] = stand_in
os._exit(warm.run(["--flag"], {environment or {}!r}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    return done.returncode, (done.stdout + done.stderr).splitlines()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("def main(arguments): return 65", 65),
        ("def main(arguments): return None", 0),
        ("def main(arguments): raise SystemExit", 0),
        ("def main(arguments): raise SystemExit(7)", 7),
        ("def main(arguments): raise SystemExit(257)", 1),
        ("def main(arguments): raise SystemExit('no')", 1),
        ("def main(arguments): raise RuntimeError", 1),
        ("def main(arguments): raise KeyboardInterrupt", 1),
    ],
)
def test_the_exit_code_is_the_one_that_python_would_end_with(body: str, code: int) -> None:
    assert in_a_fork(body)[0] == code


def test_an_exception_is_printed_as_python_would() -> None:
    _, lines = in_a_fork("def main(arguments): raise RuntimeError('what went wrong')")
    assert lines[0].startswith("Traceback")
    assert lines[-1] == "RuntimeError: what went wrong"


def test_the_process_looks_like_a_fresh_one() -> None:
    body = """
        import json, os, sys
        def main(arguments):
            import __main__
            print(json.dumps([arguments, sys.argv, dict(os.environ), sorted(vars(__main__))]))
    """
    _, (line,) = in_a_fork(body, {"A": "1"})
    seen: list[Any] = json.loads(line)
    assert seen[:3] == [["--flag"], ["scaler-batch-runner", "--flag"], {"A": "1"}]
    assert all(name.startswith("__") for name in seen[3])


def test_what_python_does_at_its_end_is_done() -> None:
    body = """
        import atexit, sys, threading
        def main(arguments):
            sys.stdout.write("not flushed")
            atexit.register(print, " at exit")
            threading.Timer(0.2, lambda: print(", then a thread,", end="")).start()
    """
    assert in_a_fork(body) == (0, ["not flushed, then a thread, at exit"])
