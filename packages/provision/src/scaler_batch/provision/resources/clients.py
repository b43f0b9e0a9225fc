"""Clients of all services in use, and the errors of their calls turned into ours.

Inside ``resources`` calls may raise botocore's exceptions; :func:`translated` is the door through which they leave.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from scaler_batch import aws
from scaler_batch.aws import DENIED, PATIENT, code_of, is_from_aws, open_client, service_error
from scaler_batch.provision.errors import AwsError, CredentialsError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import boto3
    from botocore.config import Config
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

EcsClient: TypeAlias = Any
"""A client of ECS."""

SsmClient: TypeAlias = Any
"""A client of Systems Manager."""

QuotasClient: TypeAlias = Any
"""A client of Service Quotas."""

RENEW: Final = "renew the credentials (aws sso login, aws configure) or name others with --profile; then run this again"


@dataclass(frozen=True, slots=True)
class Clients:
    """One client for each service in use, all of one region."""

    batch: BatchClient
    ec2: EC2Client
    ecr: EcrClient
    ecs: EcsClient
    iam: IAMClient
    logs: CloudWatchLogsClient
    s3: S3Client
    sts: STSClient
    quotas: QuotasClient
    ssm: SsmClient

    @classmethod
    def of(
        cls, session: boto3.Session, region: str, endpoint_url: str | None = None, *, config: Config = PATIENT
    ) -> Clients:
        """Make the clients; no call goes out yet.

        Args:
            session: Brings the credentials.
            region: Region of all resources.
            endpoint_url: Send all calls there instead of to AWS.
            config: How long calls may take, and how often they are repeated.
        """

        def client(service: str) -> Any:
            return open_client(session, service, region, config, endpoint_url=endpoint_url)

        names = {"quotas": "service-quotas"}
        return cls(**{one: client(names.get(one, one)) for one in cls.__dataclass_fields__})


def open_session(profile: str | None = None) -> boto3.Session:
    """Make a session from the user's usual credentials.

    Args:
        profile: Name of a profile in the AWS configuration; ``None`` for the default one.

    Raises:
        CredentialsError: There is no such profile.
    """
    with translated("open a session"):
        return aws.open_session(profile)


def once_accepted(waiter: Waiter, what: str, call: Callable[[], T], *codes: str, seconds: float | None = None) -> T:
    """Make a call until AWS takes it: what was made a second ago is not known everywhere yet.

    Args:
        waiter: Bounds the attempts.
        what: What is waited for, for the error.
        call: The call.
        codes: Error codes that may pass with time; every other one is raised at once.
        seconds: How long to go on; without it, the waiter's patience for propagation.

    Raises:
        WaitError: AWS still refuses when time is over.
    """
    results: list[T] = []

    def attempt() -> str | None:
        try:
            results.append(call())
        except Exception as error:
            if code_of(error) not in codes:
                raise
            return str(error)
        return None

    waiter.until(what, attempt, seconds=waiter.patience.propagation if seconds is None else seconds)
    return results[0]


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Turn what calls to AWS raise into our errors; everything else passes.

    Args:
        action: What was being done, as it reads after "could not".

    Raises:
        CredentialsError: There are no credentials, or AWS does not take them.
        UnreachableError: No answer came.
        AwsError: AWS refused the call.
    """
    try:
        yield
    except Exception as error:
        if not is_from_aws(error):
            raise
        raise _failure(action, service_error(error)) from error


def _failure(action: str, error: aws.ServiceError) -> AwsError:
    message, code, operation = f"could not {action}: {error}", error.code, error.operation
    if error.awaits_credentials:
        return CredentialsError(message, fix=RENEW, code=code, operation=operation)
    if error.retryable and not code:
        fix = "check the network, --region and --endpoint-url; then run this again"
        return UnreachableError(message, fix=fix)
    if not code:
        return AwsError(message, fix="mend what the message names and run this again")
    if code in DENIED:
        policy = "scaler-batch-provision policy provisioner"
        fix = f"allow your identity the call {operation}; `{policy}` prints all that it needs"
    else:
        fix = "mend what AWS names and run this again; it goes on from where it stopped"
    return AwsError(message, fix=fix, code=code, operation=operation)
