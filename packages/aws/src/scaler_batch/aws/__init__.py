"""AWS as scaler-batch needs it: the one home of what AWS Batch, ECS and S3 say and allow.

::

    session = open_session(region="eu-west-1")
    jobs = BatchJobService(session, "eu-west-1")
    try:
        job_id = await jobs.submit(JobSpec(…))
    except ServiceError as error:
        …  # error.retryable, error.ambiguous, error.awaits_credentials

What AWS says of a job that died or waits: ``failure_of(report)``.
"""

from scaler_batch.aws.batch import BatchJobService
from scaler_batch.aws.classification import (
    DENIED,
    classify_code,
    code_of,
    is_from_aws,
    service_error,
    service_errors,
    unless_missing,
)
from scaler_batch.aws.clients import IMPATIENT, PATIENT, QUICK, UNREPEATED, USER_AGENT, open_client
from scaler_batch.aws.credentials import (
    CredentialSource,
    SessionCredentials,
    credentials_of,
    expiry_of,
    find_credentials,
    open_session,
    renewal_of,
)
from scaler_batch.aws.errors import AwsError, Classification, CredentialsError, NoCredentialsError, ServiceError
from scaler_batch.aws.failures import (
    FAILURES,
    OTHER_FAILURE,
    FailureKind,
    FailurePattern,
    JobFailure,
    blocking_failure,
    failure_of,
    retry_rules,
)
from scaler_batch.aws.logs import JobLogs, read_tail
from scaler_batch.aws.lookup import DefinitionReference, bucket_region, find_definition, find_queue, vcpus_of
from scaler_batch.aws.models import JobReport, JobShape, JobSpec, JobStatus, is_numbered, read_report
from scaler_batch.aws.parameters import secure_parameter
from scaler_batch.aws.quiet import quiet_dependencies
from scaler_batch.aws.rate import AdaptiveRateLimiter, AimdRate, RateSettings
from scaler_batch.aws.regions import ConfiguredRegion, configured_region, dns_suffix, partition_of
from scaler_batch.aws.s3_environment import s3_environment
from scaler_batch.aws.tags import MOST_TAGS, PREFIX_TAG, RUN_TAG, WORKER_TAG, tag_value
from scaler_batch.aws.text import printable

__version__ = "0.1.0"

__all__ = [
    "DENIED",
    "FAILURES",
    "IMPATIENT",
    "MOST_TAGS",
    "OTHER_FAILURE",
    "PATIENT",
    "PREFIX_TAG",
    "QUICK",
    "RUN_TAG",
    "UNREPEATED",
    "USER_AGENT",
    "WORKER_TAG",
    "AdaptiveRateLimiter",
    "AimdRate",
    "AwsError",
    "BatchJobService",
    "Classification",
    "ConfiguredRegion",
    "CredentialSource",
    "CredentialsError",
    "DefinitionReference",
    "FailureKind",
    "FailurePattern",
    "JobFailure",
    "JobLogs",
    "JobReport",
    "JobShape",
    "JobSpec",
    "JobStatus",
    "NoCredentialsError",
    "RateSettings",
    "ServiceError",
    "SessionCredentials",
    "blocking_failure",
    "bucket_region",
    "classify_code",
    "code_of",
    "configured_region",
    "credentials_of",
    "dns_suffix",
    "expiry_of",
    "failure_of",
    "find_credentials",
    "find_definition",
    "find_queue",
    "is_from_aws",
    "is_numbered",
    "open_client",
    "open_session",
    "partition_of",
    "printable",
    "quiet_dependencies",
    "read_report",
    "read_tail",
    "renewal_of",
    "retry_rules",
    "s3_environment",
    "secure_parameter",
    "service_error",
    "service_errors",
    "tag_value",
    "unless_missing",
    "vcpus_of",
]
