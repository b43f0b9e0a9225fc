"""How often which operation was called, by whom, and how often it was refused."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .chain import Answer, Call, Proceed


@dataclass(frozen=True)
class Counters:
    """Calls since the server started, or since the counters were reset.

    Attributes:
        operations: Calls by service and operation, such as ``{"batch.SubmitJob": 3}``.
        callers: The same by caller, such as ``{"user/boto3": {"batch.SubmitJob": 3}}``.
        errors: Those of them that were answered with a status of 400 or more.
    """

    operations: Mapping[str, int] = field(default_factory=dict)
    callers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All calls."""
        return sum(self.operations.values())

    def to_json(self) -> dict[str, Any]:
        """The counters as JSON has them."""
        return asdict(self)


class CountingLayer:
    """Counts the calls that pass, whatever becomes of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Begin again at nothing."""
        with self._lock:
            self._callers: defaultdict[str, Counter[str]] = defaultdict(Counter)
            self._errors: Counter[str] = Counter()

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        """Count a call before it is dealt with, and its failure after."""
        with self._lock:
            self._callers[call.caller][call.name] += 1
        answer = proceed()
        if answer.failed:
            with self._lock:
                self._errors[call.name] += 1
        return answer

    def counters(self) -> Counters:
        """What was counted so far."""
        with self._lock:
            callers = {caller: dict(counts) for caller, counts in self._callers.items()}
            operations = sum(self._callers.values(), Counter[str]())
            return Counters(dict(operations), callers, dict(self._errors))
