from __future__ import annotations

from pathlib import Path

import pytest

from scaler_batch.adapter.cli import main, parse, settings_of
from scaler_batch.adapter.errors import SettingsError
from scaler_batch.adapter.settings import WorkerSettings
from scaler_batch.tasks.errors import SettingsError as TaskSettingsError
from scaler_batch.wire import TransportKind

REQUIRED = ["--scheduler-address", "tcp://h:1", "--job-queue", "q", "--job-definition", "d", "--s3-bucket", "b"]


def settings(*arguments: str) -> WorkerSettings:
    return settings_of(parse(arguments))


def test_the_defaults_are_those_of_the_guide() -> None:
    chosen = settings(*REQUIRED)
    assert chosen.scheduler_address == "tcp://h:1"
    assert (chosen.s3_bucket, chosen.s3_prefix, chosen.aws_region) == ("b", "scaler-tasks", "us-east-1")
    assert (chosen.tasks.job_queue, chosen.tasks.job_definition) == ("q", "d")
    assert (chosen.tasks.max_concurrent_jobs, chosen.tasks.job_timeout) == (100, 3600)
    assert chosen.link.transport is TransportKind.AUTO


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        (["-mcj", "7"], "max_concurrent_jobs", 7),
        (["--max-concurrent-jobs", "8"], "max_concurrent_jobs", 8),
        (["--job-timeout", "10"], "job_timeout", 600),
        (["--job-timeout-minutes", "10"], "job_timeout", 600),
        (["--inline-limit", "0"], "inline_limit", 0),
        (["-q", "other"], "job_queue", "other"),
        (["-d", "other:3"], "job_definition", "other:3"),
    ],
)
def test_an_option_of_the_task_manager_arrives(arguments: list[str], field: str, value: object) -> None:
    assert getattr(settings(*REQUIRED, *arguments).tasks, field) == value


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        (["-n", "mine"], "name", "mine"),
        (["--s3-prefix", "p"], "s3_prefix", "p"),
        (["--aws-region", "eu-west-1"], "aws_region", "eu-west-1"),
        (["--task-queue-size", "5"], "queue_size", 5),
    ],
)
def test_an_option_of_the_worker_arrives(arguments: list[str], field: str, value: object) -> None:
    assert getattr(settings(*REQUIRED, *arguments), field) == value


def test_missing_options_are_all_named() -> None:
    with pytest.raises(SettingsError, match="--scheduler-address, --job-definition, --s3-bucket"):
        settings("--job-queue", "q")


def test_a_timeout_that_batch_would_refuse_is_refused_here() -> None:
    with pytest.raises(TaskSettingsError, match="60 s"):
        settings(*REQUIRED, "--job-timeout", "0")


def written(directory: Path, text: str) -> str:
    path = directory / "config.toml"
    path.write_text(text)
    return str(path)


def test_a_toml_file_gives_options_and_the_command_line_goes_first(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        [aws_hpc_worker_adapter]
        scheduler_address = "tcp://h:2"
        job_queue = "my-scaler-queue"
        job_definition = "my-scaler-job-def"
        s3_bucket = "my-scaler-tasks-bucket"
        aws_region = "us-west-2"
        max_concurrent_jobs = 50
        job_timeout = 5
        """,
    )
    chosen = settings("--config", path, "--max-concurrent-jobs", "60")
    assert chosen.s3_bucket == "my-scaler-tasks-bucket"
    assert chosen.aws_region == "us-west-2"
    assert (chosen.tasks.max_concurrent_jobs, chosen.tasks.job_timeout) == (60, 300)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[aws_hpc_worker_adapter]\njob_que = 'q'", "no option 'job_que'"),
        ("[aws_hpc_worker_adapter]\nmax_concurrent_jobs = 'many'", "has to be of type int"),
        ("[aws_hpc_worker_adapter]\ntransport = 'pigeon'", "has to be one of auto, zmq, ymq"),
        ("[aws_hpc_worker_adapter", "is not TOML"),
    ],
)
def test_a_wrong_toml_file_is_refused_with_a_reason(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        settings("--config", written(tmp_path, text), *REQUIRED)


def test_a_toml_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", "/nowhere/c.toml"]) == 2
    assert "/nowhere/c.toml cannot be read" in capsys.readouterr().err


def test_the_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for option in ("--scheduler-address", "-mcj", "--job-timeout", "--backend", "--inline-limit", "--log-level"):
        assert option in text
