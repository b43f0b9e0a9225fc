"""The engine of Batch: things happen to it, it decides, and it says what has to be done about that.

Every method that tells it something takes ``now``, in seconds since 1970, and leaves its wishes in a list that
:meth:`Engine.take_effects` hands over. It never waits and never looks at a clock: :attr:`Engine.next_deadline` says
when it wants to be woken with :meth:`Engine.advance`.

A job's way through it::

    submit ─► SUBMITTED ─► PENDING ─► RUNNABLE ─► STARTING ─► RUNNING ─► SUCCEEDED
              (linger)     (dependencies, ▲  (place in   (StartProcess)  │
                            array children)│  line, room)                 ├─► FAILED
                                           └──────── another attempt ◄───┘

Each state may be held for a while (``delays``), so that programs meet the states that AWS would show them. What ends
is listed and looked at in :meth:`Engine._settle`, one by one: a chain of ten thousand dependents is no recursion.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ..errors import IllegalMoveError
from . import texts
from .attempt_result import seen_as, state_after
from .capacity import Capacity
from .deadlines import Begin, Deadlines, Happening, LastCall, Reconsider, Release, TimeLimit
from .dependencies import Dependencies
from .effects import ConnectInstance, Effect, ForgetLogs, SignalProcess, StartInstance, StopInstance, StopProcess
from .fleet import Fleet
from .job import Attempt, Job, conclude, open_array
from .launching import OVERRIDE_CHARACTERS, log_stream, override_length, start_process
from .rules import Mishaps, NoMishaps, Rules, Strike, Topology
from .scheduling import Scheduler, WaitingLine
from .table import JobTable
from .vocabulary import BEFORE_STARTING, Ending, Environment, JobSpec, State


class Engine:
    """All jobs of one machine. Not thread-safe: whoever owns it holds a lock.

    Args:
        rules: How this machine behaves.
        topology: The queues and compute environments.
        new_id: Makes the ids of attempts.
        mishaps: What goes wrong with jobs; nothing when it is None.
    """

    def __init__(
        self, rules: Rules, topology: Topology, new_id: Callable[[], str], mishaps: Mishaps | None = None
    ) -> None:
        self.table = JobTable(rules.keep_finished, rules.keep_seconds)
        self.fleet = Fleet(rules.fleet, topology)
        self.capacity = Capacity(rules.slots, self.fleet, rules.memory_mib)
        self.waiting = WaitingLine()
        self._scheduler = Scheduler(self.waiting, self.capacity, topology)
        self._rules = rules
        self._new_id = new_id
        self._mishaps = mishaps or NoMishaps()
        self._held: dict[str, Job] = {}
        self._deadlines = Deadlines()
        self._dependencies = Dependencies(self.table)
        self._attempts: dict[str, Job] = {}
        self._ended: deque[Job] = deque()
        self._effects: list[Effect] = []
        self._submissions = 0

    # What is told to it ------------------------------------------------------------------------------------------

    def submit(self, job_id: str, spec: JobSpec, now: float) -> Job:
        """A job was accepted."""
        job = Job(job_id, spec, self._submissions, now)
        self._submissions += 1
        self._introduce(job, now)
        self._settle(now)
        return job

    def cancel(self, job: Job, reason: str, now: float) -> None:
        """CancelJob: end what has not started yet, leave the rest alone."""
        for each in job.family():
            if each.state in BEFORE_STARTING:
                each.cancelled = True
                self._stop(each, reason, now)
        self._settle(now)

    def terminate(self, job: Job, reason: str, now: float) -> None:
        """TerminateJob: end it, wherever it is."""
        for each in job.family():
            if not each.terminal:
                each.terminated = True
                self._stop(each, reason, now)
        self._settle(now)

    def process_started(self, attempt_id: str, now: float) -> None:
        """The process of an attempt exists."""
        job = self._attempts.get(attempt_id)
        if job is not None and job.current is not None and job.current.started_at is None:
            self._show_running(job, job.current, now)

    def process_ended(self, attempt_id: str, ending: Ending, now: float) -> None:
        """The process of an attempt is gone, or could not be made."""
        job = self._attempts.get(attempt_id)
        if job is not None:
            ran = job.current is not None and job.current.started_at is not None
            lost = self._mishaps.lost_exit(job) if ran else None
            self._end_attempt(job, lost or ending, now)
            self._settle(now)

    def host_lost(self, now: float) -> None:
        """Every process there was is gone, as when a machine is reclaimed."""
        for job, _ in self._on_host():
            self._end_attempt(job, texts.host_gone(self._rules.instance), now)
        self._settle(now)

    def queue_changed(self, now: float) -> None:
        """A queue or a compute environment is another than it was: look again what can start."""
        self._settle(now)

    def environment_gone(self, environment: str) -> None:
        """A compute environment was deleted, and its instances with it."""
        self._effects += map(StopInstance, self.fleet.close(environment))

    def strike(self, when: float, strike: Strike) -> None:
        """Something will happen to what runs then."""
        self._deadlines.add(when, Happening(strike))

    def reconsider(self, when: float) -> None:
        """Look again, at that moment, which jobs have to stay RUNNABLE."""
        self._deadlines.add(when, Reconsider())

    def clock_jumped(self, seconds: float) -> None:
        """The clock shows another time than before. Nothing becomes due sooner or later for it."""
        self._deadlines.shift(seconds)
        self.fleet.shift(seconds)

    def advance(self, now: float) -> None:
        """Time has passed."""
        for deadline in self._deadlines.due(now):
            match deadline:
                case Release(job):
                    self._proceed(job, now)
                case Begin(job, attempt):
                    self._begin(job, attempt)
                case TimeLimit(job):
                    self._stop(job, texts.TIMED_OUT, now)
                case LastCall(_, attempt):
                    self._effects.append(StopProcess(attempt.id, force=True))
                case Happening(strike):
                    self._strike(strike, now)
                case Reconsider():
                    self._reconsider()
        connected, gone = self.fleet.advance(now)
        self._effects += (*map(ConnectInstance, connected), *map(StopInstance, gone))
        self._forget(self.table.expire(now))
        self._settle(now)

    # What it tells -----------------------------------------------------------------------------------------------

    @property
    def next_deadline(self) -> float | None:
        """When :meth:`advance` has to be called at the latest; None when nothing is due by itself."""
        moments = (self._deadlines.next, self.table.next_expiry, self.fleet.next_change)
        return min((due for due in moments if due is not None), default=None)

    def take_effects(self) -> list[Effect]:
        """What has to be done now, in this order. Each effect is handed over once."""
        effects, self._effects = self._effects, []
        return effects

    @property
    def running(self) -> list[str]:
        """The attempts for which a process was asked for and has not ended."""
        return [attempt.id for _, attempt in self._on_host()]

    # How it decides ----------------------------------------------------------------------------------------------

    def _introduce(self, job: Job, now: float) -> None:
        """Take up a new job or child."""
        self.table.add(job)
        if self._dependencies.watch(job):
            self._linger(job, now)
        else:
            self._finish(job, State.FAILED, texts.DEPENDENCY_FAILED, now)

    def _linger(self, job: Job, now: float) -> None:
        """A job has come into a state: let it go on, at once or after the state's delay."""
        delay = self._rules.delays.get(job.state, 0.0)
        if delay > 0:
            self._deadlines.add(now + delay, Release(job, job.state, len(job.attempts)))
        else:
            self._proceed(job, now)

    def _proceed(self, job: Job, now: float) -> None:
        """Do what comes after the state that the job is in."""
        match job.state:
            case State.SUBMITTED if job.waiting_for or job.spec.array_size is not None:
                self._enter(job, State.PENDING, now)
            case State.PENDING if job.waiting_for:
                pass
            case State.PENDING if job.spec.array_size is not None and job.parent is None:
                self._open(job, now)
            case State.SUBMITTED | State.PENDING:
                self._enter(job, State.RUNNABLE, now)
            case State.RUNNABLE:
                self._line_up(job)
            case State.STARTING:
                self._launch(job, now)

    def _line_up(self, job: Job) -> None:
        """Have a job wait for its turn, or be held."""
        reason = self._mishaps.held(job)
        if reason is None:
            job.status_reason = None
            self.waiting.add(job)
        else:
            job.status_reason = reason or None
            self._held[job.id] = job

    def _reconsider(self) -> None:
        """Sort the jobs that wait and those that are held again."""
        held, self._held = self._held, {}
        for job in (*held.values(), *self.waiting.take_all()):
            self._line_up(job)

    def _enter(self, job: Job, state: State, now: float) -> None:
        job.move(state, now)
        self._linger(job, now)

    def _open(self, parent: Job, now: float) -> None:
        """Make an array's children."""
        if parent.children is None:
            for child in open_array(parent, now):
                self._introduce(child, now)

    def _launch(self, job: Job, now: float) -> None:
        """Have ECS take an attempt, unless it would refuse it."""
        attempt = job.current
        if attempt is None:
            return
        if override_length(job, attempt) > OVERRIDE_CHARACTERS:
            self._drop_attempt(job, now)
            self._finish(job, State.FAILED, texts.OVERRIDES_TOO_LONG, now)
            return
        attempt.launched = True
        error = self._mishaps.start_error(job)
        if error is not None:
            self._end_attempt(job, error, now)
            return
        delay = self._rules.delays.get(State.RUNNING, 0.0)
        if delay > 0:
            self._show_running(job, attempt, now)
            self._deadlines.add(now + delay, Begin(job, attempt))
        else:
            self._begin(job, attempt)

    def _show_running(self, job: Job, attempt: Attempt, now: float) -> None:
        attempt.started_at = job.started_at = now
        job.move(State.RUNNING, now)
        if job.spec.timeout is not None:
            self._deadlines.add(now + job.spec.timeout, TimeLimit(job, attempt))

    def _begin(self, job: Job, attempt: Attempt) -> None:
        """Ask for the process of an attempt."""
        attempt.begun = True
        self._effects.append(start_process(job, attempt, limit_memory=self._rules.limit_memory))

    def _stop(self, job: Job, reason: str, now: float) -> None:
        """Have a job end with this status reason: at once if nothing runs, else when its process has gone."""
        if job.terminal or job.stopping is not None:
            return
        job.stopping = reason
        attempt = job.current
        if attempt is not None and attempt.begun:
            self._effects.append(StopProcess(attempt.id, force=False))
            self._deadlines.add(now + self._rules.stop_grace, LastCall(job, attempt))
        elif job.children is None:
            if attempt is not None:
                self._drop_attempt(job, now)
            self._finish(job, State.FAILED, reason, now)

    def _on_host(self) -> list[tuple[Job, Attempt]]:
        """The jobs that have a process, or soon will."""
        return [(job, attempt) for job, attempt in self._with_ecs() if attempt.begun]

    def _with_ecs(self) -> list[tuple[Job, Attempt]]:
        """The jobs that are on an instance, whether their command has begun or not."""
        return [(job, job.current) for job in self._attempts.values() if job.current and job.current.launched]

    def _strike(self, strike: Strike, now: float) -> None:
        for job, attempt in self._with_ecs():
            if (attempt.begun or strike.fate is not None) and strike.chosen(job):
                self._hit(job, attempt, strike, now)

    def _hit(self, job: Job, attempt: Attempt, strike: Strike, now: float) -> None:
        fate = strike.fate and self._fate_of_host(attempt, strike.fate)
        if not attempt.begun and fate is not None:
            self._end_attempt(job, fate, now)
            return
        self._effects.append(SignalProcess(attempt.id, strike.signal))
        if fate is not None:
            attempt.fate = fate
            self._deadlines.add(now + strike.notice(self._rules.stop_grace), LastCall(job, attempt))

    def _fate_of_host(self, attempt: Attempt, otherwise: Ending) -> Ending:
        """How an attempt ends whose instance is taken back: by its name, where there are instances."""
        instance = self.fleet.reclaim(attempt.id)
        return otherwise if instance is None else texts.host_gone(instance.id)

    def _end_attempt(self, job: Job, ending: Ending, now: float) -> None:
        """Note how an attempt ended, and decide what becomes of the job."""
        attempt = self._drop_attempt(job, now)
        attempt.stopped_at = now
        attempt.ending = seen_as(ending, job, attempt)
        job.attempts.append(attempt)
        state = state_after(job)
        if state is State.RUNNABLE:
            self._enter(job, state, now)
        else:
            self._finish(job, state, attempt.ending.status_reason, now)

    def _drop_attempt(self, job: Job, now: float) -> Attempt:
        """The current attempt is over: free what it held."""
        attempt = job.current
        if attempt is None:
            raise IllegalMoveError(f"job {job.id} has no attempt to end")
        job.current = None
        del self._attempts[attempt.id]
        self.capacity.give_back(attempt.id, now)
        return attempt

    def _finish(self, job: Job, state: State, reason: str | None, now: float) -> None:
        job.status_reason = reason
        self._held.pop(job.id, None)
        job.move(state, now)
        self._ended.append(job)

    def _settle(self, now: float) -> None:
        """Follow up on what has ended, and start what can start, until nothing more comes of it."""
        while True:
            while self._ended:
                self._after_end(self._ended.popleft(), now)
            if not self._start_next(now) and not self._ended:
                self._effects += map(StartInstance, self._scheduler.grow(now))
                return

    def _after_end(self, job: Job, now: float) -> None:
        for dependent in self._dependencies.release(job):
            if job.state is State.FAILED:
                self._finish(dependent, State.FAILED, texts.DEPENDENCY_FAILED, now)
            elif not dependent.waiting_for and dependent.state is State.PENDING:
                self._proceed(dependent, now)
        if job.parent is None:
            self._forget(self.table.retire(job))
        elif conclude(job.parent, now):
            self._ended.append(job.parent)

    def _forget(self, jobs: list[Job]) -> None:
        streams = tuple(attempt.log for job in jobs for attempt in job.attempts)
        if streams:
            self._effects.append(ForgetLogs(streams))

    def _start_next(self, now: float) -> bool:
        """Start the job that is next, if there is room for it. Returns whether one was started."""
        found = self._scheduler.take_next()
        if found is not None:
            self._start(*found, now)
        return found is not None

    def _start(self, job: Job, environment: Environment, now: float) -> None:
        attempt_id = self._new_id()
        job.current = Attempt(attempt_id, len(job.attempts) + 1, environment, log_stream(job, attempt_id))
        job.status_reason = None
        self._attempts[attempt_id] = job
        job.current.host = self.capacity.take(attempt_id, job.spec.resources, environment)
        self._enter(job, State.STARTING, now)
