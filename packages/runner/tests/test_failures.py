"""What a call raised, as the client reads it."""

from __future__ import annotations

import asyncio
import pickle
import threading
import traceback
from collections.abc import Callable
from typing import Any

import cloudpickle
import pytest

from scaler_batch.payload import Status
from scaler_batch.payload.calls import make_call, open_call
from scaler_batch.runner.failures import describe


class CustomError(Exception):
    """Its constructor wants other arguments than it hands on."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{reason} ({code})")
        self.code = code


class DemandingError(Exception):
    """Its constructor cannot be called with what it hands on at all."""

    def __init__(self, *, field: str) -> None:
        super().__init__("demanding")
        self.field = field


class RestoredError(Exception):
    """Takes its state into its own hands."""

    def __setstate__(self, state: dict[str, Any] | None) -> None:
        self.restored = state


class ReducedError(Exception):
    """Says by itself how it travels."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__("message")
        self.pair = (first, second)

    def __reduce__(self) -> tuple[Any, ...]:
        return ReducedError, self.pair


class DisguisedError(Exception):
    """Would arrive as something else."""

    def __reduce__(self) -> tuple[Any, ...]:
        return str, ("no exception",)


class UnspeakableError(Exception):
    """Neither travels nor speaks."""

    def __reduce__(self) -> str:
        raise RuntimeError("no")

    def __str__(self) -> str:
        raise RuntimeError("no")


class Stray(BaseException):
    """No Exception."""


def raised(function: Callable[..., Any], *arguments: Any) -> BaseException:
    """Run a call as the container does, and return what it raised."""
    call = make_call(function, *arguments)
    with pytest.raises(BaseException) as caught:  # noqa: PT011
        open_call(call).run()
    # Without the frame of this function, which in the container would be one of the runner's.
    return caught.value.with_traceback(caught.tb.tb_next)


def at_client(error: BaseException) -> Any:
    status, _, value = describe(error)
    assert status is Status.RAISED
    return pickle.loads(value)


def text(error: BaseException) -> str:
    status, failure, value = describe(error)
    assert (status, value) == (Status.UNPICKLABLE, b"")
    return f"{failure.type}: {failure.message}\n\n{failure.traceback}"


def fail(error: BaseException) -> None:
    raise error


