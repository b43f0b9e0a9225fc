"""Everything that can be set about a local AWS, in one frozen object that travels to the server as JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Literal, get_args

from . import timing
from .accounts import ACCOUNTS, Account
from .batch.fleet import FleetRules
from .batch.rules import Rules
from .batch.vocabulary import State
from .errors import SettingsError
from .faults.reading import Plan, read_file

JobMode = Literal["fork", "spawn", "docker"]

FEWEST_SLOTS = 2
"""Even on one core a second job must be able to run beside a long one."""


@dataclass(frozen=True)
class LocalSettings:
    """How a local AWS behaves.

    Attributes:
        host: The address to listen on. Leave it at the loopback: whoever has a key can run programs as you, and what
            passes is not encrypted.
        accept_hosts: Names that requests may be addressed to (``Host``), besides those of the loopback interface; ``*``
            stands for any text. Give none that others can make resolve to this machine.
        port: The port; 0 for one that is free.
        region: The region that the environment names. Every region works.
        slots: Job processes at once; None for as many as there are CPUs, and two at least. A compute environment's
            ``maxvCpus`` holds as well: it is usually meant for a fleet, and this is one machine.
        memory_mib: MiB that running jobs may reserve together; None for no bound, since nothing is taken by reserving.
        jobs: ``fork`` runs the runner's command in a fork of a process that has it in memory; ``spawn`` starts an
            interpreter for every job, as a container does. Other commands are always spawned. ``docker`` runs every job
            as a container of its definition's image; it needs the extra ``[docker]`` and an engine that answers.
        job_python: The interpreter that jobs find as ``python``; None for the one that runs the server.
        delays: Seconds that a job stays in a state at least, by the state's name; in RUNNING, until its command begins.
            AWS takes seconds to minutes here.
        minimum_timeout: The shortest job timeout to accept, in seconds; 60 on AWS.
        stop_grace: Seconds between SIGTERM and SIGKILL; 30 on AWS.
        keep_finished: Finished jobs that are remembered, an array's children counted, and their logs with them.
        keep_seconds: Seconds that finished jobs are remembered at most; None for no such bound.
        limit_memory: Whether a job that has more memory than it asked for is killed.
        submit_rate: SubmitJob calls a second above which they are throttled, 50 on AWS; None for no such bound.
        faults: A TOML file of faults that are in force from the start.
        like: Take as long as AWS (:mod:`~.timing`): ``aws`` with instances that are there already, ``aws-cold`` with
            instances that come when jobs wait. ``delays`` and ``submit_rate`` take precedence. None for no delays.
        account: What networks there are: ``usual`` has a default VPC, ``hardened`` has none, and in
            ``hardened-default-vpc`` it has an empty default group and no public addresses. Jobs need instances then,
            which need a way to ECS.
        enforce_iam: Whether each request needs a permission by the policies of its user or role. The key of the
            environment is that of the account's owner, who may do everything.
        allow_privileged: Whether jobs as containers may be ``privileged``, which makes them root on this machine.
        time_scale: What all times of ``like`` are multiplied by, and rates divided by.
    """

    host: str = "127.0.0.1"
    port: int = 0
    accept_hosts: Sequence[str] = ()
    region: str = "us-east-1"
    slots: int | None = None
    memory_mib: int | None = None
    jobs: JobMode = "fork"
    job_python: str | None = None
    delays: Mapping[str, float] = field(default_factory=dict)
    minimum_timeout: int = 60
    stop_grace: float = 30.0
    keep_finished: int = 50_000
    keep_seconds: float | None = None
    limit_memory: bool = True
    submit_rate: float | None = None
    faults: str | None = None
    like: timing.Likeness | None = None
    time_scale: float = 1.0
    account: Account = "usual"
    enforce_iam: bool = False
    allow_privileged: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            SettingsError: A value is out of its range.
        """
        _require(self.slots is None or self.slots >= 1, "slots must be at least 1")
        _require(self.memory_mib is None or self.memory_mib >= 1, "memory_mib must be at least 1")
        _require(0 <= self.port <= 65535, "port must be between 0 and 65535")
        _require(self.jobs in get_args(JobMode), f"jobs must be one of {', '.join(get_args(JobMode))}")
        _require(self.minimum_timeout >= 1, "minimum_timeout must be at least 1 second")
        _require(self.stop_grace >= 0, "stop_grace must not be negative")
        _require(self.keep_finished >= 1, "keep_finished must be at least 1")
        _require(self.keep_seconds is None or self.keep_seconds >= 0, "keep_seconds must not be negative")
        _require(self.submit_rate is None or self.submit_rate > 0, "submit_rate must be above 0")
        _require(
            self.like is None or self.like in timing.LIKENESSES, f"like must be one of {', '.join(timing.LIKENESSES)}"
        )
        _require(self.account in ACCOUNTS, f"account must be one of {', '.join(ACCOUNTS)}")
        _require(0 < self.time_scale < inf, "time_scale must be above 0")
        _require(set(self.delays) <= set(State), f"delays are given by state: {', '.join(State)}")
        _require(all(seconds >= 0 for seconds in self.delays.values()), "delays must not be negative")

    @property
    def netloc(self) -> str:
        """The address as URLs have it."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def names(self) -> tuple[str, ...]:
        """The names that requests may be addressed to, besides those of the loopback interface."""
        return (self.netloc.replace("[", "[[]"), *self.accept_hosts)

    @property
    def python(self) -> str:
        """The interpreter of jobs."""
        return self.job_python or sys.executable

    def rules(self) -> Rules:
        """The engine's share of the settings."""
        return Rules(
            slots=self.slots or max(FEWEST_SLOTS, len(os.sched_getaffinity(0))),
            memory_mib=self.memory_mib,
            delays=self._delays(),
            stop_grace=self.stop_grace,
            keep_finished=self.keep_finished,
            keep_seconds=self.keep_seconds,
            limit_memory=self.limit_memory,
            fleet=self._fleet(),
        )

    def fault_plan(self) -> Plan:
        """The faults that are in force from the start.

        Raises:
            FaultError: The file is not there, or holds something else.
        """
        plan = Plan() if self.faults is None else read_file(Path(self.faults))
        slow = timing.slow_requests(self.time_scale) if self.like else ()
        rate = self.submit_rate or (timing.submit_rate(self.time_scale) if self.like else None)
        limit = (timing.submit_limit(rate),) if rate else ()
        return replace(plan, faults=(*slow, *plan.faults, *limit))

    def _fleet(self) -> FleetRules | None:
        if self.like == "aws-cold":
            return timing.fleet(self.time_scale)
        return None if self.account == "usual" and self.like is None else FleetRules()

    def _delays(self) -> dict[State, float]:
        like = timing.delays(self.time_scale) if self.like else {}
        return like | {State(name): seconds for name, seconds in self.delays.items()}

    def to_json(self) -> str:
        """The settings as text."""
        return json.dumps({**asdict(self), "delays": dict(self.delays), "accept_hosts": list(self.accept_hosts)})

    @classmethod
    def from_json(cls, text: str) -> LocalSettings:
        """The settings that :meth:`to_json` wrote."""
        fields = json.loads(text)
        return cls(**{**fields, "accept_hosts": tuple(fields["accept_hosts"])})


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise SettingsError(otherwise)
