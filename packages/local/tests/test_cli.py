from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest

from scaler_batch.local import __version__, state
from scaler_batch.local.cli import main
from scaler_batch.local.errors import AlreadyRunningError, NotRunningError

pytestmark = pytest.mark.long

COMMAND = [sys.executable, "-m", "scaler_batch.local"]

Up = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def up(directory: Path) -> Iterator[Up]:
    """Start ``up`` and wait until it says that it is ready."""
    started: list[subprocess.Popen[str]] = []

    def start(*options: str) -> subprocess.Popen[str]:
        command = [*COMMAND, "up", "--jobs", "spawn", "--state-dir", str(directory), *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("export AWS_ENDPOINT_URL=")
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def session_of(variables: Mapping[str, str]) -> boto3.session.Session:
    key, secret = variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"]
    return boto3.session.Session(key, secret, region_name=variables["AWS_REGION"])


def run(directory: Path, *arguments: str) -> int:
    return main([*arguments, "--state-dir", str(directory)])


def test_up_status_reset_down(up: Up, directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env_file = tmp_path / "env"
    process = up("--env-file", str(env_file))
    assert run(directory, "status") == 0
    assert f"process {process.pid}, 0 calls" in capsys.readouterr().out
    shell = (
        f". {env_file}; {sys.executable} -c \"import boto3; boto3.client('s3').create_bucket(Bucket='from-a-shell')\""
    )
    subprocess.run(["sh", "-c", shell], check=True)
    assert run(directory, "status") == 0
    assert "1 call\n" in capsys.readouterr().out
    assert run(directory, "reset") == 0
    assert run(directory, "status") == 0
    assert "0 calls" in capsys.readouterr().out
    assert run(directory, "down") == 0
    assert process.wait(10) == 0
    assert not env_file.exists()
    assert not directory.exists()


def test_ctrl_c_stops_everything_and_leaves_nothing(up: Up, directory: Path, processes: Any) -> None:
    process = up()
    (host,) = processes.children(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    assert processes.alive([host]) == []
    assert not directory.exists()


def test_a_directory_has_one_server_until_that_is_dead(
    up: Up, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = up()
    assert run(directory, "up") == 1
    assert "runs already" in capsys.readouterr().err
    first.kill()
    first.wait()
    assert (directory / "server.json").exists()
    assert run(directory, "status") == 3
    assert "no local AWS runs" in capsys.readouterr().err
    second = up()
    assert run(directory, "status") == 0
    assert run(directory, "down") == 0
    assert second.wait(10) == 0


def test_without_a_server_there_is_nothing_to_see_or_stop(directory: Path) -> None:
    assert run(directory, "status") == 3
    assert run(directory, "reset") == 3
    assert run(directory, "down") == 0


def test_a_server_that_cannot_start_says_why_and_leaves_nothing(directory: Path) -> None:
    command = [*COMMAND, "up", "--job-python", "/no/such/python", "--state-dir", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot run the interpreter" in done.stderr
    assert not directory.exists()


@pytest.mark.parametrize("wrong", [["--delay", "ASLEEP=1"], ["--delay", "RUNNABLE=soon"], ["--jobs", "magic"]])
def test_options_are_checked(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        main(["up", *wrong])
    assert refusal.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_settings_out_of_range_are_refused(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(directory, "up", "--slots", "0") == 1
    assert "slots must be at least 1" in capsys.readouterr().err


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.strip() == __version__


def test_places_that_cannot_be_written_are_named(directory: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for option, path in (("--state-dir", file / "state"), ("--env-file", tmp_path / "nowhere" / "aws.env")):
        command = [*COMMAND, "up", "--jobs", "spawn", "--state-dir", str(directory), option, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert re.fullmatch(rf"scaler-batch-local: cannot .*{path}: .*\n", done.stderr)
    assert not directory.exists()


def test_what_cannot_be_made_is_said_and_nothing_runs(directory: Path) -> None:
    command = [*COMMAND, "up", "--jobs", "spawn", "--state-dir", str(directory), "--bucket", "No_Bucket"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "bucket, queue and definition cannot be made" in done.stderr
    assert "InvalidBucketName" in done.stderr
    assert not directory.exists()


def test_a_directory_is_held_by_one_and_free_afterwards(directory: Path) -> None:
    with state.claimed(directory) as file:
        assert state.is_held(directory)
        with pytest.raises(NotRunningError, match="not ready"):
            state.read(directory)
        running = state.Running(1, "http://x", {"AWS_REGION": "us-east-1"})
        file.write(running)
        assert state.read(directory) == running
        with pytest.raises(AlreadyRunningError), state.claimed(directory):
            pass
        assert not state.wait_until_free(directory, 0.1)
    assert state.wait_until_free(directory, 0.1)
    assert not directory.exists()


@pytest.mark.parametrize(
    "left",
    [
        b"",
        b"{",
        b"[]",
        b'{"pid": 1}',
        b"\xff",
        b'{"pid": 0, "endpoint_url": "u", "variables": {}}',
        b'{"pid": 9999999999999999999999, "endpoint_url": "u", "variables": {}}',
        b'{"pid": true, "endpoint_url": "u", "variables": {}}',
        b'{"pid": 1, "endpoint_url": 1, "variables": {}}',
        b'{"pid": 1, "endpoint_url": "u", "variables": {"a b": "x"}}',
        b'{"pid": 1, "endpoint_url": "u", "variables": {"A": "\\u001b[31m"}}',
        b'{"pid": 1, "endpoint_url": "u", "variables": {"A": 1}}',
    ],
)
def test_nonsense_in_the_file_is_no_server(directory: Path, left: bytes) -> None:
    with state.claimed(directory) as file:
        os.pwrite(file.descriptor, left, 0)
        with pytest.raises(NotRunningError):
            state.read(directory)


def test_the_default_directory_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert state.default_directory() == tmp_path / "scaler-batch-local"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "gone"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "kept"))
    assert state.default_directory() == tmp_path / "kept" / "scaler-batch-local"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state.default_directory() == tmp_path / ".local" / "state" / "scaler-batch-local"


@pytest.mark.parametrize(
    ("options", "made"),
    [
        ([], {"BUCKET": ["local-bucket"], "QUEUE": ["local-queue"], "DEFINITION": ["local-runner"]}),
        (["--queue", "line"], {"BUCKET": ["local-bucket"], "QUEUE": ["line"], "DEFINITION": ["local-runner"]}),
        (["--bare", "--queue", "line"], {"BUCKET": [], "QUEUE": ["line"], "DEFINITION": []}),
        (["--bare"], {"BUCKET": [], "QUEUE": [], "DEFINITION": []}),
    ],
)
def test_up_makes_a_bucket_a_queue_and_a_definition_unless_it_is_to_be_bare(
    up: Up, directory: Path, options: list[str], made: dict[str, list[str]]
) -> None:
    up(*options)
    variables = state.read(directory).variables
    session = session_of(variables)
    s3, batch = (session.client(name, endpoint_url=variables["AWS_ENDPOINT_URL"]) for name in ("s3", "batch"))
    assert {
        "BUCKET": [each["Name"] for each in s3.list_buckets()["Buckets"]],
        "QUEUE": [each["jobQueueName"] for each in batch.describe_job_queues()["jobQueues"]],
        "DEFINITION": [each["jobDefinitionName"] for each in batch.describe_job_definitions()["jobDefinitions"]],
    } == made
    told = {"BUCKET": "SCALER_S3_BUCKET", "QUEUE": "SCALER_JOB_QUEUE", "DEFINITION": "SCALER_JOB_DEFINITION"}
    assert {kind: [variables[name]] if name in variables else [] for kind, name in told.items()} == made
    s3.close()
    batch.close()


def test_up_makes_what_it_is_asked_for_and_says_how_it_is_called(
    up: Up, directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "aws.env"
    up("--env-file", str(file), "--region", "eu-west-1", "--bucket", "mine", "--queue", "line", "--definition", "work")
    variables = dict(re.findall(r"export (\w+)=(.*)", file.read_text()))
    assert {name: value for name, value in variables.items() if name.startswith("SCALER_")} == {
        "SCALER_AWS_REGION": "eu-west-1",
        "SCALER_S3_BUCKET": "mine",
        "SCALER_JOB_QUEUE": "line",
        "SCALER_JOB_DEFINITION": "work",
    }
    assert run(directory, "status") == 0
    first, _, environment = capsys.readouterr().out.partition("\n")
    assert first.endswith(", 0 calls")
    assert environment == file.read_text()
    session = session_of(variables)
    s3, batch = (session.client(name, endpoint_url=variables["AWS_ENDPOINT_URL"]) for name in ("s3", "batch"))
    s3.head_bucket(Bucket="mine")
    job = batch.submit_job(jobName="job", jobQueue="line", jobDefinition="work")
    assert batch.describe_jobs(jobs=[job["jobId"]])["jobs"][0]["container"]["command"][:3] == [
        "python",
        "-m",
        "scaler_batch.runner",
    ]
    s3.close()
    batch.close()


def test_what_up_has_made_is_there_again_after_a_reset_whatever_faults_there_are(
    up: Up, directory: Path, tmp_path: Path
) -> None:
    faults = tmp_path / "bad-day.toml"
    faults.write_text('[[fault]]\nkind = "ServerError"\ncalls = "s3.CreateBucket"\n')
    up("--bucket", "mine", "--queue", "line", "--definition", "work", "--faults", str(faults))
    variables = state.read(directory).variables
    session = session_of(variables)
    s3, batch = (session.client(name, endpoint_url=variables["AWS_ENDPOINT_URL"]) for name in ("s3", "batch"))
    job = batch.submit_job(jobName="job", jobQueue="line", jobDefinition="work")
    s3.put_object(Bucket="mine", Key="key", Body=b"")
    assert run(directory, "reset") == 0
    assert batch.describe_jobs(jobs=[job["jobId"]])["jobs"] == []
    assert s3.list_objects_v2(Bucket="mine")["KeyCount"] == 0
    batch.submit_job(jobName="job", jobQueue="line", jobDefinition="work")
    s3.close()
    batch.close()
