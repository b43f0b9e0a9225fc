"""What a job must not exceed, and what it is given besides its own variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from scaler_batch.local import LocalAWS, LocalSettings

pytestmark = pytest.mark.long

GREEDY = "import time; held = bytearray(b'x') * (200 << 20); print('held'); time.sleep(SECONDS)"


def sized(mib: int, **more: Any) -> dict[str, Any]:
    requirements = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": str(mib)}]
    return {"container": {"resourceRequirements": requirements, **more}}


def test_a_job_that_has_more_memory_than_it_asked_for_is_killed(account: Any) -> None:
    job = account.run(definition=account.define("python", "-c", GREEDY.replace("SECONDS", "20"), **sized(64)))
    assert (job["container"]["exitCode"], job["status"]) == (137, "FAILED")
    assert job["container"]["reason"] == "OutOfMemoryError: Container killed due to memory usage"
    assert job["statusReason"] == "Essential container in task exited"


def test_want_of_memory_can_be_retried_by_its_reason(account: Any) -> None:
    rules = [{"onReason": "OutOfMemoryError*", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}]
    definition = account.define("python", "-c", GREEDY.replace("SECONDS", "20"), **sized(64))
    job = account.run(definition=definition, retryStrategy={"attempts": 2, "evaluateOnExit": rules})
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [137, 137]


def test_the_memory_that_a_submission_asks_for_is_what_counts(account: Any) -> None:
    enough = {"resourceRequirements": [{"type": "MEMORY", "value": "1024"}]}
    command = ("python", "-c", GREEDY.replace("SECONDS", "0.3"))
    assert account.run(definition=account.define(*command, **sized(64)), containerOverrides=enough)["status"] == (
        "SUCCEEDED"
    )


def test_of_several_processes_the_largest_is_killed(account: Any) -> None:
    program = GREEDY.replace("SECONDS", "20")
    job = account.run(definition=account.define("sh", "-c", f'python -c "{program}"; echo $?', **sized(64)))
    assert (account.lines(job)[-1], job["status"]) == ("137", "SUCCEEDED")


def test_memory_that_processes_share_counts_once(account: Any) -> None:
    program = (
        "import os, time; held = bytearray(b'x') * (60 << 20)\n"
        "for _ in range(3):\n    if os.fork() == 0:\n        time.sleep(0.5); os._exit(0)\n"
        "for _ in range(3): os.wait()"
    )
    assert account.run(definition=account.define("python", "-c", program, **sized(128)))["status"] == "SUCCEEDED"


def test_memory_need_not_be_limited(open_account: Callable[[LocalAWS], Any]) -> None:
    with LocalAWS(LocalSettings(limit_memory=False)) as aws:
        account = open_account(aws)
        command = ("python", "-c", GREEDY.replace("SECONDS", "0.3"))
        assert account.run(definition=account.define(*command, **sized(64)))["status"] == "SUCCEEDED"


def test_submissions_above_a_rate_are_throttled_when_that_is_asked_for(open_account: Callable[[LocalAWS], Any]) -> None:
    with LocalAWS(LocalSettings(jobs="spawn", submit_rate=2)) as aws:
        account = open_account(aws)
        definition = account.define("true")
        once = aws.client("batch", config=Config(retries={"max_attempts": 0}))
        request = {"jobName": "job", "jobQueue": "queue", "jobDefinition": definition}
        jobs = (once.submit_job(**request)["jobId"] for _ in range(100))
        assert next(jobs) != next(jobs)
        with pytest.raises(ClientError, match="TooManyRequestsException"):
            list(jobs)
        once.close()


def test_user_limits_hold(account: Any) -> None:
    limits = [{"name": "nofile", "softLimit": 64, "hardLimit": 128}]
    job = account.run(
        definition=account.define("sh", "-c", "ulimit -Sn; ulimit -Hn", container={"ulimits": limits}),
    )
    assert account.lines(job) == ["64", "128"]


@pytest.mark.parametrize(
    ("limit", "why"),
    [
        ({"name": "colour", "softLimit": 1, "hardLimit": 1}, "invalid ulimit type: colour"),
        ({"name": "nofile", "softLimit": 2, "hardLimit": 1}, "less than or equal to hard limit"),
    ],
)
def test_what_is_no_user_limit_keeps_the_container_from_starting(account: Any, limit: Any, why: str) -> None:
    job = account.run(definition=account.define("true", container={"ulimits": [limit]}))
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    assert why in job["container"]["reason"]


def test_secrets_come_into_the_environment(aws: LocalAWS, account: Any) -> None:
    manager, parameters = aws.client("secretsmanager"), aws.client("ssm")
    plain = manager.create_secret(Name="plain", SecretString="first")["ARN"]
    members = manager.create_secret(Name="members", SecretString='{"user": "two", "port": 3}')["ARN"]
    parameters.put_parameter(Name="/deep/four", Value="four", Type="SecureString")
    region = "arn:aws:ssm:us-east-1:123456789012:parameter"
    sources = [plain, f"{members}:user::", f"{members}:port::", "/deep/four", f"{region}/deep/four"]
    secrets = [{"name": f"S{place}", "valueFrom": source} for place, source in enumerate(sources)]
    job = account.run(definition=account.define("sh", "-c", "echo $S0 $S1 $S2 $S3 $S4", container={"secrets": secrets}))
    assert account.lines(job) == ["first two 3 four four"]
    assert "first" not in str(job)
    manager.close()
    parameters.close()


@pytest.mark.parametrize(
    "source",
    [
        "nothing",
        "arn:aws:ssm:us-east-1:123456789012:parameter/nothing",
        "arn:aws:secretsmanager:us-east-1:123456789012:secret:nothing-abcdef",
        "arn:aws:secretsmanager:us-east-1",
        "arn:aws:ssm:",
    ],
)
def test_a_secret_that_is_not_there_keeps_the_container_from_starting(account: Any, source: str) -> None:
    container = {"secrets": [{"name": "S", "valueFrom": source}]}
    job = account.run(definition=account.define("true", container=container))
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    assert job["container"]["reason"].startswith("ResourceInitializationError: unable to pull secrets")
