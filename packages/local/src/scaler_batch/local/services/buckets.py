"""Names of buckets, which moto measures and AWS reads."""

from __future__ import annotations

import re
from typing import Any, Final

from moto.s3.exceptions import InvalidBucketName
from moto.s3.models import FakeBucket, S3Backend

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
