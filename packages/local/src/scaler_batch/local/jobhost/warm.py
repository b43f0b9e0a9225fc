"""Running the runner without starting an interpreter: import it once, fork for every job.

Only the runner's own command is run this way. Variables that Python reads at its start (``PYTHONPATH`` and the like)
could not have their effect in a fork, so a job that sets one is spawned.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import os
import sys
import threading
import traceback
import types
from collections.abc import Mapping, Sequence

RUNNER_MODULE = "scaler_batch.runner"
RUNNER_SCRIPT = "scaler-batch-runner"
ENTRY_POINT = "scaler_batch.runner.main"
STORE = "scaler_batch.payload.s3"
"""What the runner imports when it first needs the store; it starts no thread before its first request."""

_WITHOUT_EFFECT_AT_START = frozenset({"PYTHONUNBUFFERED"})


def warm_up() -> str:
    """Import the runner and what it needs. Returns why that failed, or nothing."""
    try:
        importlib.import_module("cloudpickle")
        importlib.import_module(ENTRY_POINT)
        importlib.import_module(STORE)
    except ImportError as error:
        return f"the runner cannot be imported by {sys.executable}: {error}"
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        return f"importing the runner started {threads - 1} threads, and a process with threads must not be forked"
    gc.collect()
    gc.freeze()
    return ""


def runner_arguments(command: Sequence[str], environment: Mapping[str, str]) -> list[str] | None:
    """The runner's arguments if the command is the runner's and may be run in a fork; else None."""
    if any(name.startswith("PYTHON") and name not in _WITHOUT_EFFECT_AT_START for name in environment):
        return None
    name = os.path.basename(command[0])
    if name == RUNNER_SCRIPT:
        return list(command[1:])
    if name in {"python", "python3"} and tuple(command[1:3]) == ("-m", RUNNER_MODULE):
        return list(command[3:])
    return None


def run(arguments: list[str], environment: Mapping[str, str]) -> int:
    """Be the runner, in a process that was forked for it. Returns the exit code that Python would have ended with."""
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [RUNNER_SCRIPT, *arguments]
    sys.path.insert(0, os.getcwd())
    sys.modules["__main__"] = types.ModuleType("__main__")
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    code = _call(arguments)
    _finish_interpreter()
    return code


def _call(arguments: list[str]) -> int:
    try:
        return int(importlib.import_module(ENTRY_POINT).main(arguments) or 0)
    except SystemExit as request:
        return _code(request)
    except BaseException:
        traceback.print_exc()
        return 1


def _code(request: SystemExit) -> int:
    """What the interpreter makes of a SystemExit."""
    if request.code is None or isinstance(request.code, int):
        return (request.code or 0) & 0xFF
    sys.stderr.write(f"{request.code}\n")
    return 1


def _finish_interpreter() -> None:
    """What a Python that ends does before it goes: wait for threads, run exit handlers, write out what is buffered."""
    with contextlib.suppress(Exception):
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
