"""Everything a task manager knows, in one place.

The modules beside this one change it, one concern each; they call each other downwards only::

    machine ─► stopping ─► submission ─► loading, watching ─► collecting ─► replying
          └──► checkups ─► watching                               └──► ending ─► cleaning

Nothing outside this package changes any of it, and nothing in it waits, calls AWS or looks at a clock.
"""

from __future__ import annotations

import math
import random
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scaler_batch.aws.limits import DESCRIBE_JOBS
from scaler_batch.payload import RunLocation, RunSeal, Seal
from scaler_batch.payload.buffers import Buffer
from scaler_batch.tasks.commands import Command
from scaler_batch.tasks.models import Result
from scaler_batch.tasks.outages import Outage
from scaler_batch.tasks.scheduling import ArrivalStream, Backlog, Durations
from scaler_batch.tasks.settings import TaskManagerSettings
from scaler_batch.tasks.state.objects import ObjectTable
from scaler_batch.tasks.state.tables import Job, JobTable, Task, TaskTable
from scaler_batch.tasks.state.timers import Timer, Timers

if TYPE_CHECKING:
    from scaler_batch.tasks.state.attempt import Attempt
    from scaler_batch.tasks.state.checkups import Checkup
    from scaler_batch.tasks.state.collecting import Read, Trouble
    from scaler_batch.tasks.state.ending import Group
    from scaler_batch.tasks.state.loading import Late, Load, Storing
    from scaler_batch.tasks.state.stopping import Stop

SCHEDULE = Timer("schedule")
"""When to see what can be submitted."""

REMEMBERED = 1000
"""Ended jobs remembered for the manager's stop; those before them ended longer ago than a container's grace."""


class Cleaning:
    """Keys that nothing needs any more.

    Attributes:
        keys: Those that wait for their removal, in order.
        removing: Those that are being removed.
    """

    def __init__(self) -> None:
        self.keys: dict[str, None] = {}
        self.removing: frozenset[str] = frozenset()


class Ending:
    """Jobs that are to be ended.

    Attributes:
        waiting: Jobs that AWS Batch is yet to be told of, with the reason.
        groups: What AWS Batch is being told, by number.
        recent: The latest jobs that were to be ended, whether or not AWS Batch has said that they are over.
        answered: The latest that have answered all their tasks, and so are about to end by themselves.
    """

    def __init__(self) -> None:
        self.waiting: deque[tuple[str, str]] = deque()
        self.groups: dict[int, Group] = {}
        self.recent: deque[str] = deque(maxlen=REMEMBERED)
        self.answered: deque[str] = deque(maxlen=DESCRIBE_JOBS)


class Replying:
    """Results on their way out.

    Attributes:
        waiting: Those that are not being prepared yet.
        preparing: Tasks whose results are, by their lives.
        answers: How many tasks were answered, by the outcome's status or the failure's class.
    """

    def __init__(self) -> None:
        self.waiting: deque[tuple[Task, Result]] = deque()
        self.preparing: dict[int, Task] = {}
        self.answers: Counter[str] = Counter()


class Reading:
    """Objects of outcomes.

    Attributes:
        pending: Keys of those that were seen and are not read yet.
        waiting: Those of them that are not being read.
        reads: Those that are, by number.
        troubles: What is known of those that could not be fetched.
        to_open: Reads whose large object waits to be opened.
        opening: The read whose large object is being opened.
        unread: Keys of objects that were given up, and so must not be removed.
        outage: Whether outcomes can be fetched.
        refused: How many objects were refused, by the reason.
    """

    def __init__(self, patience: float) -> None:
        self.refused: Counter[str] = Counter()
        self.pending: set[str] = set()
        self.waiting: deque[tuple[Job, str]] = deque()
        self.reads: dict[int, Read] = {}
        self.troubles: dict[int, Trouble] = {}
        self.to_open: deque[tuple[int, Buffer]] = deque()
        self.opening: int | None = None
        self.unread: set[str] = set()
        self.outage = Outage(patience)


