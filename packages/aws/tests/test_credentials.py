"""Credentials that fail in all the ways in which they can, with real providers of botocore's."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.credentials import Credentials

from scaler_batch.aws import (
    BatchJobService,
    CredentialsError,
    CredentialSource,
    NoCredentialsError,
    SessionCredentials,
    credentials_of,
    expiry_of,
    find_credentials,
    open_session,
    renewal_of,
)
from scaler_batch.aws.credentials import source_of

SECRET = "aws_access_key_id = {key}\naws_secret_access_key = secret\n"


def configure(folder: Path, *lines: str) -> None:
    (folder / "config").write_text("\n".join(["[default]", *lines, ""]))


def helper(folder: Path, expires: datetime | None, key: str = "key") -> str:
    """A credential process that prints credentials with this end."""
    said = {"Version": 1, "AccessKeyId": key, "SecretAccessKey": "secret"}
    if expires is not None:
        said |= {"SessionToken": "token", "Expiration": expires.isoformat()}
    (folder / "said.json").write_text(json.dumps(said))
    program = folder / "helper.py"
    program.write_text(f"print(open({str(folder / 'said.json')!r}).read())")
    return f"credential_process = {sys.executable} {program}"


def stale_process(folder: Path) -> None:
    configure(folder, helper(folder, datetime.now(UTC) - timedelta(minutes=5)))


def missing_process(folder: Path) -> None:
    configure(folder, "credential_process = /nowhere/helper")


def failing_process(folder: Path) -> None:
    configure(folder, "credential_process = /bin/false")


def talking_process(folder: Path) -> None:
    configure(folder, "credential_process = /bin/echo please sign in")


def sso_without_a_token(folder: Path) -> None:
    configure(
        folder,
        "sso_start_url = https://example.com",
        "sso_region = us-east-1",
        "sso_account_id = 123456789012",
        "sso_role_name = quant",
    )


def sso_session_without_a_token(folder: Path) -> None:
    configure(folder, "sso_session = work", "sso_account_id = 123456789012", "sso_role_name = quant")
    with (folder / "config").open("a") as file:
        file.write("[sso-session work]\nsso_region = us-east-1\nsso_start_url = https://example.com\n")


def half_a_key(folder: Path) -> None:
    configure(folder, "aws_access_key_id = key")


def nothing(folder: Path) -> None:
    configure(folder)


WAYS = {
    stale_process: ("the credentials have ended", "credential_process of profile default"),
    missing_process: ("/nowhere/helper", "credential_process of profile default"),
    failing_process: ("custom-process", "credential_process of profile default"),
    talking_process: ("JSONDecodeError", "credential_process of profile default"),
    sso_without_a_token: ("SSO", "aws sso login"),
    sso_session_without_a_token: ("SSO", "aws sso login"),
    half_a_key: ("AWS_SECRET_ACCESS_KEY".lower(), "aws configure"),
    nothing: ("No AWS credentials were found", "AWS_PROFILE"),
}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
async def test_however_credentials_fail_a_call_waits_for_them_and_says_how_to_renew_them(
    way: Callable[[Path], None], no_account: Path
):
    way(no_account)
    service = BatchJobService(open_session(), "us-east-1")
    with pytest.raises(CredentialsError) as caught:
        await service.describe(["job-1"])
    service.close()
    assert caught.value.awaits_credentials
    assert not caught.value.retryable
    assert all(words in str(caught.value) for words in WAYS[way]), str(caught.value)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_store_that_asks_a_session_gets_the_same_error(way: Callable[[Path], None], no_account: Path):
    way(no_account)
    credentials = open_session().get_credentials()
    with pytest.raises(CredentialsError):
        credentials.get_frozen_credentials()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_credentials_that_are_back_are_found_without_a_new_session(way: Callable[[Path], None], no_account: Path):
    way(no_account)
    session = open_session()
    with pytest.raises(CredentialsError):
        find_credentials(session)
    configure(no_account, helper(no_account, datetime.now(UTC) + timedelta(hours=1), key="renewed"))
    assert session.get_credentials().get_frozen_credentials().access_key == "renewed"


def test_a_provider_that_hangs_costs_no_more_than_the_time_out():
    released = threading.Event()

    def hang() -> Credentials:
        released.wait(60)
        return Credentials("key", "secret")

    credentials = SessionCredentials(hang, CredentialSource("process", "work"), timeout=0.05)
    for _ in range(2):
        with pytest.raises(CredentialsError, match=r"no credentials within 0\.05 s: .* profile work works"):
            credentials.get_frozen_credentials()
    before = threading.active_count()
    released.set()
    for thread in threading.enumerate():
        if thread.name == "aws-credentials":
            thread.join(10)
    assert before - threading.active_count() == 1, "both waited for one look"
    assert credentials.get_frozen_credentials().access_key == "key"


def test_a_provider_that_hangs_for_ever_is_left_alone_and_another_look_begun():
    released = threading.Event()
    now = 0.0
    looks = 0

    def look() -> Credentials:
        nonlocal looks
        looks += 1
        if looks == 1:
            released.wait(60)
        return Credentials(f"key-{looks}", "secret")

    credentials = SessionCredentials(look, timeout=0.05, clock=lambda: now)
    with pytest.raises(CredentialsError):
        credentials.get_frozen_credentials()
    now = 1.0
    assert credentials.get_frozen_credentials().access_key == "key-2"
    released.set()


def test_keys_in_a_file_are_read_again_when_aws_does_not_accept_them_and_from_time_to_time(no_account: Path):
    file = no_account / "credentials"
    now = 0.0
    session = open_session()
    file.write_text("[default]\n" + SECRET.format(key="first"))
    ours = credentials_of(session)
    assert ours is not None
    ours._clock = lambda: now
    keys = [ours.get_frozen_credentials().access_key]
    file.write_text("[default]\n" + SECRET.format(key="second"))
    keys.append(ours.get_frozen_credentials().access_key)
    ours.forget()
    keys.append(ours.get_frozen_credentials().access_key)
    file.write_text("[default]\n" + SECRET.format(key="third"))
    now = 301.0
    keys.append(ours.get_frozen_credentials().access_key)
    assert keys == ["first", "first", "second", "third"]


def test_credentials_with_an_end_are_used_until_they_are_to_be_renewed(no_account: Path):
    ends = datetime.now(UTC) + timedelta(hours=1)
    configure(no_account, helper(no_account, ends))
    session = open_session()
    assert expiry_of(session) is None
    find_credentials(session)
    configure(no_account, "credential_process = /bin/false")
    find_credentials(session)
    found = expiry_of(session)
    assert found is not None
    assert abs(found - ends) < timedelta(seconds=1)


def test_a_profile_that_does_not_exist_is_said_at_once(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(CredentialsError, match=r"nobody.*AWS_PROFILE"):
        open_session("nobody")
    monkeypatch.setenv("AWS_PROFILE", "gone")
    with pytest.raises(CredentialsError, match="gone"):
        open_session()


def test_that_there_are_none_is_told_from_their_failing(no_account: Path):
    with pytest.raises(NoCredentialsError):
        find_credentials(open_session())
    failing_process(no_account)
    with pytest.raises(CredentialsError) as caught:
        find_credentials(open_session())
    assert not isinstance(caught.value, NoCredentialsError)


ROLE = {"role_arn": "arn:aws:iam::123456789012:role/r", "source_profile": "base"}


@pytest.mark.parametrize(
    ("profile", "profiles", "environment", "words"),
    [
        (None, {}, {"AWS_ACCESS_KEY_ID": "a"}, "export AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN"),
        ("work", {"work": {"sso_session": "s"}}, {"AWS_ACCESS_KEY_ID": "a"}, "`aws sso login --profile work`"),
        (None, {"work": {"sso_start_url": "s"}}, {"AWS_PROFILE": "work"}, "`aws sso login --profile work`"),
        (None, {"default": {"sso_session": "s"}}, {}, "`aws sso login`"),
        (None, {"default": {"login_session": "s"}}, {}, "`aws login`"),
        (None, {"default": {"credential_process": "p"}}, {}, "credential_process of profile default works"),
        (None, {"default": {"aws_access_key_id": "k"}}, {}, "`aws configure`"),
        ("work", {"work": ROLE, "base": {"sso_session": "s"}}, {}, "`aws sso login --profile base`"),
        ("work", {"work": ROLE}, {}, "may assume its role"),
        ("work", {"work": {**ROLE, "source_profile": "work"}}, {}, "may assume its role"),
        (None, {}, {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/x"}, "task role"),
        (None, {}, {}, "Set AWS_PROFILE"),
    ],
)
def test_how_to_renew_depends_on_where_they_come_from(
    profile: str | None, profiles: dict[str, dict[str, str]], environment: dict[str, str], words: str
):
    assert words in source_of(profile, profiles, environment).renewal


def test_a_session_of_somebody_else_has_no_renewal():
    import boto3

    session = boto3.Session("key", "secret")
    assert (credentials_of(session), renewal_of(session), expiry_of(session)) == (None, "", None)
    find_credentials(session)
    with pytest.raises(NoCredentialsError):
        find_credentials(boto3.Session())
