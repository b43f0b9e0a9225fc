"""What the server does when it is asked about itself: counters, faults, reset."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .errors import FaultError
from .faults.board import FaultBoard
from .faults.reading import plan_of
from .web.control import CLOCK, COUNTERS, FAULTS, METRICS, RESET, SERVER, Action, Order, Text
from .web.counters import CountingLayer

Json = Mapping[str, Any]

_LONGEST_JUMP: Final = 10 * 365 * 86400


@dataclass(frozen=True)
class Administration:
    """The actions behind the server's own paths.

    Attributes:
        counting: Counts the calls.
        faults: Has the faults.
        jump_clock: Has the clock jump by so many seconds.
        reset_all: Ends every job and forgets every resource.
    """

    counting: CountingLayer
    faults: FaultBoard
    jump_clock: Callable[[float], None]
    reset_all: Callable[[], None]

    def actions(self) -> dict[tuple[str, str], Action]:
        """The actions by method and path."""
        return {
            ("GET", SERVER): lambda order: {"pid": os.getpid()},
            ("GET", COUNTERS): lambda order: self.counting.counters().to_json(),
            ("DELETE", COUNTERS): self._reset_counters,
            ("GET", METRICS): self._metrics,
            ("GET", FAULTS): lambda order: {"faults": self.faults.report()},
            ("POST", FAULTS): self._inject,
            ("DELETE", FAULTS): self._remove_faults,
            ("POST", CLOCK): self._jump,
            ("POST", RESET): self._reset,
        }

    def _reset_counters(self, order: Order) -> Json:
        self.counting.reset()
        return {}

    def _metrics(self, order: Order) -> Text:
        from .web.metrics import exposition

        return exposition(self.counting.counters())

    def _inject(self, order: Order) -> Json:
        return {"numbers": self.faults.inject(plan_of(_document(order)))}

    def _remove_faults(self, order: Order) -> Json:
        numbers = order.query.get("number", ())
        for number in numbers:
            if not number.isdecimal():
                raise FaultError("number must be that of a fault")
            self.faults.remove(int(number))
        if not numbers:
            self.faults.clear()
        return {}

    def _jump(self, order: Order) -> Json:
        document = _document(order)
        seconds = document.get("seconds") if isinstance(document, dict) else None
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not abs(seconds) <= _LONGEST_JUMP:
            raise FaultError(f"seconds must be a number between -{_LONGEST_JUMP} and {_LONGEST_JUMP}")
        self.jump_clock(float(seconds))
        return {}

    def _reset(self, order: Order) -> Json:
        self.reset_all()
        return {}


def _document(order: Order) -> object:
    try:
        return json.loads(order.body)
    except ValueError as error:
        raise FaultError(f"not JSON: {error}") from error
