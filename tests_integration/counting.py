"""What the local AWS has counted."""

from __future__ import annotations

import json
from collections import Counter
from urllib.request import Request, urlopen

from stack import Stack


def calls(stack: Stack, by: str = "") -> Counter[str]:
    """Requests since the counters were last cleared, by operation; of all, or of callers whose names begin so."""
    with urlopen(_address(stack)) as answer:
        callers = json.load(answer)["callers"]
    found: Counter[str] = Counter()
    for name, operations in callers.items():
        if name.startswith(by):
            found.update(operations)
    return found


def clear(stack: Stack) -> None:
    """Count from nothing again."""
    with urlopen(Request(_address(stack), method="DELETE")):
        pass


def _address(stack: Stack) -> str:
    return f"{stack.environment['AWS_ENDPOINT_URL']}/_scaler_batch/counters"
