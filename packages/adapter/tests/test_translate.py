from __future__ import annotations

import pickle
from typing import Any

import pytest

from scaler_batch.adapter.translate import CONFIRMS, Errand, answer_of, request_of
from scaler_batch.payload import Failure, Outcome, Status, Usage
from scaler_batch.tasks import TaskFailedError, Verdict
from scaler_batch.wire import (
    Argument,
    ArgumentKind,
    Profile,
    RemoteProtocolError,
    ResultKind,
    Task,
    TaskFlags,
    serializer_id,
)

CLIENT = b"Client|" + b"0" * 32
LINK: Any = object()


def task(*arguments: Argument, metadata: bytes = b"") -> Task:
    return Task(b"t" * 16, CLIENT, metadata, b"f" * 32, arguments, ())


def test_a_task_becomes_a_request_that_names_its_objects() -> None:
    scheduled = task(Argument(ArgumentKind.OBJECT_ID, b"a" * 32), metadata=TaskFlags(False, 7, False).encode())
    request = request_of(scheduled, LINK)
    assert request.inputs == (serializer_id(CLIENT), b"f" * 32, b"a" * 32)
    assert request.priority == 7
    assert request.source == CLIENT
    assert not request.alone
    assert request.context == Errand(scheduled, LINK)


def test_a_task_whose_output_is_wanted_gets_a_job_for_itself() -> None:
    assert request_of(task(metadata=TaskFlags(stream_output=True).encode()), LINK).alone


def test_a_task_that_names_another_task_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="result of another task"):
        request_of(task(Argument(ArgumentKind.TASK, b"x" * 16)), LINK)


def outcome(status: Status, value: bytes = b"", failure: Failure | None = None) -> Outcome:
    return Outcome(0, status, value, Usage(wall=1.5, cpu=0.25, memory=4096), failure)


def test_a_result_goes_back_as_it_is_with_its_profile() -> None:
    answer = answer_of(outcome(Status.SUCCESS, b"result"))
    assert (answer.kind, answer.content) == (ResultKind.SUCCESS, b"result")
    assert answer.profile == Profile(duration=1.5, memory_peak=4096, cpu=0.25)


def test_an_exception_goes_back_as_it_is() -> None:
    value = pickle.dumps(ValueError("v"))
    answer = answer_of(outcome(Status.RAISED, value))
    assert (answer.kind, answer.content) == (ResultKind.FAILED, value)


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (Status.UNPICKLABLE, b"TaskExceptionNotSerializableError"),
        (Status.CRASHED, b"ProcessorDiedError"),
        (Status.OUT_OF_MEMORY, b"ProcessorDiedError"),
    ],
)
def test_what_left_no_exception_becomes_one_of_scalers_own(status: Status, name: bytes) -> None:
    answer = answer_of(outcome(status, failure=Failure("Böse", "text", "Traceback …")))
    assert answer.kind is ResultKind.FAILED
    assert name in answer.content
    assert "Böse: text\n\nTraceback …".encode() in answer.content


@pytest.mark.parametrize("status", [Status.MISMATCHED, Status.INTERRUPTED])
def test_a_call_that_was_not_run_to_its_end_becomes_a_builtin_exception_with_its_text(status: Status) -> None:
    answer = answer_of(outcome(status, failure=Failure(message="because")))
    assert answer.kind is ResultKind.FAILED
    assert repr(pickle.loads(bytes(answer.content))) == "RuntimeError('because')"


def test_a_failure_of_ours_becomes_a_builtin_exception_with_its_text() -> None:
    answer = answer_of(TaskFailedError("AWS Batch job failed: because"))
    assert answer.kind is ResultKind.FAILED
    error = pickle.loads(bytes(answer.content))
    assert type(error) is RuntimeError
    assert str(error) == "AWS Batch job failed: because"


def test_every_verdict_has_a_confirm() -> None:
    assert set(CONFIRMS) == set(Verdict)
