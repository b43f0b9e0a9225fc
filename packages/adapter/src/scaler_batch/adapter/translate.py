"""Between Scaler's words and the task manager's: decisions without I/O."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Final

from scaler_batch.payload import Outcome, Status, Usage
from scaler_batch.payload.sections import Buffer
from scaler_batch.tasks import Result, TaskRequest, Verdict
from scaler_batch.wire import (
    ArgumentKind,
    CancelOutcome,
    Profile,
    RemoteProtocolError,
    ResultKind,
    Task,
    TaskFlags,
    serializer_id,
)
from scaler_batch.wire.exceptions import ScalerException, pickle_scaler_exception

CONFIRMS: Final = {
    Verdict.CANCELLED: CancelOutcome.CANCELED,
    Verdict.REFUSED: CancelOutcome.FAILED,
    Verdict.UNKNOWN: CancelOutcome.NOT_FOUND,
}
"""What the scheduler is told of each verdict."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client is to get.

    Attributes:
        kind: Whether the task succeeded.
        content: The object that the client reads: a serialized result, or a pickled exception.
        profile: What running the task took; ``None`` where it did not run to its end.
    """

    kind: ResultKind
    content: Buffer
    profile: Profile | None = None


def request_of(task: Task) -> TaskRequest:
    """Turn the scheduler's task into a request; the task itself travels along for the reply.

    Raises:
        RemoteProtocolError: It names a task where a worker needs an object, or its flags cannot be read.
    """
    if any(argument.kind is not ArgumentKind.OBJECT_ID for argument in task.arguments):
        raise RemoteProtocolError("an argument is the result of another task, which a worker cannot look up")
    return TaskRequest(
        task_id=task.task_id,
        serializer=serializer_id(task.source),
        function=task.function_id,
        arguments=tuple(argument.data for argument in task.arguments),
        priority=TaskFlags.decode(task.metadata).priority,
        context=task,
    )


def answer_of(result: Result) -> Answer:
    """Decide what the client gets for a result."""
    if not isinstance(result, Outcome):
        # A builtin class: every client can load it, whatever it has installed.
        return Answer(ResultKind.FAILED, pickle.dumps(RuntimeError(str(result))))
    profile = _profile(result.usage)
    match result.status:
        case Status.SUCCESS:
            return Answer(ResultKind.SUCCESS, result.value, profile)
        case Status.RAISED:
            return Answer(ResultKind.FAILED, result.value, profile)
        case Status.UNPICKLABLE:
            exception = ScalerException.TASK_EXCEPTION_NOT_SERIALIZABLE
        case Status.CRASHED:
            exception = ScalerException.PROCESSOR_DIED
    text = bytes(result.value).decode(errors="replace")
    return Answer(ResultKind.FAILED, pickle_scaler_exception(exception, text), profile)


def _profile(usage: Usage) -> Profile:
    return Profile(duration=usage.wall, memory_peak=usage.memory, cpu=usage.cpu)
