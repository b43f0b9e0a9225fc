"""Calls, each in a forked child of its own, one after the other.

What the child writes, for :func:`_outcome` to read: the function's name as soon as it is known (so that a crash can be
told by name), then how it ended, each as one JSON object a line; then the value, untouched.
"""

from __future__ import annotations

import functools
import json
import os
import signal
from collections.abc import Sequence
from typing import Any, BinaryIO, Final, NoReturn

from scaler_batch.payload import Call, Outcome, Status
from scaler_batch.payload.calls import open_call
from scaler_batch.runner import log
from scaler_batch.runner.failures import describe
from scaler_batch.runner.forked import Ended, leave, start
from scaler_batch.runner.termination import Termination

_LONGEST_NAME: Final = 200
_LONGEST_LINE: Final = 4096
"""Bytes, more than two names of that length in JSON's escapes."""

_USUAL_CAUSES: Final = {
    signal.SIGKILL: "the usual cause is running out of memory",
    signal.SIGSEGV: "the usual cause is a fault in native code",
    signal.SIGABRT: "the usual cause is a fault in native code",
}


def run_bundle(bundle: Sequence[Call], termination: Termination) -> list[Outcome]:
    """Run the calls of a bundle.

    Raises:
        TerminatedError: SIGTERM came before all had ended by themselves.
    """
    return [_run(call, termination) for call in bundle]


def _run(call: Call, termination: Termination) -> Outcome:
    termination.check()
    ended = termination.await_end(start(functools.partial(_work, call)))
    if not ended.whole:
        # Whether it died of our kill or an instant before, of its own: it is safe to run it again.
        termination.check()
    outcome, facts = _outcome(call, ended)
    log.line(
        "task",
        task=call.task_id.hex(),
        **facts,
        seconds=round(ended.usage.wall, 3),
        cpu_seconds=round(ended.usage.cpu, 3),
        peak_memory_bytes=ended.usage.memory,
    )
    return outcome


def _work(call: Call, answer: BinaryIO) -> int:
    """Be the child of one call."""
    process = os.getpid()
    facts: dict[str, Any] = {"status": Status.SUCCESS}
    try:
        value = _value(call, answer)
    except BaseException as error:
        if os.getpid() != process:
            _leave_copy(error)
        facts["status"], value = describe(error)
        facts["raised"] = type(error).__name__[:_LONGEST_NAME]
    if os.getpid() != process:
        leave(0)
    _write_line(answer, facts)
    answer.write(value)
    return 0


def _value(call: Call, answer: BinaryIO) -> bytes:
    """Run the call and return its result; function and arguments are let go before that is written."""
    opened = open_call(call)
    _write_line(answer, {"function": _name(opened.function)})
    answer.flush()
    return opened.run()


def _leave_copy(error: BaseException) -> NoReturn:
    """End a process that the user's code forked and let run into ours: only the original may answer."""
    code = error.code if isinstance(error, SystemExit) else 1
    leave(code & 0xFF if isinstance(code, int) else int(code is not None))


def _write_line(answer: BinaryIO, facts: dict[str, Any]) -> None:
    answer.write(json.dumps(facts).encode() + b"\n")


def _name(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return str(name)[:_LONGEST_NAME]


def _outcome(call: Call, ended: Ended) -> tuple[Outcome, dict[str, Any]]:
    """Tell what came of a call, and the facts of it that may be logged."""
    facts, value = _read(ended)
    if "status" not in facts:
        facts["status"], value = Status.CRASHED, memoryview(crash(ended.code).encode())
    return Outcome(call.task_id, Status(facts["status"]), value, ended.usage), facts


def _read(ended: Ended) -> tuple[dict[str, Any], memoryview]:
    """Return what the child said of the call, and the value, which means something only if there is a status."""
    facts: dict[str, Any] = {}
    rest = ended.written
    while len(rest) and "status" not in facts:
        line = bytes(rest[:_LONGEST_LINE]).partition(b"\n")[0]
        facts |= json.loads(line)
        rest = rest[len(line) + 1 :]
    return facts if ended.whole else {"function": facts.get("function")}, rest


def crash(code: int) -> str:
    """Say how a process ended that gave no answer."""
    if code >= 0:
        return f"the process of the task ended with exit code {code} before the task returned"
    number = -code
    known = number in signal.valid_signals()
    name = f" ({signal.Signals(number).name})" if known and number in signal.Signals._value2member_map_ else ""
    cause = f"; {_USUAL_CAUSES[signal.Signals(number)]}" if number in _USUAL_CAUSES else ""
    return f"the process of the task was killed by signal {number}{name}{cause}"
