"""What S3 charges for requests in us-east-1, as published in November 2026. Data and one sum; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

WRITE: Final = 0.005 / 1000
"""Dollars for a PUT, COPY, POST or LIST."""

READ: Final = 0.0004 / 1000
"""Dollars for a GET or HEAD, and for every other request that is not free."""

FREE: Final = frozenset({"DeleteObject", "DeleteObjects", "AbortMultipartUpload"})
"""Removing costs nothing. Of DeleteObjects, which is a POST, the price list does not speak; it is taken for free."""

WRITING: Final = ("Put", "Copy", "Post", "Create", "Upload", "Complete", "List")


def dollars(calls: Mapping[str, float]) -> float:
    """What S3 charges for calls by operation, such as ``s3.PutObject``. AWS Batch charges nothing for its own."""
    return sum(count * price(name.removeprefix("s3.")) for name, count in calls.items() if name.startswith("s3."))


def price(operation: str) -> float:
    """Of one request to S3."""
    if operation in FREE:
        return 0.0
    return WRITE if operation.startswith(WRITING) else READ
