"""What starts now. Decisions only: time is an argument, and nothing here waits or calls.

A lone task leaves at once. What gathers while one submission is under way leaves together, as databases commit in
groups, so a burst leaves as a few large arrays. Two short waits save further calls: slots are refilled in portions
(:func:`may_start`), and tasks that keep coming are gathered (:func:`linger`).

How many tasks share a job is decided task by task (:func:`next_bundles`). They are all of one client: what shares a job
can read and change its neighbours. So are those of a submission, whose jobs share parameters, and with them a key.
Where their number is ours to decide, a job gets no more than its share of what waits, so that no slot stays idle while
tasks wait behind each other in another.
"""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

from scaler_batch.aws import JobShape
from scaler_batch.aws.limits import LARGEST_ARRAY

if TYPE_CHECKING:
    from scaler_batch.tasks.state.tables import Task

LARGEST_BUNDLE: Final = 1_000
"""Tasks of one job at most, where their number is chosen here."""

_LONGEST: Final = 180.0
"""Seconds of work for one job at most. Source: AWS Batch, best practices: three to five minutes a job."""

_TIMEOUT_FRACTION: Final = 0.25
"""Of a job's timeout, what its tasks are expected to take at most."""

_WORTHWHILE: Final = 1.0
"""Seconds of work that a job may be given beyond its share, while that leaves no slot idle."""

_MOST_UNMEASURED: Final = 32
"""Tasks of unknown duration that share a job at most."""

_UNMEASURED_SECONDS: Final = 15
"""Seconds of the job's timeout that there are for each of them."""

_LEAST_SECONDS: Final = 0.005
"""What a task takes at least: its process."""

_PORTION: Final = 4
"""Refill once at least 1/_PORTION of the slots is free."""

_LINGER_FRACTION: Final = 0.5
"""Of the time for which tasks have been coming, spent gathering before the next submission."""

_LINGER_PER_JOB: Final = 0.01
"""Seconds of gathering at most, for each job in flight."""

_LONGEST_LINGER: Final = 1.0
"""Seconds of gathering at most."""

_PAUSE: Final = 0.25
"""Seconds without a task after which the next one begins a new stream."""

_WEIGHT: Final = 0.1
"""Of the latest task, in a running mean."""

_TURNS: Final = 10
"""Clients that fill all slots, each with one submission."""

_FUNCTIONS: Final = 1_000
"""Functions whose durations are remembered: those that ended last."""


Place = tuple[int, int, "Task"]
"""Where a task stands: higher priority first, then first come, first served."""


