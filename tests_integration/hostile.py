"""A task manager whose bucket somebody fills with what was written to hurt: do the others get their answers?

``python tests_integration/hostile.py 100000`` runs so many tasks whose outcomes are hostile, beside honest ones, while
so many hostile keys lie among the outcomes. The manager is the real one; AWS Batch and the store are doubles in memory.

Most of what is hostile is rightly signed, as a task could do it, which finds the key of its job: that is read, and
bounded. One in eight is not, as from whoever can write to the bucket: that is refused unread, and its task fails when
its job has ended.

Good is when every task is answered once, the honest ones with their results; when resident memory stays below 256 MiB
above what the process had before; and when nothing blocks the event loop for more than 50 ms. What is measured is the
processor time of the loop's thread in each callback, so other programs of a busy machine do not count; the longest time
between two turns of the loop by the wall clock is told too, which other threads and programs make longer.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import gzip
import json
import logging
import struct
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import psutil

from scaler_batch.payload import Call, Origin, Outcome, RunLocation, RunSeal, Seal, Status, encode_outcomes
from scaler_batch.payload.buffers import Buffer
from scaler_batch.payload.contract import FORMAT_VERSION
from scaler_batch.payload.envelope import Kind, seal
from scaler_batch.payload.keys import OUTCOMES, interruption_key, outcome_key, parse_outcome_key
from scaler_batch.payload.testing import MemoryStore
from scaler_batch.tasks import AWSHPCTaskManager, TaskManagerSettings, TaskRequest
from scaler_batch.tasks.models import Result
from scaler_batch.tasks.testing import FakeJobService, FakeSubmission, MemoryInputs

MEMORY = 256 * 2**20
"""Bytes above idle."""

BLOCKED = 0.05
"""Seconds of processor time in one callback of the loop."""

HONEST = 10
"""One honest task for so many hostile ones."""

UNSIGNED = 8
"""One hostile outcome of so many is not signed."""

POOL = 400
"""Different hostile outcomes; making one takes longer than reading it."""

AT_ONCE = 500
"""Tasks that are with the manager at a time."""

REMEMBERED = 4 * AT_ONCE
"""Jobs that the fake AWS Batch remembers, about. Whatever it keeps, a garbage collection on the loop walks through."""

FORGED = b"forged"


# What is hostile

NUMBERS: tuple[Any, ...] = (float("nan"), float("inf"), -1.0, 1e300, 2**63, 2**70, 10**400, -1, True, None, "1", [])
ENTRY = {"position": 0, "status": "success", "wall": 1.0, "cpu": 1.0, "memory": 1}
ORIGIN = {"job": "", "attempt": 1, "host": "", "python": "", "packages": {}}


def sealed(body: bytes, declared: int | None = None, level: int = 9) -> bytes:
    """An envelope of outcomes, compressed, that claims a size."""
    packed = gzip.compress(body, level)
    size = len(body) if declared is None else declared
    return struct.pack("<4sBBBBQI", b"SBPL", FORMAT_VERSION, Kind.OUTCOMES, 1, 0, size, zlib.crc32(packed)) + packed


def indexed(head: bytes, values: int = 0) -> bytes:
    """A body with this index."""
    return struct.pack("<I", len(head)) + head + bytes(values)


def described(*entries: Any, values: int = 0, **changed: Any) -> bytes:
    """A body whose index describes outcomes."""
    sizes = [values, *[0] * (len(entries) - 1)][: len(entries)]
    return indexed(json.dumps({"outcomes": entries, "origin": ORIGIN, "sizes": sizes, **changed}).encode(), values)


def honest(value: bytes) -> bytes:
    """An outcome as the runner writes it."""
    origin = Origin("job-1", 1, "host", "3.12.1", {"cloudpickle": "3.1.2"})
    return b"".join(encode_outcomes([Outcome(0, Status.SUCCESS, value)], origin))


def mutated(random: Random) -> bytes:
    """A real one with some bytes changed, its checksum mended in half of the cases."""
    data = bytearray(honest(FORGED * random.choice([1, 100, 2000])))
    for _ in range(random.randrange(1, 4)):
        data[random.randrange(len(data))] = random.randrange(256)
    if random.random() < 0.5:
        data[16:20] = struct.pack("<I", zlib.crc32(data[20:]))
    return bytes(data)


def bomb(random: Random) -> bytes:
    """Much in little: a value, or an index of nothing but structure, or more than was declared."""
    size = random.choice([10**5, 10**6, 2 * 10**7])
    match random.randrange(4):
        case 0:
            return sealed(described(ENTRY, values=size))
        case 1:
            return sealed(bytes(size), declared=random.choice([0, 100, 2**33, 2**62]))
        case 2:
            return sealed(indexed(b'{"outcomes":[' + b"[]," * (size // 3) + b'0],"sizes":[]}'))
        case _:
            return sealed(indexed(b'{"outcomes":[' + b'{"":0},' * (250_000 // 7) + b'0],"sizes":[]}'))


def number(random: Random) -> bytes:
    """A number that cannot be."""
    entry = {**ENTRY, random.choice(["wall", "cpu", "memory", "position"]): random.choice(NUMBERS)}
    return sealed(described(entry))


def deep(random: Random) -> bytes:
    """An index that is nested more deeply than anybody reads."""
    depth = random.choice([100, 1_000, 100_000])
    opening, closing = random.choice([(b"[", b"]"), (b'{"a":', b"}")])
    inner = b"0" if opening != b"[" else b""
    return sealed(indexed(b'{"outcomes":' + opening * depth + inner + closing * depth + b',"sizes":[]}'))


def misplaced(random: Random) -> bytes:
    """Calls that the bundle does not have, or one many times."""
    positions = random.choice([[1], [2**31], [0] * 2000, list(range(1000)), [-1], [2**62]])
    return sealed(described(*({**ENTRY, "position": position} for position in positions)))


def truncated(random: Random) -> bytes:
    """The beginning of a real one."""
    data = honest(FORGED * 1000)
    return data[: random.randrange(len(data))]


def other(random: Random) -> bytes:
    """Something else altogether."""
    kind = random.choice([Kind.PACK, Kind.TABLE, Kind.OBJECT])
    texts = (b"", b"\0", b"{}", b"SBPL", random.randbytes(random.randrange(300)))
    return random.choice([b"".join(seal(kind, [honest(FORGED)])), *texts])


KINDS = (mutated, bomb, number, deep, misplaced, truncated, other)


def signed(seals: RunSeal, key: str, data: bytes) -> bytes:
    """What a task of this job would put there, which can find the key of its job."""
    found = parse_outcome_key(key)
    return b"".join(seals.submission(found.sequence).job(found.child).sign(key, [data]))


def hostile_keys(count: int) -> Iterator[str]:
    """Keys among the outcomes that are nobody's, though some look like it."""
    random = Random(16)
    for index in range(count):
        match index % 8:
            case 0:
                yield outcome_key(10**9 + index, None, 0, f"{index:032x}")
            case 1:
                yield outcome_key(random.randrange(10), random.randrange(100), index, f"{index:032x}")
            case 2:
                yield f"{OUTCOMES}/{'9' * random.randrange(1, 900)}/{index}.{index:032x}"
            case 3:
                yield f"{OUTCOMES}/{index}/interrupted.{'x' * 100}"
            case 4:
                yield f"{OUTCOMES}/{index}\x01{chr(0x202E)}/0"
            case 5:
                yield f"{OUTCOMES}//{index}"
            case 6:
                yield f"{OUTCOMES}/../{index}"
            case _:
                yield interruption_key(random.randrange(10**6), None, index, f"{index:032x}")


