"""Days on which many things go wrong at once, drawn from a seed: does every task get its answer?

``python tests_integration/soak.py --rounds 20 --seed 1`` lives through the days of the seeds 1 to 20.

A day is a worker with options of its own on a local AWS with faults of its own, under tasks that return, raise, crash,
last, carry much, or are cancelled. On some days links break, or the worker is killed and comes again. A day is good
when every task got an answer that it may have got, the worker ended in order, and neither jobs nor objects are left.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
from scaler import Client

from inventory import keys
from scaler_batch.local import control
from scaler_batch.local.faults import (
    Drop,
    Duplicate,
    ExpiredToken,
    Fault,
    Kill,
    LoseResponse,
    Reclaim,
    ServerError,
    Slow,
    Stale,
    Throttle,
    Vanish,
)
from scaler_batch.local.faults.reading import Plan
from severing import Cut, Proxy
from stack import Options, PartFailedError, Stack
from watching import unfinished

cloudpickle.register_pickle_by_value(sys.modules[__name__])

PATIENCE = 180.0
"""Seconds for all answers of a day."""

END = 60.0
"""Seconds after which no job is left."""


# What tasks do


def returns(number: int) -> int:
    return number


def lasts(number: int, seconds: float) -> int:
    time.sleep(seconds)
    return number


def raises(number: int) -> int:
    raise ValueError(number)


def crashes(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def carries(number: int, data: bytes, size: int) -> tuple[int, int, bytes]:
    return number, len(data), bytes(size)


@dataclass(frozen=True)
class Asked:
    """A task, and what it may be answered: a value, or an exception of a kind."""

    kind: str
    future: Any
    expected: Any


def ask(client: Client, kind: str, number: int, draw: random.Random) -> Asked:
    """Submit a task."""
    match kind:
        case "lasts":
            return Asked(kind, client.submit(lasts, number, draw.uniform(0, 0.5)), number)
        case "raises":
            return Asked(kind, client.submit(raises, number), ValueError)
        case "crashes":
            return Asked(kind, client.submit(crashes, number), Exception)
        case "carries":
            sent, back = draw.choice([10, 3_000, 300_000]), draw.choice([10, 3_000, 2_000_000])
            future = client.submit(carries, number, draw.randbytes(sent), back)
            return Asked(kind, future, (number, sent, bytes(back)))
        case "cancelled":
            future = client.submit(lasts, number, 2.0)
            future.cancel()
            return Asked(kind, future, CancelledError)
        case _:
            return Asked(kind, client.submit(returns, number), number)


KINDS = {"returns": 60, "lasts": 20, "raises": 8, "crashes": 2, "carries": 8, "cancelled": 2}
"""How many of a hundred tasks are of a kind."""


# What a day may bring

FAULTS: tuple[Callable[[random.Random], Fault], ...] = (
    lambda draw: Throttle("batch.*", share=draw.uniform(0.05, 0.5), span=draw.uniform(2, 8)),
    lambda draw: Throttle("s3.*", share=draw.uniform(0.05, 0.3), span=draw.uniform(2, 8)),
    lambda draw: ServerError("*", share=draw.uniform(0.02, 0.2), span=draw.uniform(2, 8)),
    lambda draw: ServerError("batch.SubmitJob", share=draw.uniform(0.1, 0.5), done=True, count=5),
    lambda draw: ServerError("s3.PutObject", share=draw.uniform(0.1, 0.5), done=True, count=20),
    lambda draw: Slow("*", share=draw.uniform(0.02, 0.2), seconds=draw.uniform(0.1, 2), span=8),
    lambda draw: Drop("*", share=draw.uniform(0.02, 0.2), span=draw.uniform(2, 8)),
    lambda draw: LoseResponse("batch.SubmitJob", share=draw.uniform(0.1, 0.6), count=5),
    lambda draw: LoseResponse("s3.*", share=draw.uniform(0.02, 0.2), count=30),
    lambda draw: LoseResponse("batch.Terminate*", count=3),
    lambda draw: ExpiredToken("*", caller="user/*", count=draw.randint(1, 3), after=draw.uniform(0, 2)),
    lambda draw: Stale(share=draw.uniform(0.2, 1), seconds=draw.uniform(0.5, 4), span=8),
    lambda draw: Duplicate(share=draw.uniform(0.2, 1)),
    lambda draw: Reclaim(share=draw.uniform(0.2, 1), after=draw.uniform(0.2, 4), notice=draw.choice([0.0, 0.5])),
    lambda draw: Kill(share=draw.uniform(0.2, 1), after=draw.uniform(0.2, 4)),
    lambda draw: Vanish(count=draw.randint(1, 2), after=draw.uniform(0.2, 3)),
)


@dataclass(frozen=True)
class Break:
    """A link of the worker's that breaks: to the scheduler (0) or to the object storage (1)."""

    link: int
    how: Cut


