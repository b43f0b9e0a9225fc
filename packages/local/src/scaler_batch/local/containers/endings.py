"""What Batch shows of an attempt whose container was killed for want of memory, or never ran."""

from __future__ import annotations

from typing import Final

from ..batch.texts import CONTAINER_EXITED, REASON_CHARACTERS
from ..batch.vocabulary import Ending

OUT_OF_MEMORY: Final = "OutOfMemoryError: Container killed due to memory usage"
NOT_STARTED: Final = "Task failed to start"


def out_of_memory(code: int) -> Ending:
    """The kernel ended it, because it had more memory than it may."""
    return Ending(code, OUT_OF_MEMORY, CONTAINER_EXITED)


def refused(reason: str) -> Ending:
    """There was no container, for a reason in AWS's words."""
    return Ending(None, reason[:REASON_CHARACTERS], NOT_STARTED)
