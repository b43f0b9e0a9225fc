"""Between Scaler's words and the task manager's: decisions without I/O."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Final

from scaler_batch.adapter.routes import Routes
from scaler_batch.payload import Failure, Outcome, Status, Usage
from scaler_batch.payload.buffers import Buffer
from scaler_batch.tasks import Result, TaskRequest, Verdict
from scaler_batch.wire import (
    ArgumentKind,
    CancelOutcome,
    Profile,
    RemoteProtocolError,
    ResultKind,
    Task,
    TaskFlags,
    WorkerConnection,
    serializer_id,
)
from scaler_batch.wire.exceptions import ScalerException, pickle_scaler_exception

CONFIRMS: Final = {
    Verdict.CANCELLED: CancelOutcome.CANCELED,
    Verdict.REFUSED: CancelOutcome.FAILED,
    Verdict.UNKNOWN: CancelOutcome.NOT_FOUND,
}
"""What the scheduler is told of each verdict."""


DIRECT: Final = Routes()
"""All tasks go the same way."""


@dataclass(frozen=True, slots=True)
class Errand:
    """What a task came as.

    Attributes:
        task: The scheduler's message.
        link: The link it came by, and its answer leaves by.
    """

    task: Task
    link: WorkerConnection


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


def request_of(task: Task, link: WorkerConnection, routes: Routes = DIRECT, table: str | None = None) -> TaskRequest:
    """Turn the scheduler's task into a request; task and link travel along for the reply.

    Args:
        task: What the scheduler sent.
        link: How it came.
        routes: Where tasks with certain capabilities go.
        table: The capability whose link it is; ``None`` for the link of all tasks.

    Raises:
        RemoteProtocolError: It names a task where a worker needs an object, or its flags cannot be read.
    """
    if any(argument.kind is not ArgumentKind.OBJECT_ID for argument in task.arguments):
        raise RemoteProtocolError("an argument is the result of another task, which a worker cannot look up")
    flags = TaskFlags.decode(task.metadata)
    return TaskRequest(
        task_id=task.task_id,
        serializer=serializer_id(task.source),
        function=task.function_id,
        arguments=tuple(argument.data for argument in task.arguments),
        priority=flags.priority,
        shape=routes.shape_for((capability.name for capability in task.capabilities), table),
        alone=flags.stream_output,  # lines of a log that several tasks share are nobody's
        context=Errand(task, link),
        source=task.source,
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
        case Status.CRASHED | Status.OUT_OF_MEMORY:
            exception = ScalerException.PROCESSOR_DIED
        case Status.MISMATCHED | Status.INTERRUPTED:
            return Answer(ResultKind.FAILED, pickle.dumps(RuntimeError(_text(result.failure))), profile)
    return Answer(ResultKind.FAILED, pickle_scaler_exception(exception, _text(result.failure)), profile)


def _text(failure: Failure | None) -> str:
    if failure is None:
        return "the task failed, and nothing is said of how"
    said = f"{failure.type}: {failure.message}" if failure.type else failure.message
    return f"{said}\n\n{failure.traceback}" if failure.traceback else said


def _profile(usage: Usage) -> Profile:
    return Profile(duration=usage.wall, memory_peak=usage.memory, cpu=usage.cpu)
