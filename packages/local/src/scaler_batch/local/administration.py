"""What the server does when it is asked about itself: counters, faults, reset."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import FaultError
from .faults.board import FaultBoard
from .faults.reading import plan_of
from .web.control import COUNTERS, FAULTS, HEALTH, METRICS, RESET, Action, Order, Text
from .web.counters import CountingLayer

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Administration:
    """The actions behind the server's own paths.

    Attributes:
        counting: Counts the calls.
        faults: Has the faults.
        reset_all: Ends every job and forgets every resource.
    """

    counting: CountingLayer
    faults: FaultBoard
    reset_all: Callable[[], None]

    def actions(self) -> dict[tuple[str, str], Action]:
        """The actions by method and path."""
        return {
            ("GET", HEALTH): lambda order: {"pid": os.getpid()},
            ("GET", COUNTERS): lambda order: self.counting.counters().to_json(),
            ("DELETE", COUNTERS): self._reset_counters,
            ("GET", METRICS): self._metrics,
            ("GET", FAULTS): lambda order: {"faults": self.faults.report()},
            ("POST", FAULTS): self._inject,
            ("DELETE", FAULTS): self._remove_faults,
            ("POST", RESET): self._reset,
        }

    def _reset_counters(self, order: Order) -> Json:
        self.counting.reset()
        return {}

    def _metrics(self, order: Order) -> Text:
        from .web.metrics import exposition

        return exposition(self.counting.counters())

    def _inject(self, order: Order) -> Json:
        try:
            document = json.loads(order.body)
        except ValueError as error:
            raise FaultError(f"not JSON: {error}") from error
        return {"numbers": self.faults.inject(plan_of(document))}

    def _remove_faults(self, order: Order) -> Json:
        numbers = order.query.get("number", ())
        for number in numbers:
            if not number.isdecimal():
                raise FaultError("number must be that of a fault")
            self.faults.remove(int(number))
        if not numbers:
            self.faults.clear()
        return {}

    def _reset(self, order: Order) -> Json:
        self.reset_all()
        return {}
