"""The rules of opengris-scaler's own AWS Batch adapter, as far as they decide how long tasks take.

Read from its behaviour in release 2.9.0 and from the calls that the benchmarks count: tasks gather for a moment and
leave as one array, each with a child to itself; inputs are put one after the other; each array is asked for every three
seconds; and when all of it is over, results are fetched and removed one after the other.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from scaler_batch.aws import JobSpec
from scaler_batch.aws.limits import LARGEST_ARRAY
from scaler_batch.payload import Call, JobSeal, Outcome, Reference, RunSeal
from scaler_batch.tasks import commands, events
from scaler_batch.tasks.models import TaskRequest
from scaler_batch.tasks.settings import TaskManagerSettings
from scaler_batch.tasks.state.timers import Timer, Timers

_GATHER: Final = 1.0
"""Seconds for which tasks gather. One task takes 2.5 s on an AWS that takes no time, and half of the polling is 1.5."""

_POLL: Final = 3.0
"""Seconds between two looks at an array."""


class Array:
    """One array of upstream's.

    Attributes:
        requests: Its tasks, in order of its children.
        job_id: AWS Batch's id; empty before it is submitted.
        left: Tasks whose inputs are not put, and then those whose results are not fetched.
    """

    def __init__(self, requests: list[TaskRequest]) -> None:
        self.requests = requests
        self.job_id = ""
        self.left = deque(range(len(requests)))


class UpstreamRules:
    """Decides as upstream's adapter does; a policy of :class:`~.simulator.Simulator`.

    Args:
        settings: How many jobs may be in flight, and what they are told.
        seals: Tell where jobs put what comes of them.
    """

    def __init__(self, settings: TaskManagerSettings, seals: RunSeal) -> None:
        self._settings = settings
        self._seals = seals
        self._waiting: deque[TaskRequest] = deque()
        self._arrays: dict[int, Array] = {}
        self._results: dict[int, tuple[int, int]] = {}
        self._lives: dict[int, TaskRequest] = {}
        self._timers = Timers()
        self._numbers = 0
        self._open = 0

    @property
    def wake_at(self) -> float:
        """When it looks next."""
        return self._timers.next

    def handle(self, event: events.Event, now: float) -> list[commands.Command]:
        """Do what upstream does."""
        match event:
            case events.TaskArrived(request):
                self._waiting.append(request)
                self._timers.advance(Timer("gather"), now + _GATHER)
            case events.Tick():
                return [command for timer in self._timers.take_due(now) for command in self._due(timer, now)]
            case events.ObjectStored(digest):
                return self._put_next(int(digest))
            case events.PackWritten(sequence, parameter):
                job = JobSpec("job", self._settings.shape, {"pack": parameter}, len(self._arrays[sequence].requests))
                return [commands.SubmitJob(sequence, 0, job)]
            case events.Submitted(sequence, _, job_id):
                self._arrays[sequence].job_id = job_id
                self._timers.set(Timer("poll", sequence), now + _POLL)
            case events.JobsReported(sequence, reports):
                return self._polled(sequence, reports[self._arrays[sequence].job_id].status.is_final, now)
            case events.OutcomeRead(read, outcomes):
                return self._read(read, outcomes[0])
            case events.ReplyPrepared(life, prepared, _):
                return [commands.Announce(self._lives.pop(life), prepared)]
            case _:
                pass
        return []

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _due(self, timer: Timer, now: float) -> list[commands.Command]:
        if timer.name == "poll":
            return [commands.DescribeJobs(timer.number, [self._arrays[timer.number].job_id])]
        size = min(len(self._waiting), self._settings.max_concurrent_jobs - self._open, LARGEST_ARRAY)
        if size <= 0:
            return []
        sequence = self._number()
        self._arrays[sequence] = Array([self._waiting.popleft() for _ in range(size)])
        self._open += size
        if self._waiting:
            self._timers.set(Timer("gather"), now + _GATHER)
        return self._put_next(sequence)

    def _put_next(self, sequence: int) -> list[commands.Command]:
        array = self._arrays[sequence]
        if array.left:
            array.left.popleft()
            return [commands.StoreObject(str(sequence), 0, Reference("", 0), b"")]
        calls = [[Call(each.serializer, each.function, each.arguments)] for each in array.requests]
        return [commands.WritePack(sequence, calls, None, 0, 1 << 30)]

    def _polled(self, sequence: int, is_over: bool, now: float) -> list[commands.Command]:
        if not is_over:
            self._timers.set(Timer("poll", sequence), now + _POLL)
            return []
        array = self._arrays[sequence]
        self._open -= len(array.requests)
        self._timers.advance(Timer("gather"), now)
        array.left = deque(range(len(array.requests)))
        return self._fetch_next(sequence)

    def _fetch_next(self, sequence: int) -> list[commands.Command]:
        array = self._arrays[sequence]
        if not array.left:
            del self._arrays[sequence]
            return []
        place = array.left.popleft()
        read = self._number()
        self._results[read] = (sequence, place)
        seal = self._seal(sequence, place)
        return [commands.FetchOutcome(read, seal.outcome_key(), 1, seal)]

    def _seal(self, sequence: int, place: int) -> JobSeal:
        is_array = len(self._arrays[sequence].requests) > 1
        return self._seals.submission(sequence).job(place if is_array else None)

    def _read(self, read: int, outcome: Outcome) -> list[commands.Command]:
        sequence, place = self._results.pop(read)
        array = self._arrays[sequence]
        life = self._number()
        request = self._lives[life] = array.requests[place]
        remove = commands.RemoveObjects((self._seal(sequence, place).outcome_key(),))
        return [remove, commands.PrepareReply(life, request, outcome), *self._fetch_next(sequence)]
