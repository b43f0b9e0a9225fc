from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scaler_batch.adapter import cli
from scaler_batch.adapter.cli import main
from scaler_batch.adapter.errors import ResourceError
from scaler_batch.adapter.options import OPTIONS
from scaler_batch.adapter.settings import ProgramSettings
from scaler_batch.wire import ConnectionLostError

REQUIRED = ["--scheduler-address", "tcp://h:1", "--job-queue", "q", "--job-definition", "d", "--s3-bucket", "bucket"]


def test_the_help_names_every_option_by_each_of_its_names(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    words = capsys.readouterr().out.replace(",", " ").split()
    assert {flag for option in OPTIONS for flag in option.flags} - set(words) == set()


def test_no_two_options_share_a_name() -> None:
    flags = [flag for option in OPTIONS for flag in option.flags]
    assert len(flags) == len(set(flags))


def test_a_wrong_value_ends_with_2_and_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*REQUIRED, "-mcj", "many"]) == 2
    said = capsys.readouterr().err
    assert said == (
        "scaler-batch-worker: --max-concurrent-jobs is 'many' (command line); allowed: a whole number of at least 1\n"
    )


def test_a_file_for_tls_that_cannot_be_used_ends_with_2_and_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*REQUIRED, "--tls-ca", "/nowhere/ca.pem"]) == 2
    said = capsys.readouterr().err
    assert said == "scaler-batch-worker: /nowhere/ca.pem cannot be read: No such file or directory (--tls-ca)\n"


def test_an_option_that_does_not_exist_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*REQUIRED, "--max-concurrent", "5"])
    assert ended.value.code == 2
    assert "--max-concurrent" in capsys.readouterr().err


def test_what_is_in_force_can_be_shown_with_its_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[aws_hpc_worker_adapter]\naws_region = "eu-west-1"\n')
    monkeypatch.setenv("SCALER_BATCH_MAX_CONCURRENT_JOBS", "7")
    assert main([*REQUIRED, "--config", str(config), "--show-settings"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert "job_queue = q  (--job-queue, command line)" in shown
    assert "max_concurrent_jobs = 7  (SCALER_BATCH_MAX_CONCURRENT_JOBS, environment)" in shown
    assert f"aws_region = eu-west-1  (aws_region, {config}, section [aws_hpc_worker_adapter])" in shown
    assert "tasks_per_job = 1  (default)" in shown


@pytest.mark.parametrize(
    "error", [ResourceError("no bucket"), ExceptionGroup("both", [ConnectionLostError("no bucket")])]
)
def test_a_worker_that_cannot_work_ends_with_1_and_says_why(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail(_: ProgramSettings, told: object) -> None:
        raise error

    monkeypatch.setattr(cli, "run_program", fail)
    assert main([*REQUIRED, "--logging-paths", os.devnull]) == 1
    assert capsys.readouterr().err == "scaler-batch-worker: no bucket\n"


@pytest.mark.parametrize(
    "keeps", ["atexit.register(time.sleep, 60)", "threading.Thread(target=time.sleep, args=(60,)).start()"]
)
def test_nothing_keeps_the_process_when_the_worker_has_ended(keeps: str) -> None:
    required = "--scheduler-address tcp://127.0.0.1:1 --job-queue q --job-definition d --s3-bucket bucket"
    code = f"import atexit, threading, time; from scaler_batch.adapter.cli import program; {keeps}; program()"
    command = [sys.executable, "-c", code, *required.split(), "--show-settings"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    assert (done.returncode, done.stderr) == (0, "")
    assert "job_queue" in done.stdout


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scaler_batch.adapter", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == cli.__version__
