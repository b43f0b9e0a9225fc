"""What a map costs in calls to AWS, adapter and runner together.

Most calls come with the work, a few with time: looks at the store and at AWS Batch, and submissions while tasks keep
coming. So a bound is a number of calls and so many more a second; a busy machine is given the time it takes. Nothing
waits for a bundle to fill: the slower the tasks arrive, the more submissions they take, up to one a round trip.

The adapter that Scaler ships makes 7,290 for a map of a thousand.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from scaler import Client

import counting
from stack import Options, Stack

cloudpickle = pytest.importorskip("cloudpickle")
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def double(x: int) -> int:
    return x * 2


@dataclass(frozen=True)
class AtMost:
    """A bound on calls.

    Attributes:
        work: Calls, however little time it takes.
        a_second: Further calls for each second.
    """

    work: int
    a_second: float

    def after(self, seconds: float) -> float:
        """The bound for a map that took so long."""
        return self.work + self.a_second * seconds


@pytest.mark.parametrize(
    ("options", "batch", "everything"),
    [
        # A quiet machine takes 20 s for the first two and 4 s for the others: 12, 60 and 30 calls of Batch.
        pytest.param(("--max-concurrent-jobs", "1000"), AtMost(6, 0.3), AtMost(2060, 2), marks=pytest.mark.long),
        pytest.param((), AtMost(50, 0.5), None, marks=pytest.mark.long),
        (("--tasks-per-job", "50"), AtMost(14, 8), AtMost(82, 24)),
        # A job gets a second of work, and the busier the machine is, the longer a task takes.
        (("--tasks-per-job", "auto"), AtMost(14, 8), AtMost(82, 60)),
    ],
    ids=["a thousand slots", "a hundred slots", "fifty tasks a job", "as many as are worth it"],
)
def test_a_map_of_a_thousand_takes_few_calls(
    cloud: Stack, connect: Callable[[Stack], Client], options: tuple[str, ...], batch: AtMost, everything: AtMost | None
) -> None:
    with Stack(Options(worker=options)) as stack:
        stack.join(cloud).start_adapter()
        client = connect(stack)
        assert client.map(double, [1]) == [2]  # not submit, whose output is asked for
        counting.clear(stack)
        began = time.monotonic()
        assert client.map(double, range(1000)) == [2 * number for number in range(1000)]
        seconds, calls = time.monotonic() - began, counting.calls(stack)
        client.disconnect()
    of_batch = sum(count for name, count in calls.items() if name.startswith("batch"))
    assert of_batch <= batch.after(seconds), (seconds, calls)
    assert everything is None or calls.total() <= everything.after(seconds), (seconds, calls)
