"""What writing and reading calls costs, beside the way of the adapter that Scaler ships.

Theirs, for each task: one pickle of function and arguments together, gzip above 4 KiB. Ours: the client's bytes as
they are, each distinct one once, compressed where a sample says that it helps. Both begin with what the adapter has in
hand (theirs Python objects, for it reads the client's bytes; ours the bytes) and end with what the container runs.
Costs are processor time, the least of several rounds.
"""

from __future__ import annotations

import gzip
import random
import time
import timeit
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cloudpickle

from scaler_batch.payload import decode_bundle, encode_pack
from scaler_batch.payload.calls import make_call, open_call

MB = 1000 * 1000
GZIP_ABOVE = 4 * 1024


@dataclass(frozen=True)
class PayloadCost:
    """One line of the table.

    Attributes:
        payload: What travels.
        size: Bytes of its arguments.
        ours: Milliseconds to write it and read it again.
        theirs: The same.
        our_bytes: Bytes on their way.
        their_bytes: The same.
    """

    payload: str
    size: int
    ours: float
    theirs: float
    our_bytes: int
    their_bytes: int


def payload_costs(rounds: int = 5) -> list[PayloadCost]:
    """Measure single calls of several sizes, and a map of a thousand."""
    values = random.Random(1)
    noise, numbers = values.randbytes(50 * MB), array("d", (round(values.random(), 3) for _ in range(50 * MB // 8)))
    return [
        _cost("1 kB", [(noise[:1000],)], 1000, rounds),
        _cost("100 kB", [(noise[:100_000],)], 100_000, rounds),
        _cost("50 MB of noise", [(noise,)], 50 * MB, min(rounds, 2)),
        _cost("50 MB of numbers", [(numbers.tobytes(),)], 50 * MB, min(rounds, 2)),
        _cost("1,000 calls of a map", [(number,) for number in range(1000)], 1000, rounds),
    ]


def _cost(payload: str, arguments: Sequence[tuple[Any, ...]], size: int, rounds: int) -> PayloadCost:
    function = cloudpickle.loads(cloudpickle.dumps(_function()))
    calls = [make_call(function, *each) for each in arguments]
    packed = b"".join(encode_pack([[call] for call in calls]).pieces)
    written = [_write(function, each) for each in arguments]
    return PayloadCost(
        payload,
        size,
        _milliseconds(lambda: b"".join(encode_pack([[call] for call in calls]).pieces), rounds)
        + _milliseconds(lambda: _open(packed), rounds) * len(calls),
        _milliseconds(lambda: [_write(function, each) for each in arguments], rounds)
        + _milliseconds(lambda: _read(written[0]), rounds) * len(calls),
        len(packed),
        sum(map(len, written)),
    )


def _function() -> Callable[..., Any]:
    return lambda x: x


def _open(packed: bytes) -> object:
    """What the container of the first call does."""
    [call] = decode_bundle(packed, 0).calls
    return open_call(call)


def _write(function: Callable[..., Any], arguments: Sequence[Any]) -> bytes:
    payload: bytes = cloudpickle.dumps({"function": function, "arguments": list(arguments)})
    return gzip.compress(payload) if len(payload) > GZIP_ABOVE else payload


def _read(payload: bytes) -> object:
    return cloudpickle.loads(gzip.decompress(payload) if payload[:2] == b"\x1f\x8b" else payload)


def _milliseconds(work: Callable[[], object], rounds: int) -> float:
    return min(timeit.repeat(work, timer=time.process_time, number=1, repeat=rounds)) * 1000


def main() -> None:
    """Print the table."""
    for cost in payload_costs():
        print(cost)


if __name__ == "__main__":
    main()
