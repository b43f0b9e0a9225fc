"""How a local AWS begins and ends, and that nothing is left of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scaler_batch.local import LocalAWS, LocalError, LocalSettings
from scaler_batch.local.errors import NotRunningError, StartError

pytestmark = pytest.mark.long

STUBBORN = """
setsid sh -c 'trap "" TERM; echo $$ >> {0}; sleep 60' &
trap '' TERM
echo $$ >> {0}
sleep 60
"""
"""A job that heeds no signal, with a part that has left its group."""

ORPHAN = """
import os
from scaler_batch.local import LocalAWS, LocalSettings

aws = LocalAWS(LocalSettings(jobs="spawn"))
aws.start()
print(aws.pid, flush=True)
os._exit(1)
"""


@pytest.fixture
def make() -> Iterator[Callable[..., LocalAWS]]:
    made: list[LocalAWS] = []

    def begin(**settings: Any) -> LocalAWS:
        made.append(LocalAWS(LocalSettings(**{"jobs": "spawn", "slots": 4, **settings})))
        made[-1].start()
        return made[-1]

    yield begin
    for each in made:
        each.stop()


@pytest.fixture(scope="module")
def spare() -> Iterator[LocalAWS]:
    """A second server, which tests may empty. It takes its time, and soon forgets."""
    settings = LocalSettings(
        jobs="spawn", slots=4, keep_finished=2, delays={"SUBMITTED": 0.2, "RUNNABLE": 0.2, "STARTING": 0.2}
    )
    with LocalAWS(settings) as running:
        yield running


@pytest.fixture
def emptied(spare: LocalAWS, open_account: Any) -> Any:
    """An account on a server on which nothing has happened."""
    spare.reset()
    return open_account(spare)


def test_a_killed_server_leaves_nothing_and_another_does_not_mind(
    account: Any, make: Callable[..., LocalAWS], open_account: Any, processes: Any, until: Any, tmp_path: Path
) -> None:
    """Not a job, not what it has started, not what has left its group; and no directory of theirs."""
    elsewhere = account.submit("sleep", "60")
    aws = make()
    doomed = open_account(aws)
    said = tmp_path / "pids"
    doomed.wait(doomed.submit("sh", "-c", STUBBORN.format(said)), "RUNNING")
    until(lambda: said.exists() and len(said.read_text().split()), lambda count: count == 2)
    (host,) = processes.children(aws.pid)
    everyone = [host, *processes.below(host)]
    directories = {os.readlink(f"/proc/{pid}/cwd") for pid in processes.below(host)}
    assert set(map(int, said.read_text().split())) < set(everyone)
    os.kill(aws.pid, signal.SIGKILL)
    until(lambda: processes.alive(everyone), lambda left: not left)
    assert not any(map(os.path.exists, directories))
    assert account.wait(elsewhere, "RUNNING")
    account.batch.terminate_job(jobId=elsewhere, reason="enough")


def test_a_server_that_is_stopped_takes_its_jobs_with_it(
    make: Callable[..., LocalAWS], open_account: Any, processes: Any
) -> None:
    aws = make()
    account = open_account(aws)
    account.wait(account.submit("sh", "-c", "trap '' TERM; sleep 60"), "RUNNING")
    everyone = [aws.pid, *processes.below(aws.pid)]
    aws.stop()
    assert processes.alive(everyone) == []
    aws.stop()


def test_a_server_ends_with_the_program_that_started_it(processes: Any, until: Any) -> None:
    done = subprocess.run([sys.executable, "-c", ORPHAN], capture_output=True, text=True, check=False)
    until(lambda: processes.alive([int(done.stdout)]), lambda left: not left)


def test_two_at_once_know_nothing_of_each_other(account: Any, emptied: Any) -> None:
    ids = [each.submit("sh", "-c", "echo $AWS_ENDPOINT_URL") for each in (account, emptied)]
    for each, job_id in zip((account, emptied), ids, strict=True):
        assert each.lines(each.wait(job_id)) == [each.aws.endpoint_url]
    assert account.batch.describe_jobs(jobs=[ids[1]])["jobs"] == []
    assert account.aws.endpoint_url != emptied.aws.endpoint_url


def test_a_host_that_is_killed_is_a_host_that_was_reclaimed(emptied: Any, processes: Any) -> None:
    spot = [{"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}]
    script = 'test "$AWS_BATCH_JOB_ATTEMPT" = 2 || sleep 60'
    job_id = emptied.submit("sh", "-c", script, retryStrategy={"attempts": 3, "evaluateOnExit": spot})
    emptied.wait(job_id, "RUNNING")
    (host,) = processes.children(emptied.aws.pid)
    os.kill(host, signal.SIGKILL)
    job = emptied.wait(job_id)
    assert (job["status"], len(job["attempts"])) == ("SUCCEEDED", 2)
    assert job["attempts"][0]["statusReason"].startswith("Host EC2 (instance i-")
    assert "exitCode" not in job["attempts"][0]["container"]


def test_after_a_reset_there_is_nothing_and_everything_works(emptied: Any, processes: Any, until: Any) -> None:
    job_id = emptied.submit("sleep", "60")
    emptied.wait(job_id, "RUNNING")
    (host,) = processes.children(emptied.aws.pid)
    jobs = processes.below(host)
    assert jobs
    emptied.aws.reset()
    assert emptied.aws.counters().total == 0
    assert emptied.batch.describe_jobs(jobs=[job_id])["jobs"] == []
    assert emptied.batch.describe_job_queues()["jobQueues"] == []
    until(lambda: processes.alive(jobs), lambda left: not left)
    emptied.provision()
    assert emptied.run("true")["status"] == "SUCCEEDED"


def test_finished_jobs_are_forgotten_with_their_logs(emptied: Any) -> None:
    first = emptied.run("echo", "x")
    assert emptied.lines(first) == ["x"]
    for _ in range(2):
        emptied.run("true")
    assert emptied.batch.describe_jobs(jobs=[first["jobId"]])["jobs"] == []
    with pytest.raises(emptied.logs.exceptions.ResourceNotFoundException):
        emptied.lines(first)


def test_states_can_be_made_to_last(emptied: Any) -> None:
    job_id = emptied.submit("true")
    states = [emptied.describe(job_id)["status"]]
    while states[-1] != "SUCCEEDED":
        state = emptied.describe(job_id)["status"]
        states += [state] if state != states[-1] else []
    assert [state for state in states if state != "RUNNING"] == ["SUBMITTED", "RUNNABLE", "STARTING", "SUCCEEDED"]


def test_jobs_find_the_interpreter_that_was_set(
    make: Callable[..., LocalAWS], open_account: Any, tmp_path: Path
) -> None:
    """A virtual environment that has nothing in it: the host needs nothing, and a job finds nothing of ours."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    account = open_account(make(job_python=python, jobs="fork"))
    job = account.run("python", "-c", "import sys; print(sys.executable, sys.prefix, flush=True); import scaler_batch")
    assert account.lines(job)[0] == f"{python} {tmp_path / 'venv'}"
    assert account.lines(job)[-1].startswith("ModuleNotFoundError")
    assert account.run("python", "-m", "scaler_batch.runner")["container"]["exitCode"] == 1


