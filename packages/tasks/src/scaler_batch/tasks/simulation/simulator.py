"""The state of the task manager, driven by a model of AWS on virtual time.

The state is the real one; only what carries out its commands is a model. So a simulation shows what the task manager
would do, in seconds instead of days: when the last task is answered, how long each waits, which calls that takes, and
what it costs. ::

    report = simulate(mixed(100_000), settings, Cloud(slots=1000))
"""

from __future__ import annotations

import gc
import heapq
import random
from array import array
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from typing import Any, Final, Protocol

from scaler_batch.aws import JobReport, JobStatus
from scaler_batch.payload import JobSeal, Outcome, RunLocation, RunSeal, Seal, Status
from scaler_batch.payload.outcomes import Usage
from scaler_batch.payload.placement import INLINE_LIMIT
from scaler_batch.tasks import commands, events
from scaler_batch.tasks.failures import job_failed
from scaler_batch.tasks.models import TaskRequest
from scaler_batch.tasks.settings import TaskManagerSettings
from scaler_batch.tasks.simulation.figures import Cloud
from scaler_batch.tasks.simulation.fleet import Fleet
from scaler_batch.tasks.simulation.report import Report, reported
from scaler_batch.tasks.simulation.upstream import UpstreamRules
from scaler_batch.tasks.simulation.workloads import Workload
from scaler_batch.tasks.state import State

RUN: Final = RunLocation("simulated", "", "run", "us-east-1")

KEY: Final = Seal(bytes(32))
"""Nobody forges anything here."""

_CALL_BYTES: Final = 100
"""Bytes of a call in a pack, about."""

_PUBLISHED: Final = 1.0
"""Seconds between two objects of outcomes of one job."""


class Policy(Protocol):
    """Who decides: the task manager's state, or somebody else's rules."""

    def handle(self, event: events.Event, now: float) -> list[commands.Command]:
        """Return what is to be done about an event."""

    @property
    def wake_at(self) -> float:
        """When to handle a tick, at the latest."""


class SimulatedJob:
    """One container.

    Attributes:
        made: What it was submitted with.
        child: Its place in the array; ``None`` for a single job.
        seal: What it calls its outcomes by.
        status: Its state.
        attempt: How often it was started.
    """

    __slots__ = ("attempt", "child", "made", "seal", "status")

    def __init__(self, made: Made, child: int | None) -> None:
        self.made = made
        self.child = child
        self.seal: JobSeal = made.seal.job(child)
        self.status = JobStatus.RUNNABLE
        self.attempt = 0

    def report(self) -> JobReport:
        """What AWS Batch says of it."""
        job_id = self.made.job_id if self.child is None else f"{self.made.job_id}:{self.child}"
        return JobReport(job_id, self.status, index=self.child)


class Made:
    """What one SubmitJob has made.

    Attributes:
        sequence: The submission's number.
        bundles: The tasks of each job, by number.
        jobs: Its jobs, made when their turn comes; ``None`` for one that waits or is over.
        over: How many are over.
        failed: Those that have failed.
        ended: Whether somebody has ended those that wait.
    """

    __slots__ = ("bundles", "ended", "failed", "over", "running", "seal", "sequence")

    def __init__(self, sequence: int, bundles: list[list[int]]) -> None:
        self.sequence = sequence
        self.seal = RunSeal(RUN, KEY).submission(sequence)
        self.bundles = bundles
        self.running: dict[int | None, SimulatedJob] = {}
        self.over = 0
        self.failed: list[SimulatedJob] = []
        self.ended: set[int | None] = set()

    @property
    def job_id(self) -> str:
        """What AWS Batch calls it."""
        return f"job-{self.sequence}"

    def report(self) -> JobReport:
        """What AWS Batch says of it."""
        over = self.over == len(self.bundles)
        status = JobStatus.PENDING if not over else JobStatus.FAILED if self.failed else JobStatus.SUCCEEDED
        return JobReport(self.job_id, status, failed_children=len(self.failed) if len(self.bundles) > 1 else 0)


