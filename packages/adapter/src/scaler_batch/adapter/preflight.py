"""Look before the first task whether the worker can work at all.

A wrong name found here is a sentence on the terminal; found later it is a failure of every task.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)

from scaler_batch.adapter.errors import ResourceError
from scaler_batch.adapter.settings import WorkerSettings

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_batch import BatchClient
    from mypy_boto3_batch.type_defs import JobDefinitionTypeDef

_IMPATIENT: Final = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 4})
"""A check that hangs tells nobody anything. But an account that is throttled has other workers which work: a call is
tried again for up to seven seconds."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the check has learned.

    Attributes:
        vcpus: vCPUs of a job of the definition, rounded down, at least 1.
    """

    vcpus: int


async def check_resources(settings: WorkerSettings, session: boto3.Session) -> Found:
    """Check that bucket, queues and definitions are there and usable.

    Raises:
        ResourceError: One is not; says which, and what to do.
    """
    return await asyncio.to_thread(_check, settings, session)


def _check(settings: WorkerSettings, session: boto3.Session) -> Found:
    try:
        batch = session.client("batch", region_name=settings.aws_region, config=_IMPATIENT)
        shapes = [settings.tasks.shape, *settings.routes.shapes.values()]
        for queue in dict.fromkeys(shape.queue for shape in shapes):
            _check_queue(queue, settings, batch)
        definitions = {name: _definition(name, settings, batch) for name in {shape.definition for shape in shapes}}
        _check_bucket(settings, session)
    except (NoCredentialsError, PartialCredentialsError, ProfileNotFound, CredentialRetrievalError) as error:
        raise ResourceError(
            f"no AWS credentials ({error}): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; "
            "in a container see `env | grep AWS`"
        ) from error
    except (ClientError, BotoCoreError) as error:
        raise ResourceError(f"AWS does not answer as it should in {settings.aws_region}: {error}") from error
    return Found(vcpus_of(definitions[settings.tasks.job_definition]))


def _check_queue(name: str, settings: WorkerSettings, batch: BatchClient) -> None:
    queues = batch.describe_job_queues(jobQueues=[name])["jobQueues"]
    if not queues:
        raise ResourceError(
            f"No scaler job queue found: there is no queue {name!r} in {settings.aws_region}. "
            "Run scaler-batch-provision, or check --job-queue and --aws-region"
        )
    if queues[0]["state"] != "ENABLED":
        raise ResourceError(f"job queue {name!r} is {queues[0]['state']}: enable it, or use another")


def _definition(name: str, settings: WorkerSettings, batch: BatchClient) -> JobDefinitionTypeDef:
    """The revision that jobs will have: the one that is named, or the newest."""
    if ":" in name:
        found = batch.describe_job_definitions(jobDefinitions=[name])["jobDefinitions"]
    else:
        pages = batch.get_paginator("describe_job_definitions").paginate(jobDefinitionName=name, status="ACTIVE")
        found = [definition for page in pages for definition in page["jobDefinitions"]]
    active = [definition for definition in found if definition.get("status") == "ACTIVE"]
    if not active:
        raise ResourceError(
            f"there is no active job definition {name!r} in {settings.aws_region}. "
            "Run scaler-batch-provision, or check --job-definition and --aws-region"
        )
    return max(active, key=lambda definition: definition["revision"])


def vcpus_of(definition: JobDefinitionTypeDef) -> int:
    """How many vCPUs a job of a definition has, rounded down, at least 1."""
    container = definition.get("containerProperties", {})
    required = {each["type"]: each["value"] for each in container.get("resourceRequirements", [])}
    return max(1, int(float(required.get("VCPU", container.get("vcpus", 1)))))


def _check_bucket(settings: WorkerSettings, session: boto3.Session) -> None:
    name = settings.s3_bucket
    try:
        session.client("s3", region_name=settings.aws_region, config=_IMPATIENT).head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
            raise  # it says nothing about the bucket
        raise ResourceError(
            f"bucket {name!r} cannot be used ({error.response['Error'].get('Code', 'unknown')}): "
            "check --s3-bucket, and that these credentials may list, read and write it"
        ) from error