# Where it is put


class HostileStore(MemoryStore):
    """A run's objects, where somebody replaces outcomes that say so, and puts further keys beside them."""

    def __init__(self, pool: list[bytes], keys: list[str], seals: RunSeal) -> None:
        super().__init__()
        self._pool = pool
        self._keys = keys
        self._seals = seals
        self._given = 0
        self.listed = 0
        self.unsigned = 0

    async def get(self, key: str) -> Buffer:
        """Return an outcome, or what stands in its place."""
        data = await super().get(key)
        if FORGED not in bytes(data[:4096]):
            return data
        self._given += 1
        hostile = self._pool[self._given % len(self._pool)]
        if self._given % UNSIGNED == 0:
            self.unsigned += 1
            return hostile
        return signed(self._seals, key, hostile)

    async def list(self, prefix: str) -> list[str]:
        """Return all keys, hostile ones too."""
        self.listed += 1
        found = await super().list(prefix)
        return self._keys + found if prefix == OUTCOMES else found


class Recent(dict[str, FakeSubmission]):
    """The latest submissions of a fake AWS Batch, which counts all: so it does not grow with the tasks."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._jobs = 0

    def __len__(self) -> int:
        return self._count

    def __setitem__(self, job_id: str, submission: FakeSubmission) -> None:
        super().__setitem__(job_id, submission)
        self._count += 1
        self._jobs += len(submission.jobs)
        while self._jobs - len((oldest := next(iter(self.values()))).jobs) > REMEMBERED:
            self._jobs -= len(oldest.jobs)
            del self[oldest.job_id]


@dataclass
class Sink:
    """Counts answers, and lets new tasks in for those that are answered."""

    room: asyncio.Semaphore
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    async def prepare(self, request: TaskRequest, result: Result) -> Result:
        """Nothing has to be stored."""
        return result

    def announce(self, request: TaskRequest, prepared: Any) -> None:
        """Count an answer."""
        was_honest, self_made = request.context == "honest", isinstance(prepared, Outcome)
        if was_honest and not (self_made and bytes(prepared.value) == b"honest"):
            self.wrong.append(f"an honest task was answered {prepared!r:.200}")
        kind = prepared.status if isinstance(prepared, Outcome) else type(prepared).__name__
        self.answers[f"{request.context}: {kind}"] += 1
        self.room.release()

    def discard(self, request: TaskRequest, prepared: Any) -> None:
        """Nobody cancels here."""
        self.wrong.append("a reply was discarded")


# How it is measured


@dataclass
class Meters:
    """The longest callback of this thread's loop, and the most memory, while they run."""

    longest: float = 0.0
    by: str = ""
    gap: float = 0.0
    idle: int = 0
    peak: int = 0

    def __enter__(self) -> Meters:
        self._over = threading.Event()
        self._process = psutil.Process()
        self.idle = self.peak = self._process.memory_info().rss
        self._run = asyncio.Handle._run
        self._watch = threading.Thread(target=self._watch_memory, daemon=True)
        self._watch.start()
        run, clock, meters = self._run, time.thread_time, self

        def timed(handle: asyncio.Handle) -> None:
            begun, wall = clock(), time.monotonic()
            run(handle)
            if (took := clock() - begun) > meters.longest:
                meters.longest, meters.by = took, repr(handle)[:300]
            meters.gap = max(meters.gap, time.monotonic() - wall)

        asyncio.Handle._run = timed  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.Handle._run = self._run  # type: ignore[method-assign]
        self._over.set()
        self._watch.join()

    @property
    def memory(self) -> int:
        """Bytes above idle."""
        return self.peak - self.idle

    def _watch_memory(self) -> None:
        while not self._over.wait(0.005):
            self.peak = max(self.peak, self._process.memory_info().rss)