def test_a_port_that_is_taken_is_an_error(aws: LocalAWS) -> None:
    port = int(aws.endpoint_url.rpartition(":")[2])
    with pytest.raises(StartError, match=f"cannot listen on 127.0.0.1:{port}"):
        LocalAWS(LocalSettings(port=port)).start()


def test_an_interpreter_that_is_not_there_is_an_error() -> None:
    with pytest.raises(StartError, match="cannot run the interpreter"):
        LocalAWS(LocalSettings(job_python="/no/such/python")).start()


def test_a_local_aws_that_does_not_run_says_so() -> None:
    aws = LocalAWS()
    for look in (lambda: aws.endpoint_url, lambda: aws.environment, lambda: aws.pid, aws.counters):
        with pytest.raises(NotRunningError):
            look()


def test_the_environment_is_all_that_a_program_needs(aws: LocalAWS) -> None:
    script = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    environment = {"PATH": os.environ["PATH"], **aws.environment}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "123456789012"


def test_every_error_of_ours_has_one_root() -> None:
    from scaler_batch.local import errors

    ours = [each for each in vars(errors).values() if isinstance(each, type) and each.__module__ == errors.__name__]
    assert {each.__name__ for each in ours} == set(re.findall(r"\w+Error", errors.__doc__ or ""))
    assert all(issubclass(each, LocalError) for each in ours)
    assert not issubclass(LocalError, urllib.error.URLError)
