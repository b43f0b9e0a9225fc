"""What a task costs in bytes, and how often its data are copied: counts that do not depend on the machine's mood."""

from __future__ import annotations

import json
import random
import sys
import tracemalloc
from collections.abc import Callable
from typing import TypeVar
from urllib.request import urlopen

import pytest
from scaler import Client

from scaler_batch.payload import Origin, Outcome, Status, decode_bundle, decode_outcomes, encode_outcomes, encode_pack
from scaler_batch.payload.calls import make_call
from stack import Options, Stack, free_port

cloudpickle = pytest.importorskip("cloudpickle")
cloudpickle.register_pickle_by_value(sys.modules[__name__])

LARGE = 20 * 1000 * 1000
A_TENTH = LARGE // 10
HERE = Origin("job", 1, "host", "3.11.0", {})

Made = TypeVar("Made")


def double(x: int) -> int:
    return x * 2


@pytest.mark.parametrize(
    ("tasks_per_job", "sent", "received"),
    [pytest.param("1", 100, 1000, marks=pytest.mark.long), ("50", 30, 150)],
    ids=["one task a job", "fifty tasks a job"],
)
def test_a_map_of_a_thousand_moves_few_bytes_through_s3(
    cloud: Stack, connect: Callable[[Stack], Client], tasks_per_job: str, sent: int, received: int
) -> None:
    port = free_port()
    options = ("--tasks-per-job", tasks_per_job, "--max-concurrent-jobs", "1000", "--metrics-port", str(port))
    with Stack(Options(worker=options)) as stack:
        stack.join(cloud).start_adapter()
        client = connect(stack)
        assert client.map(double, range(1000)) == [2 * number for number in range(1000)]
        with urlopen(f"http://127.0.0.1:{port}/status") as answer:
            [worker] = json.load(answer)["workers"]
        client.disconnect()

    assert worker["sent"] / 1000 <= sent
    assert worker["received"] / 1000 <= received


def test_a_thousand_calls_of_a_map_take_few_bytes() -> None:
    function = cloudpickle.loads(cloudpickle.dumps(double))
    pack = encode_pack([[make_call(function, number)] for number in range(1000)])

    assert pack.size <= 4000


def test_a_large_argument_is_not_copied_on_its_way_into_a_pack() -> None:
    call = make_call(len, random.randbytes(LARGE))

    _, taken = measured(lambda: encode_pack([[call]]))

    assert taken < A_TENTH


def test_a_large_argument_is_not_copied_on_its_way_out_of_a_pack() -> None:
    sealed = b"".join(encode_pack([[make_call(len, random.randbytes(LARGE))]]).pieces)

    bundle, taken = measured(lambda: decode_bundle(sealed, 0))

    assert len(bundle.calls) == 1
    assert taken < A_TENTH


def test_a_large_result_is_not_copied_on_its_way_through_outcomes() -> None:
    outcome = Outcome(0, Status.SUCCESS, random.randbytes(LARGE))

    pieces, written = measured(lambda: encode_outcomes([outcome], HERE))
    sealed = b"".join(pieces)
    _, read = measured(lambda: decode_outcomes(sealed))

    assert max(written, read) < A_TENTH


def measured(work: Callable[[], Made]) -> tuple[Made, int]:
    """Do something, and say how much memory it took at most."""
    tracemalloc.start()
    try:
        made = work()
        return made, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
