"""What a call raised, as bytes for the client.

The client reads it with plain ``pickle.loads`` and raises it. So that it arrives as what it was, with its remote
traceback, notes, causes and contexts, exceptions are reduced here in a form that needs nothing at the client but the
class itself, cloudpickle (for classes that travelled by value, whose originals the client's cloudpickle knows) and
tblib (for tracebacks).

Whether the pickle can be read is tried out before it is sent. A class whose constructor wants other arguments than
``args`` is rebuilt without its constructor; a chain with a link that cannot travel is left behind; and what cannot
travel at all goes as text.
"""

from __future__ import annotations

import copyreg
import io
import itertools
import pickle
import traceback
from types import TracebackType
from typing import Any, Final

import cloudpickle  # type: ignore[import-untyped]
from tblib.pickling_support import pickle_traceback  # type: ignore[import-untyped]

from scaler_batch.payload import Failure, Status

_OURS: Final = "scaler_batch."

_DEEPEST: Final = 100
"""Frames of a traceback that travel: the outer and the inner half. Pickling a thousand nested ones exceeds the
recursion limit, and nobody reads them."""

_LONGEST_NAME: Final = 200
_LONGEST_MESSAGE: Final = 4096
_LONGEST_TRACEBACK: Final = 16384
"""Characters that travel as text, beside the pickle, which has all."""


def describe(error: BaseException) -> tuple[Status, Failure, bytes]:
    """Turn what a call raised into an outcome's status, failure and value."""
    # The frames hold what the call held; after a MemoryError that room is needed here.
    traceback.clear_frames(error.__traceback__)
    raised = _for_client(error)
    failure = Failure(_type(error), _message(raised), _traceback(raised))
    for whole_chain, constructed in itertools.product((True, False), repeat=2):
        pickled = _pickle(raised, whole_chain=whole_chain, constructed=constructed)
        if pickled is not None:
            return Status.RAISED, failure, pickled
    return Status.UNPICKLABLE, failure, b""


def _for_client(error: BaseException) -> Exception:
    """What the client may raise: never anything that would end the client's own process or loop."""
    if isinstance(error, Exception):
        return error
    if isinstance(error, SystemExit):
        stand_in = RuntimeError(f"the task called sys.exit({_exit_argument(error.code)})")
    else:
        stand_in = RuntimeError(f"the task raised {type(error).__name__}")
    stand_in.__cause__ = error
    return stand_in.with_traceback(error.__traceback__)


def _exit_argument(code: object) -> str:
    if code is None:
        return ""
    return repr(code) if isinstance(code, int | str) else type(code).__name__


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    def __init__(self, file: io.BytesIO, *, whole_chain: bool, constructed: bool) -> None:
        super().__init__(file)
        self._whole_chain = whole_chain
        self._constructed = constructed

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, BaseException):
            return self._reduce(value)
        if isinstance(value, TracebackType):
            return pickle_traceback(value)
        return super().reducer_override(value)

    def _reduce(self, error: BaseException) -> Any:
        reduced: Any = error.__reduce_ex__(pickle.HIGHEST_PROTOCOL)
        if isinstance(reduced, str) or type(error).__setstate__ is not BaseException.__setstate__:
            return reduced
        rebuild, arguments, own, *items = (*reduced, None)[: max(3, len(reduced))]
        if not self._constructed:
            rebuild, arguments = copyreg.__newobj__, (type(error), *error.args)  # type: ignore[attr-defined]
        return rebuild, arguments, {**(own or {}), **self._links(error)}, *items

    def _links(self, error: BaseException) -> dict[str, Any]:
        """What pickle leaves out; BaseException sets each of these as an attribute when it gets its state."""
        links: dict[str, Any] = {"__traceback__": _shortened(error.__traceback__)}
        if self._whole_chain:
            links |= {"__cause__": error.__cause__, "__context__": error.__context__}
        # The last, because setting a cause changes it.
        return links | {"__suppress_context__": error.__suppress_context__}


def _pickle(error: Exception, *, whole_chain: bool, constructed: bool) -> bytes | None:
    """Pickle ``error``, or return ``None`` where the result could not be read back as what it was."""
    file = io.BytesIO()
    try:
        _Pickler(file, whole_chain=whole_chain, constructed=constructed).dump(error)
        pickled = file.getvalue()
        back = pickle.loads(pickled)  # noqa: S301 - our own, and this is the process of the user's code
        return pickled if type(back) is type(error) else None
    except Exception:
        # The class's own code may raise anything while it is taken apart and put together again.
        return None


def _shortened(trace: TracebackType | None) -> TracebackType | None:
    """Leave out the runner's own frames, and the middle of very deep ones."""
    entries = []
    while trace is not None:
        entries.append(trace)
        trace = trace.tb_next
    theirs = list(itertools.dropwhile(_is_ours, entries)) or entries[-1:]
    if len(theirs) > _DEEPEST:
        theirs = theirs[: _DEEPEST // 2] + theirs[-_DEEPEST // 2 :]
    shortened = None
    for entry in reversed(theirs):
        shortened = TracebackType(shortened, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return shortened


def _is_ours(entry: TracebackType) -> bool:
    return str(entry.tb_frame.f_globals.get("__name__")).startswith(_OURS)


def _type(error: BaseException) -> str:
    return _sendable(type(error).__qualname__, _LONGEST_NAME)


def _traceback(error: Exception) -> str:
    lines = traceback.TracebackException(type(error), error, _shortened(error.__traceback__)).format()
    return _sendable("".join(lines), _LONGEST_TRACEBACK)


def _message(error: Exception) -> str:
    try:
        return _sendable(str(error), _LONGEST_MESSAGE)
    except Exception:
        return "(its message cannot be told: str() of it raises)"


def _sendable(text: str, longest: int) -> str:
    """What UTF-8 can carry of a text, and of a long one the beginning and the end."""
    if len(text) > longest:
        text = f"{text[: longest // 2]}\n[… {len(text) - longest} characters left out …]\n{text[-longest // 2 :]}"
    return text.encode("utf-8", "backslashreplace").decode()
