"""Credentials end while a worker has tasks, in each way that a provider can fail: the tasks wait, and then go on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from scaler_batch.local.faults import ExpiredToken, Fault, InvalidCredentials
from scaler_batch.local.testing import CredentialEndpoint, CredentialProcess, SsoProfile
from stack import unless_compared
from systems import SECONDS, Gate, System, hold, lives
from watching import wait_for

REFUSED = "refuses the AWS credentials"


@dataclass(frozen=True)
class Provider:
    """Where a worker's credentials come from, how they end, and how they come back."""

    environment: dict[str, str]
    end: Callable[[], None]
    renew: Callable[[], None]


Ways = Callable[[System, Path], AbstractContextManager[Provider]]


def by_process(end: Callable[[CredentialProcess], None]) -> Ways:
    @contextlib.contextmanager
    def provided(system: System, folder: Path) -> Iterator[Provider]:
        with CredentialProcess(folder, system.stack.environment) as process:
            process.give(seconds=60)
            yield Provider(process.environment, lambda: end(process), process.give)

    return provided


def by_endpoint(end: Callable[[CredentialEndpoint], None]) -> Ways:
    @contextlib.contextmanager
    def provided(system: System, folder: Path) -> Iterator[Provider]:
        with CredentialEndpoint(system.stack.environment) as endpoint:
            endpoint.give(seconds=60)
            yield Provider(endpoint.environment, lambda: end(endpoint), endpoint.give)

    return provided


def by_sso(*, session: bool) -> Ways:
    @contextlib.contextmanager
    def provided(system: System, folder: Path) -> Iterator[Provider]:
        profile = SsoProfile(folder, system.stack.environment, session=session)
        profile.sign_in()

        def end() -> None:
            profile.expire()
            system.inject(ExpiredToken("batch.*"), ExpiredToken("s3.*"))

        def renew() -> None:
            profile.sign_in()
            system.remove_faults()

        yield Provider(profile.environment, end, renew)

    return provided


def refused(*faults: Fault) -> Ways:
    """Static credentials, which somebody else ends and brings back."""

    @contextlib.contextmanager
    def provided(system: System, folder: Path) -> Iterator[Provider]:
        yield Provider(system.stack.environment, lambda: system.inject(*faults), system.remove_faults)

    return provided


WAYS: dict[str, Ways] = {
    "static, expired": refused(ExpiredToken("batch.SubmitJob"), ExpiredToken("batch.DescribeJobs")),
    "static, unknown key": refused(InvalidCredentials("batch.*"), InvalidCredentials("s3.*")),
    "process, expired output": by_process(CredentialProcess.expire),
    "process, fails": by_process(CredentialProcess.fail),
    "process, not JSON": by_process(lambda process: process.say("please sign in")),
    "process, missing": by_process(CredentialProcess.vanish),
    "process, hangs": by_process(CredentialProcess.hang),
    "endpoint, expired": by_endpoint(CredentialEndpoint.expire),
    "endpoint, fails": by_endpoint(CredentialEndpoint.fail),
    "SSO session": by_sso(session=True),
    "SSO without session": by_sso(session=False),
}


@pytest.fixture(params=WAYS)
def provider(request: pytest.FixtureRequest, system: System, tmp_path: Path) -> Iterator[Provider]:
    folder = tmp_path / "provider"
    folder.mkdir()
    with WAYS[request.param](system, folder) as made:
        yield made


def test_tasks_wait_for_credentials_and_go_on_by_themselves(system: System, provider: Provider, gate: Gate) -> None:
    worker = system.start_worker("waits-for-credentials", environment=provider.environment)
    client = system.client()
    running = client.submit(hold, str(gate.folder), "running")
    wait_for(lambda: gate.started == 1)
    provider.end()
    waiting = client.submit(abs, -3)
    gate.open()
    with contextlib.suppress(AssertionError):
        wait_for(lambda: worker.says(REFUSED) or waiting.done() or not lives(worker), SECONDS / 2)
    provider.renew()
    assert [running.result(SECONDS), waiting.result(SECONDS)] == ["running", 3]
    assert lives(worker)
    assert worker.says(REFUSED), "people are told what to do"


def test_credentials_that_do_not_come_back_fail_tasks_after_their_patience(system: System) -> None:
    worker = system.start_worker("waits-in-vain", *unless_compared("--credentials-patience", "2"))
    client = system.client()
    system.inject(ExpiredToken("batch.SubmitJob"))
    with pytest.raises(Exception, match=r"renew|expired|sign in"):
        client.submit(abs, -3).result(SECONDS)
    system.remove_faults()
    assert client.submit(abs, -4).result(SECONDS) == 4
    assert lives(worker)
