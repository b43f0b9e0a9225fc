"""Providers of credentials that fail, as boto3 in a process of its own meets them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from scaler_batch.local import LocalAWS
from scaler_batch.local.faults import ExpiredToken
from scaler_batch.local.testing import CredentialEndpoint, CredentialProcess, SsoProfile

pytestmark = pytest.mark.long

PROGRAM = """
import sys, boto3
from botocore.config import Config

client = boto3.client("sts", config=Config(retries={"total_max_attempts": 1}))
for line in sys.stdin:
    try:
        client.get_caller_identity()
        print("ok", flush=True)
    except Exception as error:
        print(type(error).__name__, str(error).replace("\\n", " "), flush=True)
"""


class Client:
    """A process with boto3 that calls AWS when it is asked to, and says what came of it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", PROGRAM],
            env={"PATH": "/usr/bin:/bin", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def begin(self) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("call\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return

    def outcome(self) -> str:
        """What came of the call; when boto3 could not even make a client, the last line of its traceback."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        return self._process.stdout.readline().strip() or self._process.stderr.read().strip().splitlines()[-1]

    def call(self) -> str:
        self.begin()
        return self.outcome()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def open_client() -> Iterator[Any]:
    clients: list[Client] = []

    def make(environment: dict[str, str]) -> Client:
        clients.append(Client(environment))
        return clients[-1]

    yield make
    for each in clients:
        each.close()


@pytest.fixture(autouse=True)
def no_faults_left(aws: LocalAWS) -> Iterator[None]:
    yield
    aws.remove_faults()


# A process of the user's


@pytest.fixture
def process(aws: LocalAWS, tmp_path: Path) -> Iterator[CredentialProcess]:
    with CredentialProcess(tmp_path, aws.environment) as running:
        yield running


def test_a_process_gives_credentials_and_is_run_again_when_they_are_about_to_expire(
    aws: LocalAWS, open_client: Any, process: CredentialProcess
) -> None:
    process.give(seconds=60)
    client = open_client(process.environment)
    assert [client.call(), client.call()] == ["ok", "ok"]
    assert process.calls >= 2
    with closing(aws.client("iam")) as iam:
        iam.create_user(UserName="renewed")
        key = iam.create_access_key(UserName="renewed")["AccessKey"]
    aws.inject(ExpiredToken(key=key["AccessKeyId"]))
    process.give(keys=(key["AccessKeyId"], key["SecretAccessKey"]))
    assert "ExpiredToken" in client.call()


def test_a_process_gives_credentials_that_have_expired(
    aws: LocalAWS, open_client: Any, process: CredentialProcess
) -> None:
    process.expire()
    client = open_client(process.environment)
    assert client.call().startswith("RuntimeError")
    process.give()
    assert client.call() == "ok"


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (lambda process: process.fail("sign in again"), "CredentialRetrievalError"),
        (lambda process: process.vanish(), "FileNotFoundError"),
        (lambda process: process.say("not JSON"), "JSONDecodeError"),
    ],
)
def test_a_process_fails_after_it_has_worked_and_works_again(
    aws: LocalAWS, open_client: Any, process: CredentialProcess, failure: Any, error: str
) -> None:
    process.give(seconds=1)
    client = open_client(process.environment)
    client.call()
    failure(process)
    assert _until_it_fails(client).startswith(error)
    process.give()
    assert client.call() == "ok"


def _until_it_fails(client: Client) -> str:
    """The first failure: until its credentials have expired, a client goes on with them when it cannot renew them."""
    while (said := client.call()) == "ok":
        pass
    return said


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (lambda process: process.fail("sign in again"), "CredentialRetrievalError"),
        (lambda process: process.vanish(), "FileNotFoundError"),
    ],
)
def test_a_process_fails_from_the_start(
    aws: LocalAWS, open_client: Any, process: CredentialProcess, failure: Any, error: str
) -> None:
    failure(process)
    assert error in open_client(process.environment).call()


def test_a_process_hangs_until_it_is_told_otherwise(
    aws: LocalAWS, open_client: Any, process: CredentialProcess, until: Any
) -> None:
    process.hang()
    client = open_client(process.environment)
    client.begin()
    until(lambda: process.calls, lambda calls: calls == 1)
    process.give()
    assert client.outcome() == "ok"


# The endpoint of a container


@pytest.fixture
def endpoint(aws: LocalAWS) -> Iterator[CredentialEndpoint]:
    with CredentialEndpoint(aws.environment) as serving:
        yield serving


def test_an_endpoint_gives_credentials_that_soon_expire_and_is_asked_again(
    aws: LocalAWS, open_client: Any, endpoint: CredentialEndpoint
) -> None:
    endpoint.give(seconds=60)
    client = open_client(endpoint.environment)
    assert [client.call(), client.call()] == ["ok", "ok"]
    assert endpoint.requests >= 2
    endpoint.expire()
    assert client.call().startswith("RuntimeError")
    endpoint.give()
    assert client.call() == "ok"


def test_an_endpoint_fails(aws: LocalAWS, open_client: Any, endpoint: CredentialEndpoint) -> None:
    endpoint.fail(500)
    assert "CredentialRetrievalError" in open_client(endpoint.environment).call()
    assert endpoint.requests >= 3


def test_an_endpoint_hangs_until_it_is_told_otherwise(
    aws: LocalAWS, open_client: Any, endpoint: CredentialEndpoint, until: Any
) -> None:
    endpoint.hang()
    client = open_client(endpoint.environment)
    client.begin()
    until(lambda: endpoint.requests, bool)
    endpoint.give()
    assert client.outcome() == "ok"


# Single sign-on


@pytest.mark.parametrize(("session", "error"), [(True, "TokenRetrievalError"), (False, "UnauthorizedSSOTokenError")])
def test_a_session_that_has_expired_is_renewed_by_signing_in(
    aws: LocalAWS, open_client: Any, tmp_path: Path, session: bool, error: str
) -> None:
    profile = SsoProfile(tmp_path, aws.environment, session=session)
    client = open_client(profile.environment)
    assert client.call().startswith(error)
    profile.sign_in()
    with aws.suffering(ExpiredToken("sso.*")):
        assert client.call().startswith("UnauthorizedSSOTokenError")
    assert client.call() == "ok"


def test_without_a_session_there_are_no_credentials(aws: LocalAWS, open_client: Any, tmp_path: Path) -> None:
    profile = SsoProfile(tmp_path, aws.environment)
    profile.sign_out()
    assert "SSO" in open_client(profile.environment).call()
