"""Errors as botocore and the providers of credentials raise them."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    MetadataRetrievalError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from scaler_batch.aws import (
    Classification,
    CredentialsError,
    ServiceError,
    classify_code,
    service_error,
    service_errors,
    unless_missing,
)
from scaler_batch.aws.classification import is_throttled


def client_error(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "SubmitJob")


ENDPOINT = "https://batch.eu-west-1.amazonaws.com"

CERTAIN_AND_PASSING: list[Exception] = [
    client_error("TooManyRequestsException", 429),
    client_error("ThrottlingException", 400),
    client_error("SomethingNewAboutRates", 429),
    EndpointConnectionError(endpoint_url=ENDPOINT),
    ConnectTimeoutError(endpoint_url=ENDPOINT),
    ProxyConnectionError(proxy_url="http://proxy"),
]
AMBIGUOUS: list[Exception] = [
    client_error("ServerException", 500),
    client_error("InternalFailure", 502),
    client_error("ServiceUnavailable", 503),
    ReadTimeoutError(endpoint_url=ENDPOINT),
    ConnectionClosedError(endpoint_url=ENDPOINT),
    SSLError(endpoint_url=ENDPOINT, error="EOF occurred in violation of protocol"),
]
CREDENTIALS: list[Exception] = [
    client_error("ExpiredTokenException", 403),
    client_error("ExpiredToken", 400),
    client_error("RequestExpired", 400),
    client_error("UnrecognizedClientException", 403),
    client_error("InvalidClientTokenId", 403),
    client_error("InvalidAccessKeyId", 403),
    client_error("SignatureDoesNotMatch", 403),
    client_error("InvalidSignatureException", 403),
    NoCredentialsError(),
    PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
    CredentialRetrievalError(provider="container-role", error_msg="timeout"),
    CredentialRetrievalError(provider="custom-process", error_msg="exit 1"),
    MetadataRetrievalError(error_msg="timeout"),
    ProfileNotFound(profile="gone"),
    SSOTokenLoadError(error_msg="no token"),
    TokenRetrievalError(provider="sso", error_msg="Token has expired and refresh failed"),
    UnauthorizedSSOTokenError(),
    RuntimeError("Credentials were refreshed, but the refreshed credentials are still expired."),
    FileNotFoundError(2, "No such file or directory", "/nowhere/helper"),
    PermissionError(13, "Permission denied", "/somewhere/helper"),
    ValueError("Expecting value: line 1 column 1 (char 0)"),
]
FINAL: list[Exception] = [
    client_error("ClientException", 400),
    client_error("AccessDeniedException", 403),
    ParamValidationError(report="no"),
]


@pytest.mark.parametrize("error", CERTAIN_AND_PASSING, ids=lambda error: repr(error)[:90])
def test_what_had_no_effect_and_passes_may_be_tried_again(error: Exception):
    assert (service_error(error).retryable, service_error(error).ambiguous) == (True, False)


@pytest.mark.parametrize("error", AMBIGUOUS, ids=lambda error: repr(error)[:90])
def test_what_may_have_had_its_effect_is_looked_up_first(error: Exception):
    assert (service_error(error).retryable, service_error(error).ambiguous) == (True, True)


@pytest.mark.parametrize("error", CREDENTIALS, ids=lambda error: repr(error)[:90])
def test_whatever_way_credentials_fail_they_are_waited_for_and_the_way_to_renew_them_is_said(error: Exception):
    found = service_error(error, "Run `aws sso login`.")
    assert isinstance(found, CredentialsError)
    assert (found.awaits_credentials, found.retryable, found.ambiguous) == (True, False, False)
    assert str(found).endswith(". Run `aws sso login`.")


@pytest.mark.parametrize("error", FINAL, ids=lambda error: repr(error)[:90])
def test_what_would_be_refused_again_is_not_tried_again(error: Exception):
    found = service_error(error)
    assert (found.retryable, found.ambiguous, found.awaits_credentials) == (False, False, False)


@pytest.mark.parametrize(
    "error", [*CERTAIN_AND_PASSING, *AMBIGUOUS, *CREDENTIALS, *FINAL], ids=lambda error: repr(error)[:90]
)
def test_only_what_speaks_of_rates_is_throttling(error: Exception):
    words = ("TooManyRequests", "Throttling", "Rates")
    assert is_throttled(error) == any(word in repr(error) for word in words)


def test_the_name_of_an_error_is_kept():
    found = service_error(client_error("ClientException", 400))
    assert (found.code, found.operation) == ("ClientException", "SubmitJob")
    assert service_error(NoCredentialsError()).code == ""


@pytest.mark.parametrize(
    ("code", "classification"),
    [
        ("ThrottlingException", Classification.REPEAT),
        ("ServerException", Classification.AMBIGUOUS),
        ("ExpiredTokenException", Classification.AWAIT_CREDENTIALS),
        ("ClientException", Classification.FINAL),
        ("", Classification.FINAL),
    ],
)
def test_a_code_without_a_status_is_classified_too(code: str, classification: Classification):
    assert classify_code(code) is classification


def test_what_is_missing_is_none_and_other_refusals_pass():
    def refuse(code: str) -> str:
        raise client_error(code, 404)

    assert unless_missing(lambda: "found", "NoSuchEntity") == "found"
    assert unless_missing(lambda: refuse("NoSuchEntity"), "NoSuchEntity") is None
    with pytest.raises(ClientError):
        unless_missing(lambda: refuse("AccessDenied"), "NoSuchEntity")


def test_our_own_errors_pass_as_they_are():
    ours = ServiceError("no", Classification.FINAL)
    assert service_error(ours) is ours
    with pytest.raises(ServiceError) as caught, service_errors():
        raise ours
    assert caught.value is ours
