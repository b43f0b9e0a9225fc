"""From the options in force to the settings of each part; what only shows in combination is checked here."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from typing import Final

from scaler_batch.adapter.deadline import reserve
from scaler_batch.adapter.member import new_run
from scaler_batch.adapter.options import HERE
from scaler_batch.adapter.routes import Routes
from scaler_batch.adapter.settings import (
    FleetSettings,
    LogSettings,
    MetricsSettings,
    ProgramSettings,
    WorkerSettings,
    default_name,
)
from scaler_batch.adapter.sources import Chosen
from scaler_batch.payload import Client
from scaler_batch.payload.errors import ContractError
from scaler_batch.payload.keys import LONGEST_ADDRESS
from scaler_batch.tasks import TaskManagerSettings
from scaler_batch.wire import LinkSettings, Scheme, TlsSettings, TransportKind, new_manager_id, parse

CONNECT_WITHIN: Final = 10.0
"""Seconds for the first connection: enough for a scheduler that is starting, short for a person who waits."""

GOODBYE_WITHIN: Final = 2.0
"""Seconds for the goodbye to leave over a link that is slow or broken, where the shutdown deadline has room for it."""


def program_of(chosen: Chosen) -> ProgramSettings:
    """Turn options into settings.

    Raises:
        SettingsError: Values cannot be used together.
        TasksError: A value is outside what AWS Batch takes.
    """
    _check_together(chosen)
    port = chosen["metrics_port"]
    worker = _worker(chosen)
    _check_prefix(worker, chosen)
    return ProgramSettings(
        worker,
        FleetSettings(chosen["mode"], chosen["max_workers"], chosen["scale_down_cooldown_seconds"]),
        None if port is None else MetricsSettings(port, chosen["metrics_host"]),
        LogSettings(
            chosen["log_level"],
            chosen["log_format"],
            chosen["logging_paths"],
            chosen["logging_config_file"],
            chosen["private"] == "yes",
        ),
        chosen["event_loop"],
    )


def _check_prefix(worker: WorkerSettings, chosen: Chosen) -> None:
    """A run's address has to fit into a job's parameters, whatever else is there."""
    try:
        new_run(worker)
    except ContractError as error:
        room = LONGEST_ADDRESS - len(str(new_run(replace(worker, s3_prefix="")))) - 1
        raise chosen.wrong("s3_prefix", f"plain characters, {room} at most beside this bucket's name") from error


def _check_together(chosen: Chosen) -> None:
    if chosen["max_workers"] > chosen["max_concurrent_jobs"]:
        most = chosen["max_concurrent_jobs"]
        raise chosen.wrong("max_workers", f"up to {most}, which is max_concurrent_jobs: each worker needs a job")
    if chosen["event_loop"] == "uvloop" and find_spec("uvloop") is None:
        raise chosen.wrong("event_loop", "builtin; for uvloop install it: pip install 'scaler-batch-adapter[uvloop]'")


def _worker(chosen: Chosen) -> WorkerSettings:
    tasks = _tasks(chosen)
    return WorkerSettings(
        scheduler_address=chosen["scheduler_address"],
        s3_bucket=chosen["s3_bucket"],
        tasks=tasks,
        s3_prefix=chosen["s3_prefix"],
        aws_region=chosen["aws_region"],
        name=_name(chosen),
        queue_size=chosen["task_queue_size"],
        shutdown_deadline=chosen["shutdown_deadline"],
        on_shutdown=chosen["on_shutdown"],
        match_vcpus=chosen["processes"] == "auto",
        object_storage=chosen["object_storage_address"],
        capabilities=chosen["per_worker_capabilities"] or (),
        routes=Routes.read(chosen.tables, tasks.shape, chosen.file),
        manager_id=_manager_id(chosen),
        tag_jobs=chosen["tag_jobs"] == "yes",
        payload_key=chosen["payload_key"],
        link=_link(chosen),
    )


def _tasks(chosen: Chosen) -> TaskManagerSettings:
    return TaskManagerSettings(
        client=_client(chosen["client_python"] or HERE),
        job_queue=chosen["job_queue"],
        job_definition=chosen["job_definition"],
        max_concurrent_jobs=chosen["max_concurrent_jobs"] // chosen["max_workers"],
        tasks_per_job=chosen["tasks_per_job"],
        processes=0 if chosen["processes"] == "auto" else chosen["processes"],
        job_attempts=chosen["job_attempts"],
        share_identifier=chosen["share_identifier"],
        scheduling_priority=chosen["scheduling_priority"],
        job_timeout=chosen["job_timeout_minutes"] * 60,
        inline_limit=_inline_limit(chosen),
        private=chosen["private"] == "yes",
        transfers=chosen["transfers"],
        renew_after=chosen["renew_after"],
        misconfiguration_patience=chosen["misconfiguration_patience"],
        credentials_patience=chosen["credentials_patience"],
        outage_patience=chosen["outage_patience"],
    )


def _inline_limit(chosen: Chosen) -> int:
    limit: int = chosen["inline_limit"]
    if chosen["private"] == "no":
        return limit
    if limit and "inline_limit" in chosen.given:
        raise chosen.wrong("inline_limit", "0, as private is yes: whoever may describe jobs reads their parameters")
    return 0


def _client(python: str) -> Client | None:
    """What clients write their tasks with: Scaler itself wants one Python on all sides, so probably what runs here."""
    return None if python == "any" else Client(python, version("cloudpickle"))


def _name(chosen: Chosen) -> str:
    return chosen["name"] or default_name()


def _manager_id(chosen: Chosen) -> bytes:
    given: str | None = chosen["worker_manager_id"]
    if given is not None:
        return given.encode()
    return new_manager_id(_name(chosen)) if chosen["mode"] == "dynamic" else b""


def _link(chosen: Chosen) -> LinkSettings:
    interval, silence = chosen["heartbeat_interval_seconds"], chosen["death_timeout_seconds"]
    if interval >= silence:
        raise chosen.wrong("heartbeat_interval_seconds", f"less than death_timeout_seconds, which is {silence:g}")
    if chosen["transport"] == "zmq" and parse(chosen["scheduler_address"]).scheme is not Scheme.TCP:
        raise chosen.wrong("transport", "auto or ymq: Scaler speaks ZMQ at tcp:// addresses only")
    return LinkSettings(
        transport=TransportKind(chosen["transport"]),
        heartbeat_interval=interval,
        silence_limit=silence,
        connect_timeout=CONNECT_WITHIN,
        goodbye_grace=min(GOODBYE_WITHIN, reserve(chosen["shutdown_deadline"]) / 2),
        io_threads=chosen["io_threads"],
        tls=_tls(chosen),
    )


def _tls(chosen: Chosen) -> TlsSettings:
    return TlsSettings(
        ca=chosen["tls_ca"],
        certificate=chosen["tls_cert"],
        key=chosen["tls_key"],
        server_name=chosen["tls_server_name"],
    )
