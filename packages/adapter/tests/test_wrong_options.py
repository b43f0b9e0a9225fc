"""What is said of options that are wrong: where they stand, and what is allowed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from scaler_batch.adapter.cli import parser
from scaler_batch.adapter.configuration import program_of
from scaler_batch.adapter.errors import SettingsError
from scaler_batch.adapter.options import OPTIONS
from scaler_batch.adapter.sources import choose

REQUIRED = ["--scheduler-address", "tcp://h:1", "--job-queue", "q", "--job-definition", "d", "--s3-bucket", "bucket"]
SECTION = "[aws_hpc_worker_adapter]\n"


def written(directory: Path, text: str) -> str:
    path = directory / "config.toml"
    path.write_text(text)
    return str(path)


def refusal(*arguments: str, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as refused:
        program_of(choose(parser().parse_args(arguments), environment or {}))
    return str(refused.value)


WRONG: list[tuple[str, str, str]] = [
    ("max_concurrent_jobs", "0", "a whole number of at least 1"),
    ("max_concurrent_jobs", "many", "a whole number of at least 1"),
    ("max_concurrent_jobs", "9" * 30, "a whole number of at least 1"),
    ("job_timeout_minutes", "0", "a whole number from 1 to 525600"),
    ("job_attempts", "11", "a whole number from 1 to 10"),
    ("misconfiguration_patience", "-1", "seconds, at least 0"),
    ("credentials_patience", "inf", "seconds, at least 0"),
    ("outage_patience", "soon", "seconds, at least 0"),
    ("name", "..", "other than '.' and '..'"),
    ("name", ".", "other than '.' and '..'"),
    ("name", "a\x01b", "printable characters"),
    ("name", "n" * 65, "1 to 64"),
    ("tasks_per_job", "some", "or auto"),
    ("processes", "-1", "a whole number from 0 to 1024, or auto"),
    ("inline_limit", "99999", "a whole number from 0 to"),
    ("transfers", "0", "from 1 to 1024"),
    ("renew_after", "0", "seconds, at least 1"),
    ("payload_key", "00ff", "ssm:/PARAMETER or file:PATH"),
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
    ("scheduler_address", "h:1", "tcp://HOST:PORT, tls://HOST:PORT, ws://HOST:PORT or wss://HOST:PORT"),
    ("object_storage_address", "tcp://h", "tcp://HOST:PORT"),
    ("tls_server_name", "a b", "a host name or IP address"),
    ("name", "a b", "printable characters without spaces"),
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
    ("tag_jobs", "maybe", "one of yes, no"),
    ("private", "perhaps", "one of yes, no"),
    ("share_identifier", "two words", "a share identifier"),
    ("scheduling_priority", "10000", "a whole number from 0 to 9999"),
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
        config = written(tmp_path, f"{SECTION}{name} = {json.dumps(value)}")
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


def test_private_data_is_not_sent_in_parameters_by_another_option() -> None:
    said = refusal(*REQUIRED, "--private", "yes", "--inline-limit", "100")
    assert said.startswith("--inline-limit is '100' (command line); allowed: 0, as private is yes")


def test_zmq_is_refused_where_scaler_does_not_speak_it() -> None:
    others = ["--scheduler-address", "wss://h:1", *REQUIRED[2:]]
    assert refusal(*others, "--transport", "zmq") == (
        "--transport is 'zmq' (command line); allowed: auto or ymq: Scaler speaks ZMQ at tcp:// addresses only"
    )


@pytest.mark.parametrize("flag", ["--preload x", "--hard-processor-suspend"])
def test_an_option_of_scalers_own_workers_is_refused_with_what_to_do(flag: str) -> None:
    said = refusal(*REQUIRED, *flag.split())
    assert said.startswith(f"{flag.split()[0]} is an option of Scaler's own workers and has no meaning here: ")


def test_every_option_has_a_wrong_value() -> None:
    free_text = {
        "tls_ca",
        "tls_cert",
        "tls_key",
        "config",
        "from_provisioned",
        "job_definition",
        "logging_paths",
        "logging_config_file",
    }
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
    assert complaint in refusal("--config", written(tmp_path, SECTION + text), *REQUIRED)


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
