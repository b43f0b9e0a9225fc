"""From every source to the settings of the parts: which source goes over which, and what is said of wrong values."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from scaler_batch.adapter.cli import parser
from scaler_batch.adapter.configuration import program_of
from scaler_batch.adapter.errors import SettingsError
from scaler_batch.adapter.options import HERE, OPTIONS
from scaler_batch.adapter.settings import ProgramSettings
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


def refusal(*arguments: str, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as refused:
        program(*arguments, environment=environment)
    return str(refused.value)


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


CASES: list[tuple[str, str, Any]] = [
    ("--max-concurrent-jobs 8", "worker.tasks.max_concurrent_jobs", 8),
    ("-mcj 8", "worker.tasks.max_concurrent_jobs", 8),
    ("--job-timeout 10", "worker.tasks.job_timeout", 600),
    ("--job-timeout-minutes 10", "worker.tasks.job_timeout", 600),
    ("--job-attempts 2", "worker.tasks.job_attempts", 2),
    ("--tasks-per-job 5", "worker.tasks.tasks_per_job", 5),
    ("--tasks-per-job auto", "worker.tasks.tasks_per_job", "auto"),
    ("--processes 4", "worker.tasks.processes", 4),
    ("--processes 4", "worker.match_vcpus", False),
    ("--processes auto", "worker.match_vcpus", True),
    ("--inline-limit 0", "worker.tasks.inline_limit", 0),
    ("--transfers 3", "worker.tasks.transfers", 3),
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


@pytest.mark.parametrize(
    ("flags", "path", "value"), [case for case in CASES if case[0].startswith("--") and len(case[0].split()) == 2]
)
def test_an_option_of_the_environment_arrives(flags: str, path: str, value: Any) -> None:
    flag, text = flags.split()
    required = dict(zip(REQUIRED[::2], REQUIRED[1::2], strict=True))
    required.pop(flag, None)
    environment = {"SCALER_BATCH_" + flag[2:].replace("-", "_").upper(): text}
    base = [word for pair in required.items() for word in pair]
    assert field(program(*base, environment=environment), path) == value


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
        ("max_concurrent_jobs", "51", "worker.tasks.max_concurrent_jobs", 51),
        ("job_timeout", 5, "worker.tasks.job_timeout", 300),
        ("job_timeout_minutes", 5, "worker.tasks.job_timeout", 300),
        ("heartbeat_interval_seconds", 1, "worker.link.heartbeat_interval", 1.0),
        ("logging_paths", ["a", "b"], "logs.paths", ("a", "b")),
        ("logging_paths", "a", "logs.paths", ("a",)),
        ("tasks_per_job", "auto", "worker.tasks.tasks_per_job", "auto"),
        ("capabilities", {}, "worker.capabilities", ()),
        ("per_worker_capabilities", "linux", "worker.capabilities", (Capability("linux"),)),
    ],
)
def test_an_option_of_a_toml_file_arrives(tmp_path: Path, name: str, given: object, path: str, value: object) -> None:
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
    assert worker.name == "aws-batch"


@pytest.mark.parametrize("kind", ["lines", "json"])
def test_what_the_provisioner_writes_is_understood(tmp_path: Path, kind: str) -> None:
    record = {
        "version": 1,
        "region": "eu-central-1",
        "resources": {
            "bucket": {"name": "provisioned-bucket", "arn": "…"},
            "job_queue": {"name": "provisioned-queue", "arn": "…"},
            "job_definition": {"name": "provisioned-definition", "arn": "…"},
        },
    }
    file = written(tmp_path, ENV_FILE if kind == "lines" else json.dumps(record), "handover")
    worker = program("--scheduler-address", "tcp://h:1", "--from-provisioned", file).worker
    assert (worker.s3_bucket, worker.aws_region) == ("provisioned-bucket", "eu-central-1")
    assert (worker.tasks.job_queue, worker.tasks.job_definition) == ("provisioned-queue", "provisioned-definition")


WRONG: list[tuple[str, str, str]] = [
    ("max_concurrent_jobs", "0", "a whole number of at least 1"),
    ("max_concurrent_jobs", "many", "a whole number of at least 1"),
    ("max_concurrent_jobs", "9" * 30, "a whole number of at least 1"),
    ("job_timeout_minutes", "0", "a whole number from 1 to 525600"),
    ("job_attempts", "11", "a whole number from 1 to 10"),
    ("tasks_per_job", "some", "or auto"),
    ("processes", "-1", "a whole number from 0 to 1024, or auto"),
    ("inline_limit", "99999", "a whole number from 0 to"),
    ("transfers", "0", "from 1 to 1024"),
    ("client_python", "2.7", "a minor version such as 3.12, or any"),
    ("backend", "slurm", "one of batch"),
    ("transport", "pigeon", "one of auto, zmq, ymq"),
    ("on_shutdown", "explode", "one of drain, terminate"),
    ("mode", "static", "one of fixed, dynamic"),
    ("event_loop", "twisted", "one of builtin, uvloop"),
    ("io_threads", "0", "a whole number from 1 to 64"),
    ("log_level", "loud", "one of DEBUG, INFO"),
    ("log_format", "xml", "one of text, json"),
    ("metrics_port", "70000", "a whole number from 0 to 65535"),
    ("metrics_host", "a b", "an address of this machine"),
    ("heartbeat_interval_seconds", "0", "seconds, at least 0.1"),
    ("heartbeat_interval_seconds", "inf", "seconds, at least 0.1"),
    ("heartbeat_interval_seconds", "400", "less than death_timeout_seconds, which is 300"),
    ("death_timeout_seconds", "0", "seconds, at least 1"),
    ("shutdown_deadline", "soon", "seconds, at least 1"),
    ("scale_down_cooldown_seconds", "-1", "seconds, at least 0"),
    ("scheduler_address", "h:1", "tcp://HOST:PORT"),
    ("object_storage_address", "tcp://h", "tcp://HOST:PORT"),
    ("name", "a b", "a name without spaces"),
    ("task_queue_size", "0", "a whole number from 1 to"),
    ("per_worker_capabilities", "cpu=many", "linux,cpu=4"),
    ("worker_manager_id", "é", "printable"),
    ("max_workers", "101", "up to 100, which is max_concurrent_jobs"),
    ("s3_bucket", "a bucket", "the name of a bucket"),
    ("s3_prefix", "a//b", "a/b/c"),
    ("s3_prefix", "/a", "a/b/c"),
    ("s3_prefix", "a/../b", "a/b/c"),
    ("s3_prefix", "p" * 300, "characters, "),
    ("aws_region", "us east 1", "the name of an AWS region"),
    ("job_queue", " ", "text that is not empty"),
]


@pytest.mark.parametrize("source", ["command line", "environment", "TOML"])
@pytest.mark.parametrize(("name", "value", "allowed"), WRONG)
def test_a_wrong_value_says_where_it_stands_and_what_is_allowed(
    tmp_path: Path, source: str, name: str, value: str, allowed: str
) -> None:
    flag = "--" + name.replace("_", "-")
    given = {**dict(zip(REQUIRED[::2], REQUIRED[1::2], strict=True))}
    given.pop(flag, None)
    base = [word for pair in given.items() for word in pair]
    if source == "command line":
        said, place = refusal(*base, f"{flag}={value}"), f"{flag} is"
    elif source == "environment":
        variable = "SCALER_BATCH_" + name.upper()
        said, place = refusal(*base, environment={variable: value}), f"{variable} is"
    else:
        config = written(tmp_path, toml_of({name: value}))
        said, place = refusal(*base, "--config", config), f"{name} is"
        assert f"({config}, section [aws_hpc_worker_adapter])" in said
    assert said.startswith(place)
    assert allowed in said
    assert len(said) < 400


def test_uvloop_that_is_not_installed_is_said_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)  # as if it were not there
    assert refusal(*REQUIRED, "--event-loop", "uvloop") == (
        "--event-loop is 'uvloop' (command line); allowed: builtin; "
        "for uvloop install it: pip install 'scaler-batch-adapter[uvloop]'"
    )


@pytest.mark.parametrize("flag", ["--preload x", "--hard-processor-suspend", "--tls-cert x"])
def test_an_option_of_scalers_own_workers_is_refused_with_what_to_do(flag: str) -> None:
    said = refusal(*REQUIRED, *flag.split())
    assert said.startswith(f"{flag.split()[0]} is an option of Scaler's own workers and has no meaning here: ")


def test_every_option_has_a_wrong_value() -> None:
    free_text = {"config", "from_provisioned", "job_definition", "logging_paths", "logging_config_file"}
    assert {option.name for option in OPTIONS} - {name for name, _, _ in WRONG} == free_text


def test_all_that_is_wrong_is_said_at_once() -> None:
    said = refusal("--job-queue", "q", "-mcj", "x", environment={"SCALER_BATCH_TRANSPORT": "y"})
    assert len(said.splitlines()) == 3
    assert "missing --scheduler-address, --job-definition, --s3-bucket; see --help" in said


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[aws_hpc_worker_adapter]\njob_que = 'q'", "no option 'job_que'; did you mean 'job_queue'?"),
        ("[aws_hpc_worker_adapter]\nmax-concurrent-jobs = 5", "did you mean 'max_concurrent_jobs'?"),
        ("[aws_hpc_worker_adapter]\nzzz = 5", "no option 'zzz'; see --help"),
        ("[aws_hpc_worker_adapter]\npreload = 'x'", "is an option of Scaler's own workers"),
        ("[aws_hpc_worker_adapter]\nmax_concurrent_jobs = true", "max_concurrent_jobs is True"),
        ("[aws_hpc_worker_adapter]\nlogging_paths = [1]", "one path or several"),
        ("[aws_hpc_worker_adapter]\nfrom_provisioned = 7", "the path of a file"),
        ("[aws_hpc_worker_adaptor]\njob_queue = 'q'", "did you mean 'aws_hpc_worker_adaptor'?"),
        ("", "has no section [aws_hpc_worker_adapter]"),
        ("[aws_hpc_worker_adapter", "is not TOML"),
    ],
)
def test_a_wrong_toml_file_is_refused_with_a_reason(tmp_path: Path, text: str, complaint: str) -> None:
    assert complaint in refusal("--config", written(tmp_path, text), *REQUIRED)


@pytest.mark.parametrize("option", ["--config", "--from-provisioned"])
def test_a_file_that_is_not_there_is_named_with_who_named_it(option: str) -> None:
    said = refusal(option, "/nowhere/file", *REQUIRED)
    assert said == f"/nowhere/file cannot be read: No such file or directory ({option}, command line)"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "it sets none of SCALER_AWS_REGION"),
        ("export OTHER=1\n", "it sets none of"),
        ("echo hello\n", "not an assignment"),
        ('SCALER_JOB_QUEUE="$HOME"\n', "not an assignment of a plain value"),
        ('SCALER_JOB_QUEUE="open\n', "No closing quotation"),
        ("{", "is not a file of scaler-batch-provision"),
        ("{}", "not a record of resources"),
        ('{"resources": 5, "region": "r"}', "is not a file of scaler-batch-provision"),
        ('{"region": "r", "resources": {"bucket": {}}}', "not a record of resources"),
        ("\x00", "is not a file of scaler-batch-provision"),
    ],
)
def test_a_file_that_is_not_the_provisioners_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    assert complaint in refusal("--from-provisioned", written(tmp_path, text), "--scheduler-address", "tcp://h:1")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xff\xfe")
    assert "is not text" in refusal("--config", str(path), *REQUIRED)


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


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("capabilities.gpu = 1", "capabilities.gpu is 1"),
        ("[aws_hpc_worker_adapter.capabilities.gpu]\ngpu = 1", "no option 'gpu'; did you mean 'gpus'?"),
        ("[aws_hpc_worker_adapter.capabilities.gpu]\ngpus = 0", "a whole number of at least 1"),
        ("[aws_hpc_worker_adapter.capabilities.gpu]\nvcpus = 0.1", "vCPUs, at least 0.25"),
        ("capabilities = 'gpu'", "no option 'capabilities'"),
    ],
)
def test_a_wrong_table_of_a_capability_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    assert complaint in refusal("--config", written(tmp_path, toml_of(REQUIRED_TOML) + text))


def test_a_dynamic_worker_has_a_manager_id_of_its_own() -> None:
    first, second = (program(*REQUIRED, "--mode", "dynamic").worker.manager_id for _ in range(2))
    assert first != second
    assert program(*REQUIRED).worker.manager_id == b""