@dataclass(frozen=True)
class Death:
    """The worker is killed, and comes again."""

    away: float


@dataclass(frozen=True)
class Day:
    """All that is drawn for a day.

    Attributes:
        worker: Options of the worker.
        backend: Scaler's transport.
        faults: What AWS does.
        blows: What strikes worker and links, each after so many seconds.
        tasks: How many tasks there are.
    """

    worker: tuple[str, ...]
    backend: str
    faults: tuple[Fault, ...]
    blows: tuple[tuple[float, Break | Death], ...]
    tasks: int

    @property
    def deadly(self) -> bool:
        """Whether jobs die in a way that is answered to their tasks."""
        return any(isinstance(fault, Kill | Vanish) for fault in self.faults)

    @property
    def littering(self) -> bool:
        """Whether objects may be left for the bucket's lifecycle: by a worker that was killed, or by a job that puts
        an outcome again, since it never heard that it was put, after the worker has read and removed it.
        """
        again = any(isinstance(fault, LoseResponse) or getattr(fault, "done", False) for fault in self.faults)
        return again or any(isinstance(each, Death) for _, each in self.blows)


def blow(draw: random.Random) -> Break | Death:
    """What strikes worker or links."""
    if draw.random() < 0.5:
        return Death(draw.choice([0, 1]))
    return Break(draw.randint(0, 1), draw.choice([*Cut]))


def drawn(draw: random.Random) -> Day:
    """A day."""
    jobs, concurrent = draw.choice(["1", "1", "auto", "7"]), draw.choice([3, 8, 100])
    return Day(
        worker=(
            *("--tasks-per-job", jobs, "--max-concurrent-jobs", str(concurrent), "--heartbeat-interval", "0.5"),
            *("--on-shutdown", draw.choice(["drain", "terminate"]), "--log-level", "DEBUG"),
        ),
        backend=draw.choice(["zmq", "ymq"]),
        faults=tuple(fault(draw) for fault in draw.sample(FAULTS, draw.randint(0, 4))),
        blows=tuple((draw.uniform(0.3, 4), blow(draw)) for _ in range(draw.choice([0, 0, 1, 2, 3]))),
        tasks=draw.choice([20, 100, 300]),
    )


# Living through it


def live(cloud: Stack, day: Day, draw: random.Random) -> list[str]:
    """Live through a day, and say what was wrong with it."""
    with Stack(Options(scheduler=("-wt", "5"))) as stack:
        stack.environment["SCALER_NETWORK_BACKEND"] = os.environ["SCALER_NETWORK_BACKEND"] = day.backend
        stack.join(cloud)
        with Proxy(stack.scheduler_port) as scheduler, Proxy(stack.storage_port) as storage:
            addresses = ("--scheduler-address", scheduler.address, "--object-storage-address", storage.address)
            stack.options = Options(worker=(*day.worker, *addresses))
            stack.start_adapter()
            control.inject(stack.environment, Plan(day.faults, seed=draw.randrange(2**30)))
            try:
                troubles = worked(stack, day, draw, (scheduler, storage))
            finally:
                control.remove_faults(stack.environment)
            troubles += ended(stack, day)
        if troubles:
            kept = shutil.copytree(stack.directory, Path("build", "soak", stack.directory.name))
            troubles.append(f"what the parts wrote is in {kept}")
    return troubles


