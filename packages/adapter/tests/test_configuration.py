"""From every source to the settings of the parts: which source goes over which, and what is said of wrong values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scaler_batch.adapter.cli import parser
from scaler_batch.adapter.configuration import program_of
from scaler_batch.adapter.options import HERE, OPTIONS
from scaler_batch.adapter.settings import ProgramSettings, default_name
from scaler_batch.adapter.sources import choose
from scaler_batch.payload.placement import INLINE_LIMIT
from scaler_batch.wire import Capability, TransportKind

REQUIRED = ["--scheduler-address", "tcp://h:1", "--job-queue", "q", "--job-definition", "d", "--s3-bucket", "bucket"]
ENV_FILE = """\
export SCALER_AWS_REGION="eu-central-1"
export SCALER_S3_BUCKET="provisioned-bucket"
export SCALER_JOB_QUEUE="provisioned-queue"
export SCALER_JOB_DEFINITION="provisioned-definition"
"""


def program(*arguments: str, environment: dict[str, str] | None = None) -> ProgramSettings:
    return program_of(choose(parser().parse_args(arguments), environment or {}))


def written(directory: Path, text: str, name: str = "config.toml") -> str:
    path = directory / name
    path.write_text(text)
    return str(path)


def test_the_defaults_are_those_of_the_guide() -> None:
    chosen = program(*REQUIRED)
    worker, tasks = chosen.worker, chosen.worker.tasks
    assert worker.scheduler_address == "tcp://h:1"
    assert (worker.s3_bucket, worker.s3_prefix, worker.aws_region) == ("bucket", "scaler-tasks", "us-east-1")
    assert (tasks.job_queue, tasks.job_definition) == ("q", "d")
    assert (tasks.max_concurrent_jobs, tasks.job_timeout, tasks.tasks_per_job) == (100, 3600, 1)
    assert (tasks.inline_limit, worker.on_shutdown) == (INLINE_LIMIT, "terminate")
    assert (worker.link.transport, worker.link.heartbeat_interval) == (TransportKind.AUTO, 2.0)
    assert tasks.client is not None
    assert tasks.client.python == HERE
    assert (chosen.fleet.mode, chosen.fleet.workers, chosen.metrics) == ("fixed", 1, None)


@pytest.mark.parametrize(
    ("arguments", "environment", "region"),
    [
        ((), {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-1"),
        ((), {"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-2"),
        ((), {"SCALER_BATCH_AWS_REGION": "eu-west-3", "AWS_REGION": "eu-west-1"}, "eu-west-3"),
        (("--aws-region", "eu-west-4"), {"AWS_REGION": "eu-west-1"}, "eu-west-4"),
    ],
)
def test_the_region_comes_from_the_options_and_then_from_the_configuration_of_aws(
    arguments: tuple[str, ...], environment: dict[str, str], region: str
) -> None:
    chosen = choose(parser().parse_args([*REQUIRED, *arguments]), environment)
    assert program_of(chosen).worker.aws_region == region


CASES: list[tuple[str, str, Any]] = [
    ("--max-concurrent-jobs 8", "worker.tasks.max_concurrent_jobs", 8),
    ("-mcj 8", "worker.tasks.max_concurrent_jobs", 8),
    ("--job-timeout 10", "worker.tasks.job_timeout", 600),
    ("--job-timeout-minutes 10", "worker.tasks.job_timeout", 600),
    ("--tag-jobs no", "worker.tag_jobs", False),
    ("--share-identifier blue", "worker.tasks.share_identifier", "blue"),
    ("--scheduling-priority 7", "worker.tasks.scheduling_priority", 7),
    ("--share-identifier blue", "worker.tasks.shape.share", "blue"),
    ("--job-attempts 2", "worker.tasks.job_attempts", 2),
    ("--misconfiguration-patience 90", "worker.tasks.misconfiguration_patience", 90.0),
    ("--credentials-patience 3600", "worker.tasks.credentials_patience", 3600.0),
    ("--outage-patience 60", "worker.tasks.outage_patience", 60.0),
    ("--tasks-per-job 5", "worker.tasks.tasks_per_job", 5),
    ("--tasks-per-job auto", "worker.tasks.tasks_per_job", "auto"),
    ("--processes 4", "worker.tasks.processes", 4),
    ("--processes 4", "worker.match_vcpus", False),
    ("--processes auto", "worker.match_vcpus", True),
    ("--inline-limit 0", "worker.tasks.inline_limit", 0),
    ("--transfers 3", "worker.tasks.transfers", 3),
    ("--renew-after 3600", "worker.tasks.renew_after", 3600.0),
    ("--payload-key ssm:/mine/key", "worker.payload_key", "ssm:/mine/key"),
    ("--payload-key file:/etc/key", "worker.payload_key", "file:/etc/key"),
    ("--client-python 3.12", "worker.tasks.client.python", "3.12"),
    ("--client-python any", "worker.tasks.client", None),
    ("-q other", "worker.tasks.job_queue", "other"),
    ("--job-queue other", "worker.tasks.job_queue", "other"),
    ("-d other:3", "worker.tasks.job_definition", "other:3"),
    ("--job-definition other", "worker.tasks.job_definition", "other"),
    ("--s3-bucket other", "worker.s3_bucket", "other"),
    ("--s3-prefix a/b", "worker.s3_prefix", "a/b"),
    ("--s3-prefix=", "worker.s3_prefix", ""),
    ("--aws-region eu-west-1", "worker.aws_region", "eu-west-1"),
    ("--backend batch", "worker.tasks.job_queue", "q"),
    ("-b BATCH", "worker.tasks.job_queue", "q"),
    ("--name mine", "worker.name", "mine"),
    ("-n mine", "worker.name", "mine"),
    ("--task-queue-size 5", "worker.queue_size", 5),
    ("--per-worker-task-queue-size 5", "worker.queue_size", 5),
    ("-wtqs 5", "worker.queue_size", 5),
    ("--per-worker-capabilities linux,cpu=4", "worker.capabilities", (Capability("linux"), Capability("cpu", 4))),
    ("-pwc linux", "worker.capabilities", (Capability("linux"),)),
    ("--scheduler-address tcp://other:2", "worker.scheduler_address", "tcp://other:2"),
    ("--object-storage-address tcp://o:2", "worker.object_storage", "tcp://o:2"),
    ("-osa tcp://o:2", "worker.object_storage", "tcp://o:2"),
    ("--transport zmq", "worker.link.transport", TransportKind.ZMQ),
    ("--heartbeat-interval-seconds 1.5", "worker.link.heartbeat_interval", 1.5),
    ("--heartbeat-interval 3", "worker.link.heartbeat_interval", 3.0),
    ("-his 3", "worker.link.heartbeat_interval", 3.0),
    ("--death-timeout-seconds 60", "worker.link.silence_limit", 60.0),
    ("--death-timeout 60", "worker.link.silence_limit", 60.0),
    ("-dts 60", "worker.link.silence_limit", 60.0),
    ("--on-shutdown drain", "worker.on_shutdown", "drain"),
    ("--shutdown-deadline 100", "worker.shutdown_deadline", 100.0),
    ("--mode dynamic", "fleet.mode", "dynamic"),
    ("--max-workers 4", "fleet.workers", 4),
    ("--max-workers 4", "worker.tasks.max_concurrent_jobs", 25),
    ("--max-task-concurrency 4", "fleet.workers", 4),
    ("-mtc 4", "fleet.workers", 4),
    ("--worker-manager-id wm", "worker.manager_id", b"wm"),
    ("-wmi wm", "worker.manager_id", b"wm"),
    ("--scale-down-cooldown-seconds 0", "fleet.cooldown", 0.0),
    ("-sdc 5", "fleet.cooldown", 5.0),
    ("--event-loop builtin", "event_loop", "builtin"),
    ("-el uvloop", "event_loop", "uvloop"),
    ("--io-threads 4", "worker.link.io_threads", 4),
    ("-it 2", "worker.link.io_threads", 2),
    ("--log-level debug", "logs.level", "DEBUG"),
    ("--logging-level ERROR", "logs.level", "ERROR"),
    ("-ll WARNING", "logs.level", "WARNING"),
    ("--log-format json", "logs.format", "json"),
    ("--logging-format json", "logs.format", "json"),
    ("--logging-paths a b", "logs.paths", ("a", "b")),
    ("--log-paths a", "logs.paths", ("a",)),
    ("-lp a", "logs.paths", ("a",)),
    ("--scheduler-address wss://other:2/path", "worker.scheduler_address", "wss://other:2/path"),
    ("--tls-ca ca.pem", "worker.link.tls.ca", "ca.pem"),
    ("--tls-cert c.pem", "worker.link.tls.certificate", "c.pem"),
    ("-tc c.pem", "worker.link.tls.certificate", "c.pem"),
    ("--tls-key k.pem", "worker.link.tls.key", "k.pem"),
    ("-tk k.pem", "worker.link.tls.key", "k.pem"),
    ("--tls-server-name scheduler.example", "worker.link.tls.server_name", "scheduler.example"),
    ("--private yes", "worker.tasks.private", True),
    ("--private yes", "worker.tasks.inline_limit", 0),
    ("--private yes", "logs.private", True),
    ("--private yes --inline-limit 0", "worker.tasks.inline_limit", 0),
    ("--private no", "worker.tasks.inline_limit", INLINE_LIMIT),
    ("--logging-config-file a.conf", "logs.file", "a.conf"),
    ("-lcf a.conf", "logs.file", "a.conf"),
    ("--metrics-port 0", "metrics.port", 0),
    ("--metrics-port 1 --metrics-host 0.0.0.0", "metrics.host", "0.0.0.0"),
]


def field(settings: Any, path: str) -> Any:
    for name in path.split("."):
        settings = getattr(settings, name)
    return settings


@pytest.mark.parametrize(("flags", "path", "value"), CASES)
def test_an_option_of_the_command_line_arrives(flags: str, path: str, value: Any) -> None:
    assert field(program(*REQUIRED, *flags.split()), path) == value


def test_every_flag_has_a_case() -> None:
    tried = {word.partition("=")[0] for flags, _, _ in CASES for word in flags.split()}
    assert {flag for option in OPTIONS for flag in option.flags} - tried == {"--config", "--from-provisioned"}


# Those that a file or a variable can hold as they stand.
ONE_WORD = pytest.mark.parametrize(
    ("flag", "text", "path", "value"),
    [(*flags.split(), *rest) for flags, *rest in CASES if flags.startswith("--") and len(flags.split()) == 2],
)


def required_but(flag: str) -> list[str]:
    """The required options as flags, without this one."""
    pairs = zip(REQUIRED[::2], REQUIRED[1::2], strict=True)
    return [word for pair in pairs if pair[0] != flag for word in pair]


@ONE_WORD
def test_an_option_of_the_environment_arrives(flag: str, text: str, path: str, value: Any) -> None:
    environment = {variable_of(flag): text}
    assert field(program(*required_but(flag), environment=environment), path) == value


@ONE_WORD
def test_an_option_of_a_file_arrives_by_each_of_its_names(
    tmp_path: Path, flag: str, text: str, path: str, value: Any
) -> None:
    config = written(tmp_path, toml_of({key_of(flag): text}))
    assert field(program(*required_but(flag), "--config", config), path) == value


@ONE_WORD
def test_what_an_earlier_source_says_a_later_one_cannot_even_spoil(
    tmp_path: Path, flag: str, text: str, path: str, value: Any
) -> None:
    wrong = [5, "?"]
    config, others = written(tmp_path, toml_of({key_of(flag): wrong})), required_but(flag)
    assert field(program(*others, "--config", config, environment={variable_of(flag): text}), path) == value
    environment = {variable_of(flag): "?", "SCALER_BATCH_CONFIG": config}
    assert field(program(*others, flag, text, environment=environment), path) == value


def key_of(flag: str) -> str:
    return flag[2:].replace("-", "_")


def variable_of(flag: str) -> str:
    return "SCALER_BATCH_" + key_of(flag).upper()


def toml_of(values: dict[str, object]) -> str:
    return "[aws_hpc_worker_adapter]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


REQUIRED_TOML = {
    "scheduler_address": "tcp://h:2",
    "job_queue": "toml-queue",
    "job_definition": "toml-definition",
    "s3_bucket": "toml-bucket",
}


@pytest.mark.parametrize(
    ("name", "given", "path", "value"),
    [
        ("max_concurrent_jobs", 50, "worker.tasks.max_concurrent_jobs", 50),
        ("job_timeout", 5, "worker.tasks.job_timeout", 300),
        ("job_timeout_minutes", 5, "worker.tasks.job_timeout", 300),
        ("heartbeat_interval_seconds", 1, "worker.link.heartbeat_interval", 1.0),
        ("logging_paths", ["a", "b"], "logs.paths", ("a", "b")),
        ("tasks_per_job", 7, "worker.tasks.tasks_per_job", 7),
        ("capabilities", {}, "worker.capabilities", ()),
    ],
)
def test_what_a_toml_file_has_types_for_arrives(
    tmp_path: Path, name: str, given: object, path: str, value: object
) -> None:
    shown = "{}" if given == {} else json.dumps(given)
    config = written(tmp_path, toml_of(REQUIRED_TOML) + f"{name} = {shown}\n")
    chosen = program("--config", config)
    assert chosen.worker.s3_bucket == "toml-bucket"
    assert field(chosen, path) == value


def test_the_command_line_goes_over_the_environment_over_the_file_over_the_provisioners(tmp_path: Path) -> None:
    handover = written(tmp_path, ENV_FILE, "aws.env")
    config = written(
        tmp_path,
        toml_of(
            {
                "scheduler_address": "tcp://toml:1",
                "job_queue": "toml",
                "s3_bucket": "toml",
                "job_definition": "toml",
                "from_provisioned": handover,
            }
        ),
    )
    environment = {
        "SCALER_BATCH_CONFIG": config,
        "SCALER_BATCH_S3_BUCKET": "environment",
        "SCALER_BATCH_JOB_DEFINITION": "environment",
        "SCALER_BATCH_NAME": "",
    }
    worker = program("--job-definition", "flag", environment=environment).worker
    assert worker.tasks.job_definition == "flag"
    assert worker.s3_bucket == "environment"
    assert worker.tasks.job_queue == "toml"
    assert worker.aws_region == "eu-central-1"
    assert worker.name == default_name()


def test_a_dynamic_worker_has_a_manager_id_of_its_own() -> None:
    first, second = (program(*REQUIRED, "--mode", "dynamic").worker.manager_id for _ in range(2))
    assert first != second
    assert program(*REQUIRED).worker.manager_id == b""


ROUTES = """
[aws_hpc_worker_adapter.capabilities.gpu]
job_queue = "gpu-queue"
job_definition = "gpu-definition"
gpus = 1
vcpus = 4
memory = 16384
job_timeout_minutes = 120

