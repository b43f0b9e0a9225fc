"""What the worker is told, checked once."""

from __future__ import annotations

import getpass
import os
import re
import socket
from dataclasses import dataclass, field
from typing import Literal

from scaler_batch.adapter.routes import Routes
from scaler_batch.tasks import TaskManagerSettings
from scaler_batch.tasks.leases import LONGEST_NAME
from scaler_batch.wire import Capability, LinkSettings


def default_name() -> str:
    """Name a worker after its user and host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # in a container, a user may have a number only
        user = f"uid{os.getuid()}"
    return re.sub(r"[^A-Za-z0-9._@-]", "-", f"{user}@{socket.gethostname()}")[:LONGEST_NAME]


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Settings of one worker.

    Attributes:
        scheduler_address: ``scheme://host:port`` of the scheduler.
        s3_bucket: Bucket for task data and outcomes.
        tasks: How the task manager behaves; holds queue and definition.
        s3_prefix: Key prefix of everything the worker writes.
        aws_region: Region of bucket, queue and definition.
        name: Shown in the scheduler's monitor; part of the worker's id. A worker of the same name ends the jobs that
            this one may leave behind. User and host by default, so that two people's workers never share one.
        queue_size: How many tasks the scheduler may keep here. Scaler's own workers say 1000, and its default policy
            spreads evenly only between workers that say the same.
        shutdown_deadline: Seconds that stopping may take. The default is below the 30 s that container platforms wait
            between SIGTERM and SIGKILL.
        on_shutdown: Whether stopping lets the tasks at hand be answered first, or ends their jobs at once.
        match_vcpus: Whether as many tasks of a job run side by side as its definition has vCPUs; goes over
            ``tasks.processes``.
        object_storage: ``scheme://host:port`` of the object storage, in place of what the scheduler says.
        capabilities: Announced to the scheduler, besides those that have routes.
        routes: Where tasks with certain capabilities go.
        manager_id: The worker manager that the worker belongs to; empty for none.
        tag_jobs: Whether jobs bear tags by which their cost is told.
        provisioned_prefix: Prefix that the provisioner made the job definition for; empty where it did not.
        payload_key: Where the key lies that containers have too (:mod:`~.payload_key`); ``None`` for keys that travel
            in the parameters of jobs.
        link: The scheduler link.
    """

    scheduler_address: str
    s3_bucket: str
    tasks: TaskManagerSettings
    s3_prefix: str = "scaler-tasks"
    aws_region: str = "us-east-1"
    name: str = field(default_factory=default_name)
    queue_size: int = 1000
    shutdown_deadline: float = 25.0
    on_shutdown: Literal["drain", "terminate"] = "terminate"
    match_vcpus: bool = False
    object_storage: str | None = None
    capabilities: tuple[Capability, ...] = ()
    routes: Routes = field(default_factory=Routes)
    manager_id: bytes = b""
    tag_jobs: bool = True
    provisioned_prefix: str = ""
    payload_key: str | None = None
    link: LinkSettings = field(default_factory=LinkSettings)

    def announced(self, table: str | None = None) -> tuple[Capability, ...]:
        """What the scheduler is told of, each name once.

        Args:
            table: The capability whose link it is; ``None`` for the link of all tasks.
        """
        named = {} if table is None else {table: Capability(table)}
        for capability in self.capabilities:
            if table == capability.name or capability.name not in self.routes.shapes:
                named[capability.name] = capability
        return tuple(named.values())

    def announced_at_most(self) -> tuple[Capability, ...]:
        """What all links together tell of."""
        told = {capability for table in (None, *self.routes.shapes) for capability in self.announced(table)}
        return tuple(sorted(told, key=lambda capability: capability.name))


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """How many workers a process runs.

    Attributes:
        mode: Whether all workers are there from start to end, or as many as the scheduler's policy asks for.
        workers: How many there are, or how many at most.
        cooldown: Seconds for which fewer workers have to be asked for before one is stopped.
    """

    mode: Literal["fixed", "dynamic"] = "fixed"
    workers: int = 1
    cooldown: float = 30.0


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Where figures are served.

    Attributes:
        port: TCP port; 0 for any free one.
        host: Address to listen at.
    """

    port: int
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged, how, and where.

    Attributes:
        level: Least severe messages that are shown.
        format: Lines for people, or an object of JSON a line.
        paths: Files; ``/dev/stdout`` and ``/dev/stderr`` are what they say.
        file: A file of Python's ``logging.config``, which then decides in place of the others.
        private: Whether tracebacks are shown without the messages of their exceptions, which may quote data.
    """

    level: str = "INFO"
    format: Literal["text", "json"] = "text"
    paths: tuple[str, ...] = ("/dev/stderr",)
    file: str | None = None
    private: bool = False


@dataclass(frozen=True, slots=True)
class ProgramSettings:
    """Settings of the whole process.

    Attributes:
        worker: What each worker is told.
        fleet: How many there are.
        metrics: Where figures are served; ``None`` for nowhere.
        logs: What is logged.
        event_loop: The event loop of the process.
    """

    worker: WorkerSettings
    fleet: FleetSettings = field(default_factory=FleetSettings)
    metrics: MetricsSettings | None = None
    logs: LogSettings = field(default_factory=LogSettings)
    event_loop: Literal["builtin", "uvloop"] = "builtin"
