"""The machine under Batch: engine, lock, clock and timer, and the job host that does what the engine wants.

Whoever has something to tell the engine does so inside :meth:`Machine.engine`; when the block ends, what the engine
wants is carried out in the order in which it was decided. The timer thread sleeps until the engine's next deadline;
nothing polls.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from .batch import texts
from .batch.effects import (
    ConnectInstance,
    Effect,
    ForgetLogs,
    LogStream,
    SignalProcess,
    StartInstance,
    StartProcess,
    StopInstance,
    StopProcess,
)
from .batch.engine import Engine
from .batch.fleet import Instance
from .batch.rules import Mishaps, Strike, Topology
from .batch.vocabulary import Ending, Scope
from .clock import Clock
from .containers import endings
from .containers.wishes import JOB_ID, heeded, refusal
from .environment import credentials
from .errors import SecretError, StartError
from .hosting import JobHost
from .jobhost.messages import Ended, Message, Output, Ready, Refused, Start, Started, Stop
from .settings import LocalSettings
from .web.keys import AccessKey


class LogSink(Protocol):
    """Where the output of jobs goes."""

    def open(self, stream: LogStream) -> None:
        """An attempt has started: its stream exists from now on."""

    def write(self, stream: LogStream, at: float, lines: Sequence[str]) -> None:
        """An attempt wrote lines, at this moment in seconds since 1970."""

    def forget(self, streams: Sequence[LogStream]) -> None:
        """Nobody will ask for these again."""


class SecretSource(Protocol):
    """Where secrets of jobs are kept."""

    def value(self, scope: Scope, source: str, role: str | None) -> str:
        """A secret's value; :class:`~.errors.SecretError` when there is none, or the execution role may not read it."""


class InstanceSink(Protocol):
    """Where instances are shown."""

    def start(self, instance: Instance) -> None:
        """An instance was started."""

    def connect(self, instance: Instance) -> None:
        """An instance has joined its cluster."""

    def stop(self, instance: Instance) -> None:
        """An instance is gone."""