Due = tuple[float, int, Callable[[Any], None], Any]
"""What happens when, earlier things first and those of one moment in order, and what it is about."""


class Simulator:
    """AWS, the asker, and whoever decides, on one virtual clock.

    Args:
        workload: What is asked for.
        policy: Who decides.
        cloud: What AWS is like.
        seed: Of everything random.
    """

    def __init__(self, workload: Workload, policy: Policy, cloud: Cloud, seed: int = 1) -> None:
        self._work = workload
        self._policy = policy
        self._cloud = cloud
        self._random = random.Random(seed)
        self._fleet = Fleet(cloud, self._random)
        self._heap: list[Due] = []
        self._order = count()
        self._ready: deque[events.Event] = deque()
        self._now = 0.0
        self._next_submit = 0.0
        self._packs: dict[int, list[list[int]]] = {}
        self._made: dict[str, Made] = {}
        self._queue: deque[tuple[Made, int]] = deque()
        self._objects: dict[str, list[Outcome]] = {}
        self._left = len(workload.seconds)
        self._calls: Counter[str] = Counter()
        self._asked = array("d", [0.0]) * self._left
        self._latencies = array("d", [0.0]) * self._left
        self._worked = 0.0
        self._commands: Mapping[type[Any], Callable[[Any], None]] = {
            commands.LoadInput: self._load,
            commands.StoreObject: self._store,
            commands.WritePack: self._pack,
            commands.SubmitJob: self._submit,
            commands.ListOutcomes: self._list,
            commands.FetchOutcome: self._fetch,
            commands.DescribeJobs: self._describe,
            commands.ListFailedChildren: self._children,
            commands.DiagnoseJobs: self._diagnose,
            commands.PrepareReply: self._prepare,
            commands.TerminateJobs: self._terminate,
            commands.RemoveObjects: self._remove,
            commands.Announce: self._announce,
            commands.Discard: lambda command: None,
        }

    def run(self) -> Report:
        """Let everything happen until the last task is answered."""
        for number in range(0, len(self._work.seconds), self._work.chains):
            self._at(self._work.arrivals[number], self._arrive, number)
        # What is over is in no circle, so there is nothing to be collected.
        gc.disable()
        try:
            while self._left:
                while self._ready:
                    self._tell(self._ready.popleft())
                if self._left:
                    self._step()
        finally:
            gc.enable()
        self._fleet.account(self._now)
        return reported(self._work, self._cloud, self._now, self._latencies, self._calls, self._fleet, self._worked)

    def _step(self) -> None:
        """Let the next thing happen that is due, or that the policy waits for."""
        wake_at = self._policy.wake_at
        if self._heap and self._heap[0][0] <= max(wake_at, self._now):
            moment, _, act, about = heapq.heappop(self._heap)
            self._now = max(self._now, moment)
            act(about)
        else:
            if wake_at == float("inf"):
                raise RuntimeError(f"{self._left} task(s) wait for nothing")
            self._now = max(self._now, wake_at)
            self._tell(events.Tick())

    def _tell(self, event: events.Event) -> None:
        for command in self._policy.handle(event, self._now):
            self._commands[type(command)](command)

    def _at(self, moment: float, act: Callable[[Any], None], about: Any) -> None:
        heapq.heappush(self._heap, (moment, next(self._order), act, about))

    def _later(self, seconds: float, event: events.Event) -> None:
        heapq.heappush(self._heap, (self._now + seconds, next(self._order), self._ready.append, event))

    # The asker.

    def _arrive(self, number: int) -> None:
        self._asked[number] = self._now
        name = b"%d" % number
        function = b"f%d" % self._work.functions[number]
        source = b"%d" % (number // self._work.chains % self._work.clients)
        self._tell(events.TaskArrived(TaskRequest(name, b"s", function, (name,), source=source)))

    def _load(self, command: commands.LoadInput) -> None:
        self._ready.append(events.InputLoaded(command.name, command.name))

    def _store(self, command: commands.StoreObject) -> None:
        self._calls["PutObject"] += 1
        self._later(self._cloud.s3_seconds, events.ObjectStored(command.digest, command.ask))

    def _prepare(self, command: commands.PrepareReply) -> None:
        answer = command.result.status if isinstance(command.result, Outcome) else type(command.result).__name__
        self._ready.append(events.ReplyPrepared(command.life, None, answer))

    def _announce(self, command: commands.Announce) -> None:
        number = int(command.request.task_id)
        self._latencies[number] = self._now - self._asked[number]
        self._left -= 1
        if (number + 1) % self._work.chains and number + 1 < len(self._work.seconds):
            self._at(self._now, self._arrive, number + 1)

    # AWS Batch.

    def _pack(self, command: commands.WritePack) -> None:
        bundles = [[int(bytes(call.arguments[0])) for call in bundle] for bundle in command.calls]  # type: ignore[arg-type]
        self._packs[command.sequence] = bundles
        size = _CALL_BYTES * sum(map(len, bundles))
        stored = size > min(command.inline_limit, INLINE_LIMIT)
        if stored:
            self._calls["PutObject"] += 1
        self._later(self._cloud.s3_seconds if stored else 0.0, events.PackWritten(command.sequence, "", size, stored))

    def _submit(self, command: commands.SubmitJob) -> None:
        self._calls["SubmitJob"] += 1
        self._next_submit = max(self._next_submit, self._now) + 1 / self._cloud.submits
        self._at(self._next_submit + self._cloud.batch_seconds, self._accept, command)

    def _accept(self, command: commands.SubmitJob) -> None:
        made = Made(command.sequence, self._packs.pop(command.sequence))
        self._made[made.job_id] = made
        self._queue.extend((made, place) for place in range(len(made.bundles)))
        self._fill()
        self._ready.append(events.Submitted(command.sequence, command.ask, made.job_id))

    def _fill(self) -> None:
        """Give slots to the jobs that wait longest, and start instances for the others."""
        fleet = self._fleet
        while self._queue and fleet.free > 0:
            made, place = self._queue.popleft()
            child = place if len(made.bundles) > 1 else None
            if child not in made.ended:
                fleet.busy += 1
                job = made.running[child] = SimulatedJob(made, child)
                self._start(job)
        if self._queue and fleet.there + fleet.booting < self._cloud.slots:
            for boot in fleet.grow(len(self._queue)):
                self._at(self._now + boot.seconds, self._boot, boot.slots)

    def _boot(self, slots: int) -> None:
        self._fleet.arrive(slots, self._now)
        self._fill()

    def _start(self, job: SimulatedJob) -> None:
        job.attempt += 1
        job.status = JobStatus.RUNNING
        cloud, tasks = self._cloud, job.made.bundles[job.child or 0]
        begins = self._now + cloud.start + cloud.runner
        seconds = sum(self._work.seconds[task] for task in tasks)
        if cloud.reclaims and self._random.random() < (cloud.start + seconds) / 3600 * cloud.reclaims:
            self._at(self._now + self._random.random() * (cloud.start + seconds), self._reclaim, job)
        elif cloud.failures and self._random.random() < cloud.failures:
            self._at(begins + seconds, self._fail, job)
        else:
            self._publish_later(job, tasks, begins)

    def _publish_later(self, job: SimulatedJob, tasks: list[int], moment: float) -> None:
        """Publish about once a second, and then leave."""
        first, since = 0, moment
        for position, task in enumerate(tasks):
            moment += self._work.seconds[task]
            if moment - since >= _PUBLISHED and position + 1 < len(tasks):
                self._at(moment, self._publish, (job, job.attempt, first, position + 1))
                first, since = position + 1, moment
        self._at(moment, self._finish, (job, job.attempt, first, len(tasks)))

    def _publish(self, about: tuple[SimulatedJob, int, int, int]) -> None:
        job, attempt, first, end = about
        if job.attempt != attempt or job.status is not JobStatus.RUNNING:
            return
        self._calls["PutObject"] += 1
        tasks, work = job.made.bundles[job.child or 0], self._work.seconds
        self._worked += sum(work[task] for task in tasks[first:end])
        self._objects[job.seal.outcome_key(first)] = [
            Outcome(position, Status.SUCCESS, b"", usage=Usage(work[tasks[position]])) for position in range(first, end)
        ]

    def _finish(self, about: tuple[SimulatedJob, int, int, int]) -> None:
        job, attempt, _, _ = about
        if job.attempt == attempt and job.status is JobStatus.RUNNING:
            self._publish(about)
            self._leave(job, JobStatus.SUCCEEDED)

    def _fail(self, job: SimulatedJob) -> None:
        if job.status is JobStatus.RUNNING:
            self._leave(job, JobStatus.FAILED)

    def _reclaim(self, job: SimulatedJob) -> None:
        """The instance goes; AWS Batch starts the job once more, on another."""
        if job.status is JobStatus.RUNNING:
            self._start(job)

    def _leave(self, job: SimulatedJob, status: JobStatus) -> None:
        made = job.made
        job.status = status
        del made.running[job.child]
        made.over += 1
        if status is JobStatus.FAILED:
            made.failed.append(job)
        self._fleet.busy -= 1
        self._fleet.shrink(self._now)
        self._fill()

    def _describe(self, command: commands.DescribeJobs) -> None:
        self._calls["DescribeJobs"] += -(-len(command.job_ids) // 100)
        found: dict[str, JobReport] = {}
        for job_id in command.job_ids:
            parent, _, child = job_id.partition(":")
            made = self._made[parent]
            job = made.running.get(int(child)) if child else None
            found[job_id] = job.report() if job else made.report()
        self._later(self._cloud.batch_seconds, events.JobsReported(command.checkup, found))

    def _children(self, command: commands.ListFailedChildren) -> None:
        self._calls["ListJobs"] += 1
        failed = [job.report() for job in self._made[command.job_id].failed]
        self._later(self._cloud.batch_seconds, events.ChildrenListed(command.checkup, command.sequence, failed))

    def _diagnose(self, command: commands.DiagnoseJobs) -> None:
        failures = {report.job_id: job_failed(report) for report in command.reports}
        self._later(self._cloud.batch_seconds, events.JobsDiagnosed(command.checkup, failures))

    def _terminate(self, command: commands.TerminateJobs) -> None:
        self._calls["TerminateJobs"] += 1
        for job_id in command.job_ids:
            parent, _, child = job_id.partition(":")
            made = self._made[parent]
            places = [int(child)] if child else [None, *range(len(made.bundles))]
            made.ended |= set(places)
            for place in places:
                if (job := made.running.get(place)) is not None:
                    self._leave(job, JobStatus.FAILED)
        self._later(self._cloud.batch_seconds, events.Terminated(command.group, ()))

    # S3.

    def _list(self, command: commands.ListOutcomes) -> None:
        pages = max(1, -(-len(self._objects) // 1000))
        self._calls["ListObjectsV2"] += pages
        self._later(pages * self._cloud.s3_seconds, events.OutcomesListed(command.listing, list(self._objects)))

    def _fetch(self, command: commands.FetchOutcome) -> None:
        self._calls["GetObject"] += 1
        self._later(self._cloud.s3_seconds, events.OutcomeRead(command.read, self._objects[command.key]))

    def _remove(self, command: commands.RemoveObjects) -> None:
        self._calls["DeleteObjects"] += -(-len(command.keys) // 1000)
        for key in command.keys:
            self._objects.pop(key, None)
        self._later(self._cloud.s3_seconds, events.ObjectsRemoved())


def simulate(workload: Workload, settings: TaskManagerSettings, cloud: Cloud, seed: int = 1) -> Report:
    """Let our task manager do a workload."""
    return Simulator(workload, State(replace(settings, payload_key=KEY), RUN, seed), cloud, seed).run()


def simulate_upstream(workload: Workload, settings: TaskManagerSettings, cloud: Cloud, seed: int = 1) -> Report:
    """Let upstream's rules do it."""
    return Simulator(workload, UpstreamRules(settings, RunSeal(RUN, KEY)), cloud, seed).run()
