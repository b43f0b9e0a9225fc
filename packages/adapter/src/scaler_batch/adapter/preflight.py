"""Look before the first task whether the worker can work at all.

A wrong name found here is a sentence on the terminal; found later it is a failure of every task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import quote

from scaler_batch.adapter.errors import ResourceError
from scaler_batch.adapter.settings import WorkerSettings
from scaler_batch.aws import (
    DENIED,
    IMPATIENT,
    PREFIX_TAG,
    CredentialsError,
    JobShape,
    ServiceError,
    bucket_region,
    find_definition,
    find_queue,
    open_client,
    renewal_of,
    service_errors,
    vcpus_of,
)
from scaler_batch.payload import PayloadError

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_batch.type_defs import JobDefinitionTypeDef

    from scaler_batch.payload.s3 import S3RunStore

T = TypeVar("T")

POLICY_COMMAND: Final = "`scaler-batch-provision policy worker`"
"""Prints all that a worker must be allowed."""

LEAST_PRIORITY: Final = 0

STORAGE_PATIENCE: Final = 10.0
"""Seconds for which the storage may fail before the worker does not start."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the check has learned.

    Attributes:
        vcpus: vCPUs of a job of the definition, rounded down, at least 1.
        prefix: Prefix that the provisioner made the definition for; empty where it did not.
        unranked: Definitions, as they were named, that give their jobs no scheduling priority.
    """

    vcpus: int
    prefix: str = ""
    unranked: frozenset[str] = frozenset()


def ranked(settings: WorkerSettings, unranked: Collection[str]) -> WorkerSettings:
    """Give the least scheduling priority to jobs that count against a share and would have none: AWS Batch demands one.

    Args:
        settings: What the worker is told.
        unranked: Definitions that give their jobs none.
    """

    def priority(shape: JobShape) -> int | None:
        needed = shape.share is not None and shape.definition in unranked
        return LEAST_PRIORITY if needed and shape.scheduling_priority is None else shape.scheduling_priority

    shapes = {
        name: replace(shape, scheduling_priority=priority(shape)) for name, shape in settings.routes.shapes.items()
    }
    tasks = replace(settings.tasks, scheduling_priority=priority(settings.tasks.shape))
    return replace(settings, tasks=tasks, routes=replace(settings.routes, shapes=shapes))


async def check_resources(settings: WorkerSettings, session: boto3.Session) -> Found:
    """Check that bucket, queues and definitions are there and usable.

    Raises:
        ResourceError: One is not; says which, and what to do.
    """
    return await asyncio.to_thread(_check, settings, session)


async def check_storage(settings: WorkerSettings, open_store: Callable[[], S3RunStore]) -> None:
    """Check that the bucket is reached by the library that carries task data, too.

    It is another one than boto3, with certificates, proxies and an address of its own to get wrong.

    Args:
        settings: What the worker is told.
        open_store: Makes a store in the bucket.

    Raises:
        ResourceError: It is not.
    """
    try:
        await open_store().with_patience(STORAGE_PATIENCE).list(quote(settings.name, safe=""))
    except PayloadError as error:
        raise ResourceError(
            f"bucket {settings.s3_bucket!r} was found, but the library that carries task data cannot use it: {error}"
        ) from error


def _check(settings: WorkerSettings, session: boto3.Session) -> Found:
    try:
        return _Checks(settings, session).run()
    except CredentialsError as error:
        raise ResourceError(f"no AWS credentials can be used: {error}") from error
    except ServiceError as error:
        raise ResourceError(f"AWS does not answer as it should in {settings.aws_region}: {error}") from error


class _Checks:
    """The checks of one worker's resources."""

    def __init__(self, settings: WorkerSettings, session: boto3.Session) -> None:
        self._settings = settings
        self._region = settings.aws_region
        self._renewal = renewal_of(session)
        self._batch = open_client(session, "batch", self._region, IMPATIENT)
        self._s3 = open_client(session, "s3", self._region, IMPATIENT)

    def run(self) -> Found:
        """Make all of them."""
        shapes = [self._settings.tasks.shape, *self._settings.routes.shapes.values()]
        for queue in dict.fromkeys(shape.queue for shape in shapes):
            self._check_queue(queue, {shape.share for shape in shapes if shape.queue == queue})
        definitions = {name: self._definition(name) for name in {shape.definition for shape in shapes}}
        self._check_bucket(self._settings.s3_bucket)
        definition = definitions[self._settings.tasks.job_definition]
        unranked = frozenset(name for name, each in definitions.items() if each.get("schedulingPriority") is None)
        return Found(vcpus_of(definition), definition.get("tags", {}).get(PREFIX_TAG, ""), unranked)

    def _ask(self, look: Callable[[], T]) -> T:
        with service_errors(self._renewal):
            return look()

    def _check_queue(self, name: str, shares: set[str | None]) -> None:
        queue = self._ask(lambda: find_queue(self._batch, name))
        if queue is None:
            raise ResourceError(
                f"No scaler job queue found: there is no queue {name!r} in {self._region}. "
                "Run scaler-batch-provision, or check --job-queue and --aws-region"
            )
        if queue["state"] != "ENABLED":
            raise ResourceError(f"job queue {name!r} is {queue['state']}: enable it, or use another")
        _check_shares(name, bool(queue.get("schedulingPolicyArn")), shares)

    def _definition(self, name: str) -> JobDefinitionTypeDef:
        """The revision that jobs will have: the one that is named, or the newest."""
        definition = self._ask(lambda: find_definition(self._batch, name))
        if definition is None:
            raise ResourceError(
                f"there is no active job definition {name!r} in {self._region}. "
                "Run scaler-batch-provision, or check --job-definition and --aws-region"
            )
        return definition

    def _check_bucket(self, name: str) -> None:
        try:
            region = self._ask(lambda: bucket_region(self._s3, name, self._settings.s3_prefix))
        except ServiceError as error:
            if error.retryable or error.awaits_credentials or not error.code:
                raise  # it says nothing about the bucket
            fix = "check --s3-bucket, and that these credentials may list, read and write it"
            if error.code in DENIED:  # S3 says no more than that
                fix += f" (s3:ListBucket below {self._settings.s3_prefix}/ for a start; see {POLICY_COMMAND})"
            raise ResourceError(f"bucket {name!r} cannot be used ({error.code}): {fix}") from error
        if region not in (None, self._region):
            raise ResourceError(
                f"bucket {name!r} lies in {region}, and queue and job definition in {self._region}: its data would not "
                f"be found. Use a bucket in {self._region}, or --aws-region {region} with a queue and a job definition "
                "there"
            )


def _check_shares(queue: str, is_shared: bool, shares: set[str | None]) -> None:
    """A queue with a scheduling policy takes no job without a share identifier, and one without takes none with it."""
    if is_shared and None in shares:
        raise ResourceError(
            f"job queue {queue!r} has a scheduling policy, so AWS Batch refuses jobs without a share identifier: pass "
            "--share-identifier NAME (share_identifier in the table of a capability that leads there)"
        )
    named = sorted(share for share in shares if share is not None)
    if named and not is_shared:
        raise ResourceError(
            f"job queue {queue!r} has no scheduling policy, so AWS Batch refuses jobs with a share identifier such as "
            f"{named[0]!r}: leave --share-identifier out, or use a fair-share queue (where a capability's table leads "
            'there: share_identifier = "")'
        )
