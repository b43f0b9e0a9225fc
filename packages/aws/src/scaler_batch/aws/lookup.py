"""Finding queues, job definitions and buckets by the names that AWS accepts for them. Blocking."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from scaler_batch.aws.classification import DENIED, code_of, unless_missing

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient
    from mypy_boto3_batch.type_defs import JobDefinitionTypeDef, JobQueueDetailTypeDef
    from mypy_boto3_s3 import S3Client

_REFERENCE: Final = re.compile(
    r"(?:arn:[^:]+:batch:(?P<region>[^:]*):[^:]*:job-definition/)?(?P<name>[^:/]+)(?::(?P<revision>\d+))?"
)
_REGION_HEADER: Final = "x-amz-bucket-region"


@dataclass(frozen=True, slots=True)
class DefinitionReference:
    """A job definition as SubmitJob takes it: ``NAME``, ``NAME:REVISION``, or the ARN with or without a revision.

    Attributes:
        name: Its name.
        revision: The revision; ``None`` for the latest that is active.
        arn: The ARN without its revision; ``None`` where only a name was given.
    """

    name: str
    revision: int | None = None
    arn: str | None = None

    @classmethod
    def parse(cls, text: str) -> DefinitionReference | None:
        """Read a reference; ``None`` where SubmitJob would not take it."""
        found = _REFERENCE.fullmatch(text)
        if found is None:
            return None
        revision = found["revision"]
        arn = text.removesuffix(f":{revision}") if text.startswith("arn:") else None
        return cls(found["name"], int(revision) if revision else None, arn)

    def names(self, definition: JobDefinitionTypeDef) -> bool:
        """Whether it names this revision."""
        arn = definition["jobDefinitionArn"].rpartition(":")[0]
        return self.arn in (None, arn) and self.revision in (None, definition["revision"])


def find_definition(batch: BatchClient, reference: str) -> JobDefinitionTypeDef | None:
    """Find the revision of a job definition that SubmitJob would take; ``None`` where there is none that is active."""
    wanted = DefinitionReference.parse(reference)
    if wanted is None:
        return None
    # By name, whichever way it was given: DescribeJobDefinitions takes no ARN without a revision.
    pages = batch.get_paginator("describe_job_definitions").paginate(jobDefinitionName=wanted.name, status="ACTIVE")
    found = [each for page in pages for each in page["jobDefinitions"] if wanted.names(each)]
    return max(found, key=lambda each: each["revision"], default=None)


def vcpus_of(definition: JobDefinitionTypeDef) -> int:
    """How many vCPUs a job of a definition has, rounded down, at least 1."""
    container: Any = definition.get("containerProperties", {})
    required = {each["type"]: each["value"] for each in container.get("resourceRequirements", [])}
    return max(1, int(float(required.get("VCPU", container.get("vcpus", 1)))))


def find_queue(batch: BatchClient, name: str) -> JobQueueDetailTypeDef | None:
    """Find a job queue by name or ARN."""
    return next(iter(batch.describe_job_queues(jobQueues=[name])["jobQueues"]), None)


def bucket_region(s3: S3Client, bucket: str, prefix: str) -> str | None:
    """Look at a bucket, and return the region that it lies in; ``None`` where S3 does not say.

    Whoever may list below a prefix only is refused HeadBucket, which names none; then that prefix is listed.

    Args:
        s3: A client of any region.
        bucket: Which.
        prefix: Key prefix below which it will be used, without a slash at its end.

    Raises:
        ClientError: There is no such bucket, or none that may be listed below the prefix.
    """
    try:
        answer: Any = s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        if code_of(error) not in DENIED:
            raise
        if not _may_list(s3, bucket, f"{prefix}/" if prefix else ""):
            raise
        answer = error.response
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region: str | None = answer.get("BucketRegion") or headers.get(_REGION_HEADER)
    return region


def _may_list(s3: S3Client, bucket: str, prefix: str) -> bool:
    return unless_missing(lambda: s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1), *DENIED) is not None
