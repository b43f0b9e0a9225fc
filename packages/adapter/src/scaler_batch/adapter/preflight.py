"""Look before the first task whether the worker can work at all.

A wrong name found here is a sentence on the terminal; found later it is a failure of every task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from scaler_batch.adapter.errors import ResourceError
from scaler_batch.adapter.settings import WorkerSettings

if TYPE_CHECKING:
    import boto3

_IMPATIENT: Final = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})
"""A check that hangs tells nobody anything."""


async def check_resources(settings: WorkerSettings, session: boto3.Session) -> None:
    """Check that bucket, queue and definition are there and usable.

    Raises:
        ResourceError: One is not; says which, and what to do.
    """
    checks: list[Callable[[WorkerSettings, boto3.Session], None]] = [_check_queue, _check_definition, _check_bucket]
    for check in checks:
        try:
            await asyncio.to_thread(check, settings, session)
        except NoCredentialsError as error:
            raise ResourceError(
                "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; "
                "in a container see `env | grep AWS`"
            ) from error
        except (ClientError, BotoCoreError) as error:
            raise ResourceError(f"AWS does not answer as it should in {settings.aws_region}: {error}") from error


def _check_queue(settings: WorkerSettings, session: boto3.Session) -> None:
    name = settings.tasks.job_queue
    batch = session.client("batch", region_name=settings.aws_region, config=_IMPATIENT)
    queues = batch.describe_job_queues(jobQueues=[name])["jobQueues"]
    if not queues:
        raise ResourceError(
            f"No scaler job queue found: there is no queue {name!r} in {settings.aws_region}. "
            "Run scaler-batch-provision, or check --job-queue and --aws-region"
        )
    if queues[0]["state"] != "ENABLED":
        raise ResourceError(f"job queue {name!r} is {queues[0]['state']}: enable it, or use another")


def _check_definition(settings: WorkerSettings, session: boto3.Session) -> None:
    name = settings.tasks.job_definition
    batch = session.client("batch", region_name=settings.aws_region, config=_IMPATIENT)
    exact = {"jobDefinitions": [name]} if ":" in name else {"jobDefinitionName": name, "status": "ACTIVE"}
    definitions = batch.describe_job_definitions(**exact)["jobDefinitions"]
    if not any(definition.get("status") == "ACTIVE" for definition in definitions):
        raise ResourceError(
            f"there is no active job definition {name!r} in {settings.aws_region}. "
            "Run scaler-batch-provision, or check --job-definition and --aws-region"
        )


def _check_bucket(settings: WorkerSettings, session: boto3.Session) -> None:
    name = settings.s3_bucket
    try:
        session.client("s3", region_name=settings.aws_region, config=_IMPATIENT).head_bucket(Bucket=name)
    except ClientError as error:
        raise ResourceError(
            f"bucket {name!r} cannot be used ({error.response['Error'].get('Code', 'unknown')}): "
            "check --s3-bucket, and that these credentials may list, read and write it"
        ) from error
