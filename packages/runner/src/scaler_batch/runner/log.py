"""The runner's own lines on stderr: one JSON object a line, so that a log service finds the fields by itself.

User code writes to the same stream; a line of ours is one write, and begins on a line of its own, whatever was written
before. Each has a word that no user code can know: it is made up when the runner begins, told in the first line, and
forgotten by the processes that run calls. So a line that only looks like ours is the user's.

Arguments, results and messages of exceptions never come here: they are the user's data, and logs are read by more
people than results.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import sys
from typing import Any, Final

from scaler_batch.payload.contract import LOG_BEGIN, LOG_EVENT, LOG_MARK

_MARK_BYTES: Final = 16

_mark: str | None = None


def begin() -> None:
    """Make up the word and tell it; to be called before any user's code runs."""
    global _mark  # the process has one log
    _mark = None
    mark = secrets.token_hex(_MARK_BYTES)
    line(LOG_BEGIN, **{LOG_MARK: mark})
    _mark = mark


def forget() -> None:
    """Lose the word, in a process that is to run a user's code."""
    global _mark
    _mark = None


def line(event: str, **facts: Any) -> None:
    """Write one line; a stderr that is closed or full stops nobody's work."""
    ours = {} if _mark is None else {LOG_MARK: _mark}
    text = json.dumps({LOG_EVENT: event, **ours, **facts})
    with contextlib.suppress(OSError, ValueError, AttributeError):
        # What user code has written last may have no end of line. Log services leave out empty lines.
        sys.stderr.write(f"\n{text}\n" if ours else f"{text}\n")
        sys.stderr.flush()