class Machine:
    """Runs the jobs of one local AWS.

    It is made before what it serves (:meth:`attach`), so that the job host warms up while moto is imported.

    Args:
        settings: How it behaves.
        variables: What every job's environment holds, unless the job has it otherwise.
        clock: The time of jobs.
        give_up: Called when the job host is gone and cannot be replaced, so that no job will ever run.
    """

    def __init__(
        self, settings: LocalSettings, variables: Mapping[str, str], clock: Clock, give_up: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._variables = dict(variables)
        self._give_up = give_up
        self._changed = threading.Condition()
        self._clock = clock
        self._streams: dict[str, LogStream] = {}
        self._awaited: float | None = None
        self._closed = False
        self._host = self._new_host()

    def attach(
        self,
        topology: Topology,
        logs: LogSink,
        secrets: SecretSource,
        mishaps: Mishaps,
        instances: InstanceSink,
        key_of_role: Callable[[str | None], AccessKey],
    ) -> None:
        """Begin to run jobs. To be called once, before anything else is asked of it.

        Args:
            topology: The queues and compute environments.
            logs: Where the output of jobs goes.
            secrets: Where jobs' secrets come from.
            mishaps: What goes wrong with jobs.
            instances: Where instances are shown.
            key_of_role: The access key of jobs with this role, or with none.
        """
        self._key_of_role = key_of_role
        self._instances = instances
        self._topology = topology
        self._logs = logs
        self._secrets = secrets
        self._mishaps = mishaps
        self._engine = self._new_engine()
        threading.Thread(target=self._keep_time, name="batch-timer", daemon=True).start()

    def wait_until_ready(self) -> Ready:
        """Wait until jobs can run.

        Raises:
            StartError: They never will.
        """
        return self._host.wait_until_ready()

    @contextlib.contextmanager
    def engine(self) -> Iterator[tuple[Engine, float]]:
        """The engine and the time, to be used inside the block and not kept."""
        with self._changed:
            yield self._engine, self._clock.now()
            later: list[ForgetLogs] = []
            while effects := self._engine.take_effects():
                later += self._carry_out(effects)
            if self._engine.next_deadline != self._awaited:
                self._changed.notify_all()
        for effect in later:
            self._logs.forget(effect.streams)

    def strike(self, after: float, strike: Strike) -> None:
        """Have something happen to running jobs, so many seconds from now."""
        with self.engine() as (engine, now):
            engine.strike(now + after, strike)

    def reconsider(self, after: float) -> None:
        """Look again, so many seconds from now, which jobs have to stay RUNNABLE."""
        with self.engine() as (engine, now):
            engine.reconsider(now + after)

    def jump_clock(self, seconds: float) -> None:
        """Have the clock show another time at once."""
        with self._changed:
            self._clock.jump(seconds)
            self._engine.clock_jumped(seconds)
            self._changed.notify_all()

    def reset(self) -> None:
        """End and forget every job."""
        with self._changed:
            for attempt in self._engine.running:
                self._host.send(Stop(attempt, signal.SIGKILL))
            self._streams.clear()
            self._engine = self._new_engine()
            self._changed.notify_all()

    def close(self) -> None:
        """End every job, and the host."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._host.close()

    def _new_engine(self) -> Engine:
        return Engine(self._settings.rules(), self._topology, lambda: uuid.uuid4().hex, self._mishaps)

    def _new_host(self) -> JobHost:
        return JobHost(self._settings.python, self._settings.jobs, self._heard, self._host_lost)

    def _carry_out(self, effects: Sequence[Effect]) -> list[ForgetLogs]:
        """Do what the engine wants; returns what should be done without holding its lock."""
        for effect in effects:
            match effect:
                case StartProcess():
                    self._start(effect)
                case StopProcess(attempt, force):
                    self._host.send(Stop(attempt, signal.SIGKILL if force else signal.SIGTERM))
                case SignalProcess(attempt, number):
                    self._host.send(Stop(attempt, number))
                case StartInstance(instance):
                    self._instances.start(instance)
                case ConnectInstance(instance):
                    self._instances.connect(instance)
                case StopInstance(instance):
                    self._instances.stop(instance)
        return [effect for effect in effects if isinstance(effect, ForgetLogs)]

    def _start(self, wanted: StartProcess) -> None:
        scope, limits, role = wanted.log.scope, wanted.limits, wanted.execution_role
        try:
            secrets = {name: self._secrets.value(scope, source, role) for name, source in wanted.secrets.items()}
        except SecretError as error:
            self._engine.process_ended(wanted.attempt, texts.without_secret(str(error)), self._clock.now())
            return
        if (reason := self._refusal(wanted.environment)) is not None:
            self._engine.process_ended(wanted.attempt, endings.refused(reason), self._clock.now())
            return
        self._streams[wanted.attempt] = wanted.log
        self._host.send(
            Start(
                wanted.attempt,
                list(wanted.command),
                {**self._variables, **self._credentials(wanted.environment), **secrets, **wanted.environment},
                self._container(wanted.environment),
                memory=(limits.memory_mib or 0) << 20,
                ulimits=[list(each) for each in limits.ulimits],
            )
        )

    def _credentials(self, environment: Mapping[str, str]) -> dict[str, str]:
        """The access key of the job that has this environment: that of its role."""
        job = self._engine.table.get(environment[JOB_ID])
        return {} if job is None else credentials(self._key_of_role(job.spec.container.get("jobRoleArn")))

    def _container(self, environment: Mapping[str, str]) -> dict[str, Any]:
        """What a container host has to know of the job that has this environment."""
        job = self._engine.table.get(environment[JOB_ID]) if self._settings.jobs == "docker" else None
        return heeded(job.spec.container) if job is not None else {}

    def _refusal(self, environment: Mapping[str, str]) -> str | None:
        """Why the job that has this environment gets no container; None where it gets one, or none is wanted."""
        job = self._engine.table.get(environment[JOB_ID]) if self._settings.jobs == "docker" else None
        return (
            refusal(job.spec.container, allow_privileged=self._settings.allow_privileged) if job is not None else None
        )

    def _heard(self, message: Message) -> None:
        """Something happened to a job's process. It does not matter if the job was forgotten in a reset meanwhile."""
        if isinstance(message, Started | Output | Ended | Refused):
            stream = self._streams.get(message.attempt)
            if stream is not None:
                self._follow(message, stream)

    def _follow(self, message: Started | Output | Ended | Refused, stream: LogStream) -> None:
        match message:
            case Started(attempt):
                # The stream is there before the job is seen to run.
                self._logs.open(stream)
                with self.engine() as (engine, now):
                    engine.process_started(attempt, now)
            case Output(_, at, lines):
                self._logs.write(stream, at, lines)
            case Ended(attempt, exit_code, _, out_of_memory):
                self._ended(attempt, endings.out_of_memory(exit_code) if out_of_memory else texts.exited(exit_code))
            case Refused(attempt, why, reason):
                self._ended(attempt, endings.refused(reason) if reason else texts.not_started(why))

    def _ended(self, attempt: str, ending: Ending) -> None:
        self._streams.pop(attempt, None)
        with self.engine() as (engine, now):
            engine.process_ended(attempt, ending, now)

    def _host_lost(self) -> None:
        """The host was killed, and with it every job: to Batch, the instance under them is gone. Take a new one."""
        with self.engine() as (engine, now):
            if self._closed:
                return
            self._streams.clear()
            self._host = self._new_host()
            engine.host_lost(now)
        try:
            self._host.wait_until_ready()
        except StartError:
            self._give_up()

    def _keep_time(self) -> None:
        while self._wait_for_deadline():
            with self.engine() as (engine, now):
                engine.advance(now)

    def _wait_for_deadline(self) -> bool:
        """Sleep until something is due. Returns False when nothing will be any more."""
        with self._changed:
            while not self._closed:
                due = self._awaited = self._engine.next_deadline
                left = None if due is None else due - self._clock.now()
                if left is not None and left <= 0:
                    return True
                self._changed.wait(left)
        return False
