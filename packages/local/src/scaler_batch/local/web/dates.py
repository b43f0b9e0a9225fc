"""The ``Date`` header of answers, when the clock of this AWS is not that of the machine."""

from __future__ import annotations

from dataclasses import replace
from email.utils import formatdate

from ..clock import Clock
from .chain import Answer, Call, Proceed


class DateLayer:
    """Dates answers.

    Args:
        clock: Whose time it is.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        """Date an answer; the HTTP server does so as long as the clock has not jumped."""
        answer = proceed()
        if not self._clock.ahead:
            return answer
        headers = [(name, value) for name, value in answer.headers if name.lower() != "date"]
        return replace(answer, headers=[*headers, ("Date", formatdate(self._clock.now(), usegmt=True))])
