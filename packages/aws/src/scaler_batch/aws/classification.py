"""What to do after a call that failed: one classification of everything that boto3 raises.

A credential provider may raise anything (a helper program that is missing, one whose output is stale, a browser session
that has ended), and so do the sessions of others that are not guarded by :mod:`~scaler_batch.aws.credentials`. botocore
itself raises its own errors only. So whatever is not botocore's came from a provider.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from botocore import exceptions as botocore_errors
from botocore.exceptions import BotoCoreError, ClientError

from scaler_batch.aws.errors import AwsError, Classification, CredentialsError, NoCredentialsError, ServiceError

T = TypeVar("T")

_TOO_MANY_REQUESTS: Final = 429
_SERVER_FAILED: Final = 500

_THROTTLING: Final = frozenset(
    {
        "RequestLimitExceeded",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_SERVER_CODES: Final = frozenset({"InternalError", "InternalFailure", "ServerException", "ServiceUnavailable"})
"""Codes of failures of AWS's own, which TerminateJobs reports of single jobs without a status."""

_CREDENTIAL_CODES: Final = frozenset(
    {
        "AuthFailure",
        # Ended: whoever issued them has new ones.
        "ExpiredToken",
        "ExpiredTokenException",
        "TokenRefreshRequired",
        # The clock of this machine is wrong, or a laptop was asleep: passes when the clock is set.
        "RequestExpired",
        "RequestTimeTooSkewed",
        # The key was rotated, deactivated or removed, or is so new that it is not known everywhere.
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidToken",
        "UnrecognizedClientException",
        # Key and secret do not belong together, as in a file that is being written.
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
    }
)
"""What AWS says of credentials that others in their place would mend. That they lack a permission is none of these."""

DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"})
"""What AWS says where a permission is missing."""

_ABSENT: Final = (botocore_errors.NoCredentialsError, botocore_errors.NoAuthTokenError)
_PROVIDERS: Final = (
    botocore_errors.ConfigNotFound,
    botocore_errors.ConfigParseError,
    botocore_errors.CredentialRetrievalError,
    botocore_errors.InvalidConfigError,
    botocore_errors.MetadataRetrievalError,
    botocore_errors.PartialCredentialsError,
    botocore_errors.ProfileNotFound,
    botocore_errors.RefreshWithMFAUnsupportedError,
    botocore_errors.SSOError,
    botocore_errors.TokenRetrievalError,
    botocore_errors.UnknownCredentialError,
    *filter(None, [getattr(botocore_errors, "LoginError", None)]),  # newer than the oldest boto3 that we work with
)
"""What botocore raises where credentials come from."""

_UNANSWERED: Final = (botocore_errors.HTTPClientError, botocore_errors.SSLError)
"""Sent, as far as we know, and no answer: it may have had its effect all the same."""


def classify_code(code: str, status: int = 0) -> Classification:
    """Classify what AWS answered.

    Args:
        code: AWS's name for the error.
        status: The answer's HTTP status; 0 where the error concerns one of several jobs of an answer.
    """
    if status == _TOO_MANY_REQUESTS or code in _THROTTLING:
        return Classification.REPEAT
    if code in _CREDENTIAL_CODES:
        return Classification.AWAIT_CREDENTIALS
    if status >= _SERVER_FAILED or code in _SERVER_CODES:
        return Classification.AMBIGUOUS
    return Classification.FINAL


def classify(error: Exception) -> Classification:
    """Classify what was raised by a call, or by the making of a client."""
    match error:
        case ServiceError():
            return error.classification
        case ClientError():
            return classify_code(code_of(error), _status_of(error))
        case _ if isinstance(error, (*_ABSENT, *_PROVIDERS)):
            return Classification.AWAIT_CREDENTIALS
        case _ if isinstance(error, _UNANSWERED):
            return Classification.AMBIGUOUS
        case botocore_errors.ConnectionError():
            return Classification.REPEAT
        case BotoCoreError():
            return Classification.FINAL
        case _:
            return Classification.AWAIT_CREDENTIALS


def is_from_aws(error: BaseException) -> bool:
    """Whether an error is botocore's, or one of ours that stands for it."""
    return isinstance(error, ClientError | BotoCoreError | ServiceError)


def is_throttled(error: Exception) -> bool:
    """Whether AWS asks for fewer calls."""
    return isinstance(error, ClientError) and classify(error) is Classification.REPEAT


def code_of(error: BaseException) -> str:
    """AWS's code of an error; empty where AWS did not answer."""
    if isinstance(error, ServiceError):
        return error.code
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def service_error(error: Exception, renewal: str = "") -> ServiceError:
    """Say in our words what was raised.

    Args:
        error: What was raised.
        renewal: How credentials are renewed, a sentence.
    """
    if isinstance(error, ServiceError):
        return error
    classification, code = classify(error), code_of(error)
    operation = error.operation_name if isinstance(error, ClientError) else ""
    if classification is not Classification.AWAIT_CREDENTIALS:
        return ServiceError(str(error), classification, code=code, operation=operation)
    kind = NoCredentialsError if isinstance(error, _ABSENT) else CredentialsError
    said = _said(error)
    return kind(f"{said.rstrip('.')}. {renewal}" if renewal else said, code=code, operation=operation)


def _said(error: Exception) -> str:
    match error:
        case ClientError() | BotoCoreError():
            return str(error)
        case RuntimeError():
            # botocore's way to say that credentials came with an end, that it is past, and that there are no new ones.
            return f"the credentials have ended: {error}"
        case OSError():
            # botocore starts a credential_process without looking whether it is there.
            return f"what provides the credentials cannot be started: {error}"
        case _:
            return f"what provides the credentials failed: {type(error).__name__}: {error}"


@contextmanager
def service_errors(renewal: str = "") -> Iterator[None]:
    """Let nothing but our own errors out.

    Raises:
        ServiceError: A call failed, or a client could not be made.
    """
    try:
        yield
    except AwsError:
        raise
    except Exception as error:
        raise service_error(error, renewal) from error


def unless_missing(call: Callable[[], T], *codes: str) -> T | None:
    """Make a call that may find nothing: ``None`` where AWS answers with one of these codes."""
    try:
        return call()
    except ClientError as error:
        if code_of(error) in codes:
            return None
        raise


def _status_of(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
