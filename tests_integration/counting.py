"""What the local AWS has counted."""

from __future__ import annotations

from collections import Counter

from scaler_batch.local import control
from stack import Stack


def calls(stack: Stack, by: str = "") -> Counter[str]:
    """Requests since the counters were last cleared, by operation; of all, or of callers whose names begin so."""
    found: Counter[str] = Counter()
    for name, operations in control.counters(stack.environment).callers.items():
        if name.startswith(by):
            found.update(operations)
    return found


def clear(stack: Stack) -> None:
    """Count from nothing again."""
    control.reset_counters(stack.environment)