def worked(stack: Stack, day: Day, draw: random.Random, links: tuple[Proxy, Proxy]) -> list[str]:
    """Ask, let the blows fall, and look at the answers."""
    client = Client(address=stack.scheduler_address)
    try:
        kinds = draw.choices([*KINDS], [*KINDS.values()], k=day.tasks)
        asked = [ask(client, kind, number, draw) for number, kind in enumerate(kinds)]
        for number, (after, what) in enumerate(day.blows):
            time.sleep(after)
            strike(stack, what, links, f"adapter-{number}")
        until = time.monotonic() + PATIENCE
        found = Counter(trouble for one in asked for trouble in wrong(one, day, until))
        return [f"{times} x {trouble}" for trouble, times in found.items()]
    finally:
        with suppress(Exception):
            client.disconnect()


def strike(stack: Stack, what: Break | Death, links: tuple[Proxy, Proxy], name: str) -> None:
    """Kill the worker and start another, or cut a link."""
    match what:
        case Death(away):
            stack.stop(stack.parts[-1], signal.SIGKILL)
            time.sleep(away)
            until_it_runs(stack, name)
        case Break(link, how):
            links[link].cut(how)


def until_it_runs(stack: Stack, name: str) -> None:
    """Start the worker as whoever looks after services does: again, where AWS did not let it."""
    deadline = time.monotonic() + END
    while True:
        try:
            stack.start_adapter(name)
        except PartFailedError as failed:
            stack.stop(stack.part(name))
            if "AWS does not answer" not in str(failed) or time.monotonic() > deadline:
                raise
        else:
            return


def wrong(asked: Asked, day: Day, until: float) -> Iterator[str]:
    """What is wrong with an answer."""
    try:
        answer = asked.future.result(timeout=max(0.1, until - time.monotonic()))
    except TimeoutError:
        yield f"{asked.kind}: no answer"
    except (Exception, CancelledError) as error:
        awaited = isinstance(asked.expected, type) and isinstance(error, asked.expected)
        if not awaited and (not day.deadly or isinstance(error, CancelledError)):
            yield f"{asked.kind}: {type(error).__name__}: {str(error)[:300]}"
    else:
        if asked.kind != "cancelled" and answer != asked.expected:
            yield f"{asked.kind}: answered {str(answer)[:100]}"


def ended(stack: Stack, day: Day) -> Iterator[str]:
    """Stop the worker, and look at what is left."""
    if code := stack.stop(stack.parts[-1]):
        yield f"the worker ended with {code}"
    deadline = time.monotonic() + END
    while (left := unfinished(stack)) and time.monotonic() < deadline:
        time.sleep(0.2)
    if left:
        yield f"{len(left)} jobs are left, such as {left[0]}"
    s3, bucket = stack.aws("s3"), stack.provisioned["SCALER_S3_BUCKET"]
    objects = keys(s3, bucket)
    if objects and not day.littering:
        yield f"{len(objects)} objects are left, such as {objects[0]}"
    for key in objects:
        s3.delete_object(Bucket=bucket, Key=key)


def main() -> int:
    """Live through some days, and say which were not good."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20, metavar="N", help="how many days (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the first day (default: %(default)s)")
    options = parser.parse_args()
    bad = 0
    with Stack(Options(local=("--stop-grace", "3"))) as cloud:
        cloud.start_aws()
        cloud.provision()
        for seed in range(options.seed, options.seed + options.rounds):
            draw, began = random.Random(seed), time.monotonic()
            day = drawn(draw)
            troubles = live(cloud, day, draw)
            bad += bool(troubles)
            said = ["was good"] if not troubles else ["WAS BAD", f"{day}", *troubles]
            print(f"day {seed} of {time.monotonic() - began:.1f} s", "\n    ".join(said), flush=True)
    print(f"{options.rounds - bad} of {options.rounds} days were good")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
