"""One call, in a child, and what came of it.

What the child writes, for :func:`told_by` to read: one line with the function's name as soon as it is known (so that a
crash can be told by name); then how it ended, as a body of :mod:`scaler_batch.payload.sections` whose one value is the
outcome's.
"""

from __future__ import annotations

import contextlib
import functools
import json
import mmap
import os
import signal
from _contextvars import copy_context
from typing import Any, BinaryIO, Final, NamedTuple, NoReturn

from scaler_batch.payload import Call, Failure, Outcome, Status, sections
from scaler_batch.payload.calls import open_call
from scaler_batch.payload.errors import MalformedError
from scaler_batch.payload.outcomes import MAX_ENTRIES
from scaler_batch.payload.sections import items, text
from scaler_batch.runner.forked import Ended, leave

_LONGEST_NAME: Final = 200
_LONGEST_LINE: Final = 4096
"""Bytes, more than a name of that length in JSON's escapes."""

_ENDINGS: Final = frozenset({Status.SUCCESS, Status.RAISED, Status.UNPICKLABLE})
"""How a call can end with its process alive to tell."""

_TEXTS: Final = 3
"""The fields of a failure that the call's process knows come first."""

_UNREADABLE: Final = (
    "the answer of the task's process cannot be read: the task has closed, or written to, files that it did not open"
)

_USUAL_CAUSES: Final[dict[int, str]] = {
    signal.SIGSEGV: "; the usual cause is a fault in native code",
    signal.SIGABRT: "; the usual cause is a fault in native code",
}


def run(call: Call, answer: BinaryIO) -> None:
    """Run a call, and write what came of it. A copy of this process that the call has forked does not return."""
    process = os.getpid()
    name = _NameLine(answer)
    failure: Failure | None = None
    try:
        # What a call sets in its context, as precision of decimals, is gone with it.
        status, value = Status.SUCCESS, copy_context().run(_value, call, name)
    except BaseException as error:
        if os.getpid() != process:
            _leave_copy(error)
        # Imported here: what it needs takes longer than most calls that do not fail.
        from scaler_batch.runner.failures import describe

        status, failure, value = describe(error)
    if os.getpid() != process:
        leave(0)
    name.write("")
    answer.writelines(sections.join({"status": status, "failure": failure}, [value]))


class _NameLine:
    """The first line of an answer, written once."""

    def __init__(self, answer: BinaryIO) -> None:
        self._answer = answer
        self._written = False

    def write(self, name: str) -> None:
        if not self._written:
            self._answer.write(json.dumps(name).encode() + b"\n")
            self._answer.flush()
            self._written = True


def _value(call: Call, name: _NameLine) -> bytes:
    """Run the call and return its result, holding nothing for longer than it is needed."""
    serializer, function, arguments = open_call(call)
    _let_go(call)
    name.write(_name(function))
    result = function(*arguments)
    del function, arguments
    return serializer.serialize(result)


def _let_go(call: Call) -> None:
    """Drop this process's pages of what was fetched; the parent has them still."""
    for value in call.values:
        if isinstance(value, memoryview) and isinstance(value.obj, mmap.mmap):
            value.obj.madvise(mmap.MADV_DONTNEED)


def _leave_copy(error: BaseException) -> NoReturn:
    """End a process that the user's code forked and let run into ours: only the original may answer."""
    code = error.code if isinstance(error, SystemExit) else 1
    leave(code & 0xFF if isinstance(code, int) else int(code is not None))


def _name(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return str(name)[:_LONGEST_NAME]


class Told(NamedTuple):
    """What a call's child said before its end.

    Attributes:
        function: Name of the function; empty if the call could not be read.
        status: How the call ended; ``None`` if the child did not live to say so.
        failure: Why it did not succeed.
        value: What the outcome carries.
    """

    function: str
    status: Status | None = None
    failure: Failure | None = None
    value: memoryview = memoryview(b"")


def told_by(ended: Ended) -> Told:
    """Read what a call's child wrote. The call ran in that process, so anything may stand there."""
    line, newline, _ = bytes(ended.written[:_LONGEST_LINE]).partition(b"\n")
    function = _named(line) if newline else ""
    if not ended.whole:
        return Told(function)
    try:
        return Told(function, *_answered(ended.written[len(line) + 1 :]))
    except (MalformedError, ValueError, TypeError, KeyError):
        return Told(function, Status.CRASHED, Failure(message=_UNREADABLE))


def _named(line: bytes) -> str:
    with contextlib.suppress(ValueError, RecursionError):
        return text(json.loads(line))[:_LONGEST_NAME]
    return ""


def _answered(body: memoryview) -> tuple[Status, Failure | None, memoryview]:
    said, [value] = sections.split(body, max_index=MAX_ENTRIES)
    status, failure = Status(text(said["status"])), said["failure"]
    if status not in _ENDINGS:
        raise ValueError("not for the call's own process to say")
    return status, Failure(*_texts(failure)) if failure else None, value


def _texts(failure: Any) -> tuple[str, str, str]:
    type_, message, trace = map(text, items(failure)[:_TEXTS])
    return type_, message, trace


def outcome_of(position: int, told: Told, ended: Ended, *, out_of_memory: bool | None) -> Outcome:
    """Tell what came of a call.

    Args:
        position: Which call of the bundle.
        told: What its child said.
        ended: What became of the child.
        out_of_memory: Whether the kernel has killed for want of memory meanwhile; ``None`` where it does not say.
    """
    if told.status is not None:
        return Outcome(position, told.status, told.value, ended.usage, told.failure)
    if out_of_memory and ended.code == -signal.SIGKILL:
        message = "the process of the task was killed (SIGKILL), because the container's memory was used up"
        failure = Failure(message=message, signal=signal.SIGKILL)
        return Outcome(position, Status.OUT_OF_MEMORY, b"", ended.usage, failure)
    return Outcome(
        position, Status.CRASHED, b"", ended.usage, _crash(ended.code, memory_is_known=out_of_memory is False)
    )


def _crash(code: int, *, memory_is_known: bool) -> Failure:
    """Say how a process ended that gave no answer."""
    if code >= 0:
        message = f"the process of the task ended with exit code {code} before the task returned"
        return Failure(message=message, exit_code=code)
    cause = _USUAL_CAUSES.get(-code, "")
    if code == -signal.SIGKILL and not memory_is_known:
        cause = "; the usual cause is running out of memory"
    return Failure(message=f"the process of the task was killed by signal {_signal(-code)}{cause}", signal=-code)


def _signal(number: int) -> str:
    named = number in signal.valid_signals() and number in signal.Signals._value2member_map_
    return f"{number} ({signal.Signals(number).name})" if named else str(number)