class Watching:
    """What is known of jobs that run, and when to look again.

    Attributes:
        last_event: When something was last seen to happen.
        calm: Seconds between two looks at AWS Batch at least, as long as nobody is found dead.
        listing: The look under way that a timer has started.
        keys: Keys of listings that are not looked at yet, with the listing they belong to.
        checkup: The look at AWS Batch under way.
        storage: Whether outcomes can be listed.
        batch: Whether AWS Batch says how jobs are.
        has_passed_over: Whether somebody was told of unexpected objects.
        strange: Jobs in states that nobody knows here.
        reasons: Why jobs wait, as far as somebody was told.
    """

    def __init__(self, calm: float, patience: float) -> None:
        self.last_event = 0.0
        self.calm = calm
        self.listing: int | None = None
        self.keys: deque[tuple[int, deque[str]]] = deque()
        self.checkup: Checkup | None = None
        self.storage = Outage(patience)
        self.batch = Outage(patience)
        self.has_passed_over = False
        self.strange: set[str] = set()
        self.reasons: set[str] = set()


class Submitting:
    """How waiting tasks become jobs.

    Attributes:
        attempt: The submission under way.
        loads: Inputs that are being fetched, by name.
        to_load: Names of those whose turn has not come.
        storing: Inputs that are being stored, by digest.
        late: Tasks that were set aside until their inputs have come, by the names that are missing.
        sequence: Number of the last submission.
        idle_since: Since when slots have been left free although tasks wait.
        gather_until: When the next submission may leave.
        left: Jobs of the last refill that are left to other clients than the one whose turn it was.
        leaving: Whether nothing is to be tried twice any more.
        in_doubt: Queues by name of the jobs of which AWS Batch may have taken one more than is known.
    """

    def __init__(self) -> None:
        self.attempt: Attempt | None = None
        self.loads: dict[bytes, Load] = {}
        self.to_load: deque[bytes] = deque()
        self.storing: dict[str, Storing] = {}
        self.late: dict[bytes, list[Late]] = {}
        self.sequence = 0
        self.idle_since: float | None = None
        self.gather_until = -math.inf
        self.left = 0
        self.leaving = False
        self.in_doubt: dict[str, str] = {}


@dataclass(eq=False, slots=True)
class Core:
    """All of it.

    Attributes:
        settings: How to behave.
        run: Where the run's objects lie.
        random: Makes jitter.
        seals: The keys of the run's jobs.
        numbers: The last number given to anything that commands and events name.
        commands: What is to be done next; taken by whoever has the event handled.
    """

    settings: TaskManagerSettings
    run: RunLocation
    random: random.Random
    tasks: TaskTable = field(default_factory=TaskTable)
    jobs: JobTable = field(default_factory=JobTable)
    objects: ObjectTable = field(default_factory=ObjectTable)
    durations: Durations = field(default_factory=Durations)
    stream: ArrivalStream = field(default_factory=ArrivalStream)
    timers: Timers = field(default_factory=Timers)
    cleaning: Cleaning = field(default_factory=Cleaning)
    replying: Replying = field(default_factory=Replying)
    submitting: Submitting = field(default_factory=Submitting)
    ending: Ending = field(default_factory=Ending)
    backlog: Backlog = field(init=False)
    seals: RunSeal = field(init=False)
    reading: Reading = field(init=False)
    watching: Watching = field(init=False)
    stop: Stop | None = None
    numbers: int = 0
    commands: list[Command] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Set up what depends on the settings."""
        patience = self.settings.outage_patience
        self.backlog = Backlog(self.settings.shape)
        self.seals = RunSeal(self.run, self.settings.payload_key or Seal.new())
        self.reading = Reading(patience)
        self.watching = Watching(self.settings.polling.batch_check_shortest, patience)

    def number(self) -> int:
        """A number that nothing else has."""
        self.numbers += 1
        return self.numbers

    def emit(self, command: Command) -> None:
        """Have something done."""
        self.commands.append(command)

    def reschedule(self, now: float) -> None:
        """See what can be submitted, once everything that happens at this moment is known."""
        self.timers.advance(SCHEDULE, now)