def frames(error: BaseException) -> list[str]:
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad", 5),
        KeyError("key"),
        FileNotFoundError(2, "No such file or directory", "/missing"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        StopIteration(5),
        MemoryError(),
        ImportError("no", name="module"),
        SyntaxError("wrong", ("file", 1, 2, "text")),
        ZeroDivisionError("division by zero"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_builtin_arrives_as_what_it_was(error: Exception) -> None:
    arrived = at_client(raised(fail, error))
    assert type(arrived) is type(error)
    assert arrived.args == error.args
    assert str(arrived) == str(error)


def test_the_remote_traceback_arrives_without_the_runners_frames() -> None:
    def outer() -> None:
        inner()

    def inner() -> None:
        raise ValueError("deep")

    arrived = at_client(raised(outer))
    assert frames(arrived) == ["outer", "inner"]
    # From cloudpickle 3.1.3 on, a function by value no longer says which file it comes from.
    file = cloudpickle.loads(cloudpickle.dumps(outer)).__code__.co_filename
    assert f'File "{file}", line' in "".join(traceback.format_exception(arrived))


def test_a_call_that_never_began_keeps_the_frame_that_tried() -> None:
    arrived = at_client(raised(lambda: None, "one argument too many"))
    assert type(arrived) is TypeError
    assert len(frames(arrived)) == 1


def test_attributes_and_notes_arrive() -> None:
    error = ValueError("bad")
    error.add_note("while reading the file")
    error.row = 7  # type: ignore[attr-defined]
    arrived = at_client(raised(fail, error))
    assert arrived.__notes__ == ["while reading the file"]
    assert arrived.row == 7


def test_a_constructor_that_wants_other_arguments_is_not_called() -> None:
    def function() -> None:
        raise CustomError(404, "absent")

    arrived = at_client(raised(function))
    assert type(arrived) is CustomError
    assert str(arrived) == "absent (404)"
    assert arrived.code == 404
    assert frames(arrived) == ["function"]


def test_a_constructor_with_keywords_only_is_not_called() -> None:
    def function() -> None:
        raise DemandingError(field="name")

    arrived = at_client(raised(function))
    assert (type(arrived), arrived.field) == (DemandingError, "name")


def test_a_class_that_reduces_itself_is_rebuilt_its_own_way_with_its_traceback() -> None:
    def function() -> None:
        raise ReducedError(1, 2)

    arrived = at_client(raised(function))
    assert arrived.pair == (1, 2)
    assert frames(arrived) == ["function"]


def test_a_class_that_reduces_itself_to_something_else_arrives_as_itself() -> None:
    def function() -> None:
        raise DisguisedError("message")

    arrived = at_client(raised(function))
    assert (type(arrived), arrived.args) == (DisguisedError, ("message",))


def test_a_class_that_restores_its_own_state_gets_only_its_own() -> None:
    def function() -> None:
        error = RestoredError("bad")
        error.row = 7  # type: ignore[attr-defined]
        raise error

    assert at_client(raised(function)).restored == {"row": 7}


def test_causes_and_contexts_arrive_with_their_tracebacks() -> None:
    def function() -> None:
        try:
            try:
                int("x")
            except ValueError:
                raise KeyError("second")  # noqa: B904
        except KeyError as error:
            raise RuntimeError("third") from error

    arrived = at_client(raised(function))
    assert type(arrived.__cause__) is KeyError
    assert type(arrived.__cause__.__context__) is ValueError
    assert arrived.__suppress_context__
    assert not arrived.__cause__.__suppress_context__
    assert frames(arrived.__cause__) == frames(arrived.__cause__.__context__) == ["function"]


def test_a_context_that_was_suppressed_stays_so() -> None:
    def function() -> None:
        try:
            int("x")
        except ValueError:
            raise KeyError("second") from None

    arrived = at_client(raised(function))
    assert arrived.__cause__ is None
    assert arrived.__suppress_context__


def test_a_cause_that_cannot_travel_is_left_behind() -> None:
    def function() -> None:
        cause = ValueError("locked")
        cause.lock = threading.Lock()  # type: ignore[attr-defined]
        raise CustomError(404, "absent") from cause

    arrived = at_client(raised(function))
    assert (type(arrived), arrived.code, arrived.__cause__) == (CustomError, 404, None)
    assert frames(arrived) == ["function"]


def test_a_group_arrives_with_its_members() -> None:
    def function() -> None:
        raise ExceptionGroup("several", [ValueError("one"), CustomError(404, "absent")])

    arrived = at_client(raised(function))
    assert isinstance(arrived, ExceptionGroup)
    assert [type(member) for member in arrived.exceptions] == [ValueError, CustomError]


def test_a_chain_that_bites_its_tail_arrives() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    arrived = at_client(first)
    assert arrived.__cause__.__cause__ is arrived


def test_endless_recursion_arrives_with_a_shortened_traceback() -> None:
    def endless(depth: int) -> int:
        return endless(depth + 1) + 1

    arrived = at_client(raised(endless, 0))
    assert type(arrived) is RecursionError
    assert set(frames(arrived)) == {"endless"}
    assert len(frames(arrived)) == 100


def test_what_cannot_travel_goes_as_text_with_its_traceback() -> None:
    def function() -> None:
        error = ValueError("locked")
        error.lock = threading.Lock()  # type: ignore[attr-defined]
        raise error

    lines = text(raised(function)).splitlines()
    assert lines[:3] == ["ValueError: locked", "", "Traceback (most recent call last):"]
    assert "in function" in lines[3]
    assert not any("scaler_batch" in line for line in lines)


def test_what_neither_travels_nor_speaks_still_has_its_name() -> None:
    def function() -> None:
        raise UnspeakableError

    assert text(raised(function)).startswith("UnspeakableError: ")


def test_text_that_is_no_utf_8_is_escaped() -> None:
    error = ValueError("\ud800")
    error.lock = threading.Lock()  # type: ignore[attr-defined]
    assert text(error).startswith("ValueError: \\ud800")


@pytest.mark.parametrize(
    ("code", "said"),
    [(3, "sys.exit(3)"), (None, "sys.exit()"), ("giving up", "sys.exit('giving up')"), ([1], "sys.exit(list)")],
)
def test_an_exit_is_a_failure_that_says_so(code: object, said: str) -> None:
    def leave() -> None:
        raise SystemExit(code)

    arrived = at_client(raised(leave))
    assert type(arrived) is RuntimeError
    assert str(arrived) == f"the task called {said}"
    assert type(arrived.__cause__) is SystemExit
    assert frames(arrived) == ["leave"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError(), Stray("odd")])
def test_nothing_arrives_that_would_end_the_clients_own_process(error: BaseException) -> None:
    arrived = at_client(raised(fail, error))
    assert type(arrived) is RuntimeError
    assert str(arrived) == f"the task raised {type(error).__name__}"
    assert type(arrived.__cause__) is type(error)


def test_what_the_failed_call_held_is_let_go_first() -> None:
    let_go = threading.Event()

    class Large:
        def __del__(self) -> None:
            let_go.set()

    def function() -> None:
        held = Large()
        raise MemoryError(str(bool(held)))

    with pytest.raises(MemoryError) as caught:
        function()
    assert not let_go.is_set()
    describe(caught.value)
    assert let_go.is_set()


def test_local_values_do_not_travel() -> None:
    def function() -> None:
        password = "secret-" + "value"
        raise ValueError(len(password))

    _, failure, value = describe(raised(function))
    assert b"secret-value" not in value
    assert "secret-value" not in str(failure)
