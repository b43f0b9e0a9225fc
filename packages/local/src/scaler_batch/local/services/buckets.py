"""Names of buckets, which moto measures and AWS reads; their regions, and the time at which objects were stored."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from moto.s3 import models
from moto.s3.exceptions import InvalidBucketName
from moto.s3.models import FakeBucket, S3Backend, s3_backends

_NAME: Final = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS: Final = re.compile(r"\d+\.\d+\.\d+\.\d+")


def install() -> None:
    """Have moto's S3 refuse the names that AWS refuses."""
    by_moto = S3Backend.create_bucket

    def create_bucket(self: S3Backend, bucket_name: str, *arguments: Any, **named: Any) -> FakeBucket:
        if not _NAME.fullmatch(bucket_name) or _ADDRESS.fullmatch(bucket_name):
            raise InvalidBucketName
        return by_moto(self, bucket_name, *arguments, **named)

    S3Backend.create_bucket = create_bucket  # type: ignore[method-assign]


def region(bucket_name: str) -> str | None:
    """The region of a bucket; None when there is no such bucket."""
    found = s3_backends.bucket_accounts.get(bucket_name)
    if found is None:
        return None
    partition, account = found
    bucket = s3_backends[account][partition].buckets.get(bucket_name)
    return bucket.region_name if bucket is not None else None


def keep_time(now: Callable[[], float]) -> None:
    """Have moto's S3 date objects by another clock than the machine's; ``now`` is in seconds since 1970."""

    def utcnow() -> datetime:
        return datetime.fromtimestamp(now(), UTC).replace(tzinfo=None)

    models.utcnow = utcnow  # type: ignore[attr-defined]