@dataclass(frozen=True)
class Figures:
    """What came of a run."""

    seconds: float
    answers: dict[str, int]
    wrong: tuple[str, ...]
    listings: int
    memory: int
    blocked: float
    blocked_by: str
    gap: float

    @property
    def is_good(self) -> bool:
        """Whether it is as the module says."""
        return not self.wrong and self.memory < MEMORY and self.blocked < BLOCKED

    def __str__(self) -> str:
        answers = ", ".join(f"{count} {kind}" for kind, count in sorted(self.answers.items()))
        return (
            f"{sum(self.answers.values())} answers in {self.seconds:.1f} s ({answers}), {self.listings} listings\n"
            f"memory: {self.memory / 2**20:.0f} MiB above idle\n"
            f"loop blocked: {1000 * self.blocked:.1f} ms of processor time, {1000 * self.gap:.1f} ms by the clock\n"
            f"by {self.blocked_by}\n{'; '.join(self.wrong[:3])}"
        )


def run_call(call: Call) -> Buffer:
    """What every task returns: what it was given."""
    return call.arguments[0]  # type: ignore[return-value]


async def attack(count: int) -> Figures:
    """Run so many hostile tasks among so many hostile keys."""
    random = Random(15)
    pool = [KINDS[number % len(KINDS)](random) for number in range(POOL)]
    run, key = RunLocation("bucket", "runs", "run-1", "eu-west-1"), Seal.new()
    store = HostileStore(pool, list(hostile_keys(count)), RunSeal(run, key))
    room = asyncio.Semaphore(AT_ONCE)
    sink, inputs = Sink(room), MemoryInputs()
    jobs = FakeJobService(store, run=run_call, payload_key=key)
    jobs.submissions = Recent()
    gc.collect()
    gc.freeze()
    with Meters() as meters:
        begun = time.monotonic()
        settings = TaskManagerSettings(
            "queue", "definition", max_concurrent_jobs=AT_ONCE, refill_wait=0.05, payload_key=key
        )
        manager = AWSHPCTaskManager(settings, run, jobs=jobs, store=store, inputs=inputs, sink=sink)
        async with manager:
            for each in range(count + count // HONEST):
                await room.acquire()
                kind = "honest" if each % (HONEST + 1) == 0 else "forged"
                task_id = each.to_bytes(16, "big")
                call = Call(b"serializer", b"function", (kind.encode(),))
                manager.submit(inputs.request(task_id, call, context=kind))
                await asyncio.sleep(0)  # what tasks take to arrive is no time for which outcomes block the loop
            for _ in range(AT_ONCE):
                await room.acquire()
            await manager.stop(10)
        seconds = time.monotonic() - begun
    answered = sum(sink.answers.values())
    if answered != count + count // HONEST:
        sink.wrong.append(f"{answered} answers to {count + count // HONEST} tasks")
    if manager.snapshot().refused.get("unsigned") != store.unsigned:
        sink.wrong.append(f"{manager.snapshot().refused} refused, where {store.unsigned} were not signed")
    figures = meters.memory, meters.longest, meters.by, meters.gap
    return Figures(seconds, dict(sink.answers), tuple(sink.wrong), store.listed, *figures)


def main() -> int:
    """Run it once, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, nargs="?", default=10_000, help="hostile outcomes, and as many hostile keys")
    logging.basicConfig(level=logging.ERROR)
    figures = asyncio.run(attack(parser.parse_args().count))
    print(figures)
    return 0 if figures.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
