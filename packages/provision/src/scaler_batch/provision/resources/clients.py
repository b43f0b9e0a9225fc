"""The border to boto3: clients, and its exceptions turned into ours.

Inside ``resources`` calls may raise botocore's exceptions; :func:`translated` is the door through which they leave.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import boto3
from botocore import exceptions as botocore_errors
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from scaler_batch.provision.errors import AwsError, CredentialsError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_batch import BatchClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sts import STSClient

    from scaler_batch.provision.waiting import Waiter

T = TypeVar("T")

EcrClient: TypeAlias = Any
"""A client of ECR. Ten calls are not worth a requirement of stubs."""

QuotasClient: TypeAlias = Any
"""A client of Service Quotas."""

_CONFIG: Final = Config(connect_timeout=10, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 6})
"""Bounded, so that no call hangs; throttling and lost connections are repeated by botocore."""

QUICK: Final = Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 1})
"""For whoever would rather know soon than surely."""

DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"})
_BAD_CREDENTIALS: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_NO_CREDENTIALS: Final = (
    botocore_errors.NoCredentialsError,
    botocore_errors.PartialCredentialsError,
    botocore_errors.CredentialRetrievalError,
    botocore_errors.TokenRetrievalError,
    botocore_errors.SSOError,
    botocore_errors.ProfileNotFound,
)
_NO_ANSWER: Final = (botocore_errors.HTTPClientError, botocore_errors.ConnectionError)
RENEW: Final = "renew the credentials (aws sso login, aws configure) or name others with --profile; then run this again"


@dataclass(frozen=True, slots=True)
class Clients:
    """One client for each service in use, all of one region."""

    batch: BatchClient
    ec2: EC2Client
    ecr: EcrClient
    iam: IAMClient
    logs: CloudWatchLogsClient
    s3: S3Client
    sts: STSClient
    quotas: QuotasClient

    @classmethod
    def of(
        cls, session: boto3.Session, region: str, endpoint_url: str | None = None, *, config: Config = _CONFIG
    ) -> Clients:
        """Make the clients; no call goes out yet.

        Args:
            session: Brings the credentials.
            region: Region of all resources.
            endpoint_url: Send all calls there instead of to AWS.
            config: How long calls may take, and how often they are repeated.
        """

        def client(service: str) -> object:
            return session.client(service, region_name=region, endpoint_url=endpoint_url, config=config)

        names = {"quotas": "service-quotas"}
        return cls(**{one: client(names.get(one, one)) for one in cls.__dataclass_fields__})  # type: ignore[arg-type]


def open_session(profile: str | None = None) -> boto3.Session:
    """Make a session from the user's usual credentials.

    Args:
        profile: Name of a profile in the AWS configuration; ``None`` for the default one.

    Raises:
        CredentialsError: There is no such profile.
    """
    with translated("open a session"):
        return boto3.Session(profile_name=profile)


def partition_of(region: str) -> str:
    """The partition that a region belongs to, by the names that botocore knows; asks AWS nothing."""
    try:
        return boto3.Session().get_partition_for_region(region)
    except botocore_errors.UnknownRegionError:
        return "aws"


def code_of(error: ClientError) -> str:
    """AWS's code of an error."""
    return str(error.response.get("Error", {}).get("Code", ""))


def unless_missing(call: Callable[[], T], *codes: str) -> T | None:
    """Make a call that may find nothing: ``None`` where AWS answers with one of these codes."""
    try:
        return call()
    except ClientError as error:
        if code_of(error) in codes:
            return None
        raise


def once_accepted(waiter: Waiter, what: str, call: Callable[[], T], *codes: str) -> T:
    """Make a call until AWS takes it: what was made a second ago is not known everywhere yet.

    Args:
        waiter: Bounds the attempts by its patience for propagation.
        what: What is waited for, for the error.
        call: The call.
        codes: Error codes that may pass with time; every other one is raised at once.

    Raises:
        WaitError: AWS still refuses when time is over.
    """
    results: list[T] = []

    def attempt() -> str | None:
        try:
            results.append(call())
        except ClientError as error:
            if code_of(error) not in codes:
                raise
            return str(error)
        return None

    waiter.until(what, attempt, seconds=waiter.patience.propagation)
    return results[0]


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Turn botocore's exceptions into ours.

    Args:
        action: What was being done, as it reads after "could not".

    Raises:
        CredentialsError: There are no credentials, or AWS does not take them.
        UnreachableError: No answer came.
        AwsError: AWS refused the call.
    """
    try:
        yield
    except ClientError as error:
        raise _refusal(action, error) from error
    except _NO_CREDENTIALS as error:
        raise CredentialsError(f"could not {action}: {error}", fix=RENEW) from error
    except _NO_ANSWER as error:
        fix = "check the network, --region and --endpoint-url; then run this again"
        raise UnreachableError(f"could not {action}: {error}", fix=fix) from error
    except BotoCoreError as error:
        raise AwsError(f"could not {action}: {error}", fix="mend what the message names and run this again") from error


def _refusal(action: str, error: ClientError) -> AwsError:
    code, operation = code_of(error), error.operation_name
    message = f"could not {action}: {error}"
    if code in _BAD_CREDENTIALS:
        return CredentialsError(message, fix=RENEW, code=code, operation=operation)
    if code in DENIED:
        fix = f"allow your identity the call {operation}; the how-to on provisioning lists every permission needed"
    else:
        fix = "mend what AWS names and run this again; it goes on from where it stopped"
    return AwsError(message, fix=fix, code=code, operation=operation)