class Queue:
    """Tasks of one shape that wait, in the order in which they are to go.

    Each client's wait in a line of their own, since only they may share a job. A cancelled task is not searched for but
    skipped when its turn comes.
    """

    def __init__(self) -> None:
        self._lines: dict[bytes, list[Place]] = {}
        # Where the first of each line stands, and some that were first: those are dropped when their turn comes.
        self._firsts: list[tuple[int, int, bytes]] = []
        self._size = 0

    def put(self, task: Task, arrival: int) -> None:
        """Let a task wait for its turn."""
        line = self._lines.setdefault(task.request.source, [])
        heapq.heappush(line, (-task.request.priority, arrival, task))
        self._size += 1
        if line[0][2] is task:
            self._note_first(line)

    def peek(self) -> Task | None:
        """The next task; ``None`` when none waits."""
        while self._firsts:
            priority, arrival, source = self._firsts[0]
            line = self._waiting(source)
            if line and line[0][:2] == (priority, arrival):
                return line[0][2]
            heapq.heappop(self._firsts)
        return None

    def peek_beside(self, task: Task) -> Task | None:
        """The next task of the same client; ``None`` when none waits, or another's was given priority over it."""
        first, line = self.peek(), self._waiting(task.request.source)
        if first is None or not line or line[0][2].request.priority < first.request.priority:
            return None
        return line[0][2]

    def take(self, task: Task) -> Place:
        """Remove a task that was seen by peeking, and return where it stood."""
        line = self._lines[task.request.source]
        place = heapq.heappop(line)
        self._size -= 1
        self._note_first(line)
        return place

    def jobs(self, size: int, enough: int) -> int:
        """How many jobs of so many tasks it makes; counted up to ``enough``."""
        found = 0
        for line in self._lines.values():
            found += -(-len(line) // size)
            if found >= enough:
                break
        return found

    @property
    def rank(self) -> tuple[int, int]:
        """Where the next task stands among all."""
        return self._firsts[0][:2]

    def __len__(self) -> int:
        return self._size

    def _waiting(self, source: bytes) -> list[Place]:
        """A client's line, without those at its head that were cancelled; empty where none waits."""
        line = self._lines.get(source, [])
        if line and line[0][2].ended:
            while line and line[0][2].ended:
                heapq.heappop(line)
                self._size -= 1
            self._note_first(line)
        if not line:
            self._lines.pop(source, None)
        return line

    def _note_first(self, line: list[Place]) -> None:
        if line:
            priority, arrival, task = line[0]
            heapq.heappush(self._firsts, (priority, arrival, task.request.source))


class Backlog:
    """Tasks that wait: higher priority first, then first come, first served.

    Only tasks of one shape can share an array, so there is a queue for each shape, and the shape whose first task is
    first of all goes next.

    Args:
        shape: That of tasks that name none.
    """

    def __init__(self, shape: JobShape) -> None:
        self._default = Queue()
        self._queues: dict[JobShape, Queue] = {shape: self._default}
        self._arrivals = count()

    def put(self, task: Task) -> None:
        """Let a task wait for its turn."""
        shape = task.request.shape
        queue = self._default if shape is None else self._queues.setdefault(shape, Queue())
        queue.put(task, next(self._arrivals))

    def next_shape(self) -> JobShape | None:
        """The shape of the task that goes next; ``None`` when none waits."""
        waiting = [(queue.rank, shape) for shape, queue in self._queues.items() if queue.peek() is not None]
        return min(waiting, key=lambda each: each[0])[1] if waiting else None

    def queue(self, shape: JobShape) -> Queue:
        """The tasks of a shape."""
        return self._queues.get(shape) or Queue()


class DurationEstimate:
    """Running mean and spread of what tasks of one function took.

    Attributes:
        seconds: The mean.
    """

    __slots__ = ("_count", "_variance", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._variance = 0.0
        self._count = 1

    def learn(self, seconds: float) -> None:
        """Take note of another task that has run."""
        self._count += 1
        weight = max(_WEIGHT, 1 / self._count)
        delta = seconds - self.seconds
        self.seconds += weight * delta
        self._variance = (1 - weight) * (self._variance + weight * delta * delta)

    @property
    def cautious(self) -> float:
        """What few tasks exceed, in seconds: the mean, two standard deviations, and more while little is known."""
        return max(_LEAST_SECONDS, self.seconds * (1 + 1 / self._count) + 2 * math.sqrt(self._variance))


class Durations:
    """What tasks take, by the object id of their function."""

    def __init__(self) -> None:
        self._estimates: OrderedDict[bytes, DurationEstimate] = OrderedDict()

    def learn(self, function: bytes, seconds: float) -> None:
        """Take note of a task that has run."""
        if (estimate := self._estimates.get(function)) is None:
            self._estimates[function] = DurationEstimate(seconds)
            if len(self._estimates) > _FUNCTIONS:
                self._estimates.popitem(last=False)
            return
        estimate.learn(seconds)
        self._estimates.move_to_end(function)

    def cautious(self, function: bytes) -> float | None:
        """Seconds that few tasks of a function exceed; ``None`` before the first one has run."""
        estimate = self._estimates.get(function)
        return None if estimate is None else estimate.cautious


class BundleLimits(NamedTuple):
    """How many tasks may share a job.

    Attributes:
        tasks: At most.
        share: Of those, what a job gets even if it is little work; beyond, up to ``worthwhile`` seconds.
        seconds: Work of a job at most, as far as it is known.
        worthwhile: Seconds of work up to which a job may get more than its share.
        unmeasured: Tasks of unknown duration at most.
    """

    tasks: int
    share: int
    seconds: float = math.inf
    worthwhile: float = math.inf
    unmeasured: float = math.inf

    def cost(self, seconds: float | None) -> float:
        """What a task takes of the seconds of its job; one of unknown duration takes a fixed part of them."""
        return self.seconds / self.unmeasured if seconds is None else seconds


def fixed_bundles(tasks_per_job: int) -> BundleLimits:
    """Limits where somebody has said how many tasks share a job."""
    return BundleLimits(tasks_per_job, tasks_per_job)


def auto_bundles(waiting: int, free: int, slots: int, timeout: int) -> BundleLimits:
    """Limits where the number is ours to choose.

    A job gets its share, as if all slots were free: those that are not will be, and take theirs. It gets more only
    where that is little work, and never so much that a free slot stays idle. What is long does not share: a job's death
    then costs little, and its timeout is far.

    Args:
        waiting: Tasks that wait.
        free: Jobs that may start.
        slots: Jobs that may be in flight.
        timeout: Seconds that a job may take.
    """
    most = min(math.ceil(waiting / max(1, free)), LARGEST_BUNDLE)
    share = math.ceil(waiting / max(1, slots))
    unmeasured = max(1, min(_MOST_UNMEASURED, timeout // _UNMEASURED_SECONDS))
    seconds = min(_LONGEST, _TIMEOUT_FRACTION * timeout)
    return BundleLimits(max(1, most), max(1, share), seconds, _WORTHWHILE, unmeasured)


def next_bundles(
    queue: Queue, jobs: int, limits: BundleLimits, durations: Durations, turn: int = 1
) -> list[list[Task]]:
    """Take the tasks that are to be submitted now, highest priority first; one list a job, all of one client's tasks.

    Slots are shared out among all that wait, first come, first served. The jobs that this gives to other clients are
    left to the submissions that follow at once.

    Args:
        queue: The tasks that wait.
        jobs: How many jobs may start.
        limits: How many tasks share one; one that has to be alone shares none.
        durations: What tasks take.
        turn: How many jobs a client may have before it is another's turn, if it has so many.
    """
    most = min(jobs, LARGEST_ARRAY)
    bundles: list[list[Task]] = []
    others: list[Place] = []
    client: bytes | None = None
    left = most
    while left > 0 and (first := queue.peek()) is not None:
        left -= 1
        places = _bundle(queue, first, limits, durations)
        if client is None or client == first.request.source:
            client = first.request.source
            bundles.append([task for _, _, task in places])
        else:
            others += places
    for _, arrival, task in others:
        queue.put(task, arrival)
    while bundles and len(bundles) < min(turn, most) and (own := queue.peek_beside(bundles[0][0])) is not None:
        bundles.append([task for _, _, task in _bundle(queue, own, limits, durations)])
    return bundles


def _bundle(queue: Queue, first: Task, limits: BundleLimits, durations: Durations) -> list[Place]:
    bundle, places = [first], [queue.take(first)]
    work = limits.cost(durations.cautious(first.request.function))
    while (task := queue.peek_beside(first)) is not None:
        cost = limits.cost(durations.cautious(task.request.function))
        if not _takes(bundle, work, task, cost, limits):
            break
        bundle.append(task)
        places.append(queue.take(task))
        work += cost
    return places


def _takes(bundle: Sequence[Task], work: float, task: Task, cost: float, limits: BundleLimits) -> bool:
    if task.alone or bundle[0].alone or len(bundle) >= limits.tasks or work + cost > limits.seconds:
        return False
    return len(bundle) < limits.share or work + cost <= limits.worthwhile


def turn_of(slots: int) -> int:
    """How many jobs a client may have before it is another's turn: each turn takes a submission of its own."""
    return max(1, slots // _TURNS)


class SlotState(NamedTuple):
    """What there is to start jobs with.

    Attributes:
        slots: Jobs that may be in flight.
        free: Slots that are free.
        wanted: Jobs that would start if all slots were.
        urgent: Whether somebody waits who was given priority.
        waited: Seconds for which free slots have been left free.
        patience: Seconds for which they may be.
    """

    slots: int
    free: int
    wanted: int
    urgent: bool = False
    waited: float = 0.0
    patience: float = 2.0


def may_start(slots: SlotState) -> int:
    """Return how many jobs may start; 0 says to wait for more free slots.

    Slots are refilled in portions, since a job that ends by itself would otherwise be replaced by one that starts by
    itself, one SubmitJob a task. Nothing waits that could all go, nothing that is urgent, and nothing for long.
    """
    if slots.free <= 0 or slots.wanted <= 0:
        return 0
    fits = slots.wanted <= slots.free
    large = slots.free * _PORTION >= slots.slots
    return slots.free if fits or large or slots.urgent or slots.waited >= slots.patience else 0


def linger(streaming: float, in_flight: int) -> float:
    """Return for how long to gather between two submissions.

    The longer tasks keep coming, the longer: a stream of any length leaves in a few submissions. The fewer jobs are in
    flight, the shorter: tasks that come one at a time because whoever sends them waits for each are not held up.

    Args:
        streaming: Seconds for which tasks have been coming without a pause.
        in_flight: Jobs that run.
    """
    return min(_LINGER_FRACTION * streaming, _LINGER_PER_JOB * in_flight, _LONGEST_LINGER)


class ArrivalStream:
    """Whether tasks keep coming, and since when."""

    def __init__(self) -> None:
        self._began = self._latest = -math.inf

    def note(self, now: float) -> None:
        """Take note of a task that has come."""
        if now - self._latest > _PAUSE:
            self._began = now
        self._latest = now

    def seconds(self, now: float) -> float:
        """For how long tasks have been coming; 0 if there was a pause."""
        return now - self._began if now - self._latest <= _PAUSE else 0.0
