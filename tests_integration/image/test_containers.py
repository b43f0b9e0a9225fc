"""The local AWS with jobs as containers: what Batch says of them, and what is left of them."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest

from scaler_batch.local import LocalAWS, LocalSettings
from scaler_batch.local.containers.ownership import LABEL

WAIT = 60.0
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"


class Account:
    """Batch on a server, with one queue, and short words for what the tests do."""

    def __init__(self, aws: LocalAWS, image: str) -> None:
        self.aws = aws
        self.image = image
        self.batch = aws.client("batch")
        self._names = map("definition-{}".format, itertools.count(1))
        self._provision()

    def submit(self, *command: str, **more: Any) -> str:
        container = {
            "image": more.pop("image", self.image),
            "command": list(command),
            "resourceRequirements": [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}],
            **more.pop("container", {}),
        }
        name = next(self._names)
        self.batch.register_job_definition(
            jobDefinitionName=name, type="container", containerProperties=container, **more
        )
        return str(self.batch.submit_job(jobName="job", jobQueue="queue", jobDefinition=name)["jobId"])

    def wait(self, job: str, *states: str) -> dict[str, Any]:
        wanted = states or ("SUCCEEDED", "FAILED")
        return until(lambda: self.batch.describe_jobs(jobs=[job])["jobs"][0], lambda found: found["status"] in wanted)

    def run(self, *command: str, **more: Any) -> dict[str, Any]:
        return self.wait(self.submit(*command, **more))

    def lines(self, job: dict[str, Any]) -> list[str]:
        logs = self.aws.client("logs")
        stream = job["container"]["logStreamName"]
        events = logs.get_log_events(logGroupName="/aws/batch/job", logStreamName=stream, startFromHead=True)["events"]
        logs.close()
        return [event["message"] for event in events]

    def close(self) -> None:
        self.batch.close()

    def _provision(self) -> None:
        ec2 = self.aws.client("ec2")
        self.batch.create_compute_environment(
            computeEnvironmentName="fleet",
            type="MANAGED",
            computeResources={
                "type": "FARGATE",
                "maxvCpus": 16,
                "subnets": [each["SubnetId"] for each in ec2.describe_subnets()["Subnets"]],
                "securityGroupIds": [each["GroupId"] for each in ec2.describe_security_groups()["SecurityGroups"]],
            },
        )
        ec2.close()
        order = [{"order": 1, "computeEnvironment": "fleet"}]
        self.batch.create_job_queue(jobQueueName="queue", priority=1, computeEnvironmentOrder=order)


def until(look: Callable[[], Any], good: Callable[[Any], bool]) -> Any:
    """Look until it is good. There is no event to wait for on the other side of an HTTP API."""
    deadline = time.monotonic() + WAIT
    while not good(seen := look()):
        assert time.monotonic() < deadline, f"still {seen}"
        time.sleep(0.05)
    return seen


def settings() -> LocalSettings:
    return LocalSettings(jobs="docker", slots=3, stop_grace=1.0, minimum_timeout=1)


@pytest.fixture(scope="module")
def account(image: str) -> Iterator[Account]:
    with LocalAWS(settings()) as aws:
        account = Account(aws, image)
        yield account
        account.close()


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    engine = docker.from_env()
    yield engine
    engine.close()


def test_a_job_is_a_container_of_its_definitions_image(account: Account) -> None:
    variables = [{"name": "COLOUR", "value": "blue"}]
    script = "import os; print(os.getpid(), os.getuid(), os.environ['COLOUR'], os.environ['AWS_BATCH_JOB_ID'])"
    job = account.run("python", "-c", script, container={"environment": variables})
    assert (job["status"], job["container"]["exitCode"]) == ("SUCCEEDED", 0)
    assert account.lines(job) == [f"1 10001 blue {job['jobId']}"]


def test_a_job_reaches_the_local_aws(account: Account) -> None:
    script = (
        "import os, urllib.request; urllib.request.urlopen(os.environ['AWS_ENDPOINT_URL'] + '/_scaler_batch/health')"
    )
    assert account.run("python", "-c", script)["status"] == "SUCCEEDED"


def test_output_is_there_while_the_job_runs(account: Account) -> None:
    job = account.wait(account.submit("sh", "-c", "echo first; echo error >&2; sleep 60"), "RUNNING")
    until(lambda: sorted(account.lines(job)), lambda lines: lines == ["error", "first"])
    account.batch.terminate_job(jobId=job["jobId"], reason="seen enough")
    ended = account.wait(job["jobId"])
    assert (ended["status"], ended["statusReason"]) == ("FAILED", "seen enough")


def test_much_output_passes_complete_and_in_order(account: Account) -> None:
    job = account.run("python", "-c", "for n in range(5000): print(n, 'x' * 50)")
    assert [int(line.split()[0]) for line in account.lines(job)] == list(range(5000))


def test_the_exit_code_is_the_commands(account: Account) -> None:
    job = account.run("sh", "-c", "exit 7")
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 7)
    assert "reason" not in job["container"]


def test_more_memory_than_the_job_has_is_told(account: Account) -> None:
    job = account.run("python", "-c", "bytearray(256 << 20)")
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 137)
    assert job["container"]["reason"] == OUT_OF_MEMORY


def test_a_killed_job_had_memory_enough(account: Account) -> None:
    job = account.run("sh", "-c", "sh -c 'kill -9 $$'; exit 137")
    assert job["container"]["exitCode"] == 137
    assert "reason" not in job["container"]


def test_an_image_that_is_nowhere_is_told(account: Account) -> None:
    job = account.run("true", image="127.0.0.1:9/nobody/nothing:1")
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    assert job["attempts"][0]["container"]["reason"].startswith("CannotPullContainerError: ")
    assert "exitCode" not in job["attempts"][0]["container"]


def test_a_command_that_is_not_in_the_image_is_told(account: Account) -> None:
    job = account.run("no-such-program")
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    assert job["attempts"][0]["container"]["reason"].startswith("CannotStartContainerError: ")


def test_a_timeout_asks_first(account: Account) -> None:
    script = "trap 'echo asked; exit 5' TERM; echo ready; sleep 60 & wait"
    job = account.run("sh", "-c", script, timeout={"attemptDurationSeconds": 2})
    assert job["statusReason"] == "Job attempt duration exceeded timeout"
    assert job["container"]["exitCode"] == 5
    assert account.lines(job) == ["ready", "asked"]


def test_what_does_not_listen_is_killed(account: Account) -> None:
    job = account.run("sh", "-c", "trap '' TERM; sleep 60", timeout={"attemptDurationSeconds": 1})
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 137)
    assert "reason" not in job["container"]


def test_limits_users_and_file_systems_are_those_of_the_definition(account: Account) -> None:
    container = {
        "user": "1234",
        "readonlyRootFilesystem": True,
        "ulimits": [{"name": "nofile", "softLimit": 77, "hardLimit": 88}],
    }
    job = account.run("sh", "-c", "id -u; ulimit -n; touch /x || echo readonly", container=container)
    assert account.lines(job)[0:2] == ["1234", "77"]
    assert "readonly" in account.lines(job)


def test_an_attempt_that_failed_is_followed_by_another(account: Account) -> None:
    job = account.run("sh", "-c", "exit $((2 - AWS_BATCH_JOB_ATTEMPT))", retryStrategy={"attempts": 3})
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [1, 0]


def test_an_ended_job_leaves_no_container(account: Account, engine: Any) -> None:
    container = container_of(account.run("true"))
    until(lambda: names(engine), lambda found: container not in found)


def test_a_server_that_stops_leaves_no_container(image: str, engine: Any) -> None:
    with LocalAWS(settings()) as aws:
        container = start_sleeper(aws, image)
        assert container in names(engine)
    assert container not in names(engine)


def test_a_server_that_is_killed_leaves_no_container(image: str, engine: Any) -> None:
    with LocalAWS(settings()) as aws:
        container = start_sleeper(aws, image)
        assert container in names(engine)
        os.kill(aws.pid, signal.SIGKILL)
        until(lambda: names(engine), lambda found: container not in found)


def test_what_a_killed_host_leaves_is_removed_by_the_next(image: str, engine: Any) -> None:
    with LocalAWS(settings()) as aws:
        account = Account(aws, image)
        job = account.wait(account.submit("sleep", "600"), "RUNNING")
        os.kill(host_of(engine, container_of(job)), signal.SIGKILL)
        assert account.wait(job["jobId"])["statusReason"].startswith("Host EC2")
        until(lambda: names(engine), lambda found: container_of(job) not in found)
        assert account.run("true")["status"] == "SUCCEEDED"
        account.close()


def test_two_servers_leave_each_others_containers_alone(account: Account, image: str, engine: Any) -> None:
    job = account.submit("sleep", "600")
    account.wait(job, "RUNNING")
    with LocalAWS(settings()) as aws:
        other = Account(aws, image)
        assert other.run("true")["status"] == "SUCCEEDED"
        other.close()
    assert account.wait(job, "RUNNING", "FAILED")["status"] == "RUNNING"
    account.batch.terminate_job(jobId=job, reason="done")
    account.wait(job)


def start_sleeper(aws: LocalAWS, image: str) -> str:
    """Have a long job run, and give the name of its container."""
    account = Account(aws, image)
    job = account.wait(account.submit("sleep", "600"), "RUNNING")
    account.close()
    return container_of(job)


def container_of(job: dict[str, Any]) -> str:
    """The name of the container of a job's last attempt, whose id the log stream tells."""
    return "scaler-batch-job-" + job["container"]["logStreamName"].rpartition("/")[2]


def names(engine: Any) -> set[str]:
    """The containers of all jobs of all servers that use the engine."""
    return {each.name for each in engine.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)}


def host_of(engine: Any, container: str) -> int:
    """The process that looks after a container."""
    return int(engine.containers.get(container).labels[LABEL].split("/")[-2])
