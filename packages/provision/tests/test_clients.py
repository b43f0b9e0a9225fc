"""The border to botocore."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions as botocore_errors
from botocore.exceptions import ClientError

from scaler_batch.provision import AwsError, CredentialsError, Patience, UnreachableError, WaitError
from scaler_batch.provision.resources.clients import once_accepted, open_session, translated
from scaler_batch.provision.waiting import Waiter


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "words of AWS"}}, "CreateJobQueue")


class Refusing:
    """A call that is refused so many times, then works."""

    def __init__(self, code: str, times: int) -> None:
        self._code = code
        self._left = times
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self._left:
            self._left -= 1
            raise refusal(self._code)
        return "answer"


@pytest.fixture
def waiter() -> Waiter:
    return Waiter(Patience(propagation=10), clock=iter(range(1000)).__next__, sleep=lambda _: None)


@pytest.mark.parametrize(
    ("raised", "becomes", "fix"),
    [
        (refusal("AccessDeniedException"), AwsError, "allow your identity the call CreateJobQueue"),
        (refusal("ClientException"), AwsError, "run this again"),
        (refusal("ExpiredTokenException"), CredentialsError, "renew the credentials"),
        (botocore_errors.NoCredentialsError(), CredentialsError, "renew the credentials"),
        (botocore_errors.ProfileNotFound(profile="x"), CredentialsError, "--profile"),
        (botocore_errors.EndpointConnectionError(endpoint_url="u"), UnreachableError, "--endpoint-url"),
        (botocore_errors.ConnectTimeoutError(endpoint_url="u"), UnreachableError, "network"),
        (botocore_errors.ParamValidationError(report="r"), AwsError, "mend what the message names"),
    ],
)
def test_botocores_errors_become_ours_and_name_the_fix(raised: Exception, becomes: type[AwsError], fix: str) -> None:
    with pytest.raises(AwsError, match="could not make it") as error, translated("make it"):
        raise raised
    assert type(error.value) is becomes
    assert fix in error.value.fix
    assert error.value.__cause__ is raised


def test_code_and_operation_are_kept() -> None:
    with pytest.raises(AwsError) as error, translated("make it"):
        raise refusal("LimitExceeded")
    assert (error.value.code, error.value.operation) == ("LimitExceeded", "CreateJobQueue")


def test_what_is_not_botocores_passes() -> None:
    with pytest.raises(ZeroDivisionError), translated("make it"):
        raise ZeroDivisionError


def test_an_unknown_profile_is_a_matter_of_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(CredentialsError, match="nobody"):
        open_session("nobody")


def test_a_call_is_made_until_aws_takes_it(waiter: Waiter) -> None:
    call = Refusing("NoSuchEntity", 3)
    assert once_accepted(waiter, "role r", call, "NoSuchEntity") == "answer"
    assert call.calls == 4


def test_a_call_that_is_never_taken_ends_with_awss_words(waiter: Waiter) -> None:
    with pytest.raises(WaitError, match="words of AWS"):
        once_accepted(waiter, "role r", Refusing("NoSuchEntity", 1000), "NoSuchEntity")


def test_another_refusal_is_not_repeated(waiter: Waiter) -> None:
    call = Refusing("AccessDenied", 3)
    with pytest.raises(ClientError):
        once_accepted(waiter, "role r", call, "NoSuchEntity")
    assert call.calls == 1