[aws_hpc_worker_adapter.capabilities.large]
memory = 65536
"""


def test_tables_of_capabilities_say_where_tasks_go(tmp_path: Path) -> None:
    worker = program("--config", written(tmp_path, toml_of(REQUIRED_TOML) + ROUTES), "-pwc", "linux,gpu=8").worker
    gpu, large = worker.routes.shape_for(["gpu"]), worker.routes.shape_for(["other", "large"])
    assert gpu is not None
    assert (gpu.queue, gpu.definition, gpu.gpus, gpu.vcpus, gpu.memory) == ("gpu-queue", "gpu-definition", 1, 4, 16384)
    assert gpu.timeout == 7200
    assert large is not None
    assert (large.queue, large.memory, large.timeout) == ("toml-queue", 65536, 3600)
    assert worker.routes.shape_for(["large", "gpu"]) == gpu
    assert worker.routes.shape_for(["linux"]) is None
    assert gpu == worker.routes.shape_for([""], "gpu")
    assert worker.routes.shape_for([], "gpu") is None
    assert worker.routes.shape_for([""]) is None
    assert worker.announced() == (Capability("linux"),)
    assert set(worker.announced("gpu")) == {Capability("gpu", 8), Capability("linux")}
    assert set(worker.announced("large")) == {Capability("large"), Capability("linux")}
    assert set(worker.announced_at_most()) == {Capability("gpu", 8), Capability("large"), Capability("linux")}
