"""What a map costs in calls to AWS, adapter and runner together: counts that do not depend on the machine's mood.

The adapter that Scaler ships makes 7,290 for a map of a thousand.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from scaler import Client

import counting
from stack import Options, Stack

cloudpickle = pytest.importorskip("cloudpickle")
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def double(x: int) -> int:
    return x * 2


@pytest.mark.parametrize(
    ("options", "batch", "everything"),
    [
        (("--max-concurrent-jobs", "1000"), 12, 2100),
        ((), 60, None),
        (("--tasks-per-job", "50"), 30, 130),
        (("--tasks-per-job", "auto"), 30, 130),
    ],
    ids=["a thousand slots", "a hundred slots", "fifty tasks a job", "as many as are worth it"],
)
def test_a_map_of_a_thousand_takes_few_calls(
    cloud: Stack, connect: Callable[[Stack], Client], options: tuple[str, ...], batch: int, everything: int | None
) -> None:
    with Stack(Options(worker=options)) as stack:
        stack.join(cloud).start_adapter()
        client = connect(stack)
        assert client.map(double, [1]) == [2]  # not submit, whose output is asked for
        counting.clear(stack)
        assert client.map(double, range(1000)) == [2 * number for number in range(1000)]
        calls = counting.calls(stack)
        client.disconnect()
    assert sum(count for name, count in calls.items() if name.startswith("batch")) <= batch, calls
    assert everything is None or calls.total() <= everything, calls
