"""Buckets have a region, and S3 answers for them there only.

One endpoint stands for those of all regions here, so the region that a request is signed for is the one that it is
addressed to. S3 sends a request for a bucket of another region away with 301, and names the bucket's region in a header
(S3 User Guide, "Making requests using the REST API": request routing; API Reference, HeadBucket).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from .callers import region_of
from .chain import Answer, Call, Proceed

HEADER: Final = "x-amz-bucket-region"

_EVERYWHERE: Final = frozenset({"CreateBucket", "ListBuckets", "GetBucketLocation"})
_MESSAGE: Final = "The bucket you are attempting to access must be addressed using the specified endpoint."


class RegionLayer:
    """Sends requests away that were addressed to another region than their bucket's.

    Args:
        bucket_region: The region of a bucket by its name; None when there is no such bucket.
    """

    def __init__(self, bucket_region: Callable[[str], str | None]) -> None:
        self._bucket_region = bucket_region

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        """Send a request away, or let it pass and have HeadBucket tell the region."""
        bucket = call.path.partition("/")[0] if call.service == "s3" else ""
        region = self._bucket_region(bucket) if bucket else None
        if region is None or call.operation in _EVERYWHERE:
            return proceed()
        addressed = region_of(call.environ)
        if addressed not in (None, region):
            return _redirect(call, bucket, region)
        answer = proceed()
        if call.operation != "HeadBucket" or any(name.lower() == HEADER for name, _ in answer.headers):
            return answer
        return replace(answer, headers=[*answer.headers, (HEADER, region)])


def _redirect(call: Call, bucket: str, region: str) -> Answer:
    call.environ["wsgi.input"].read()  # the next request follows on the connection
    endpoint = f"{bucket}.s3.{region}.amazonaws.com"
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>PermanentRedirect</Code><Message>{_MESSAGE}</Message>"
        f"<Endpoint>{endpoint}</Endpoint><Bucket>{bucket}</Bucket></Error>"
    ).encode()
    content = b"" if call.environ.get("REQUEST_METHOD") == "HEAD" else body
    headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(content))), (HEADER, region)]
    return Answer("301 Moved Permanently", headers, [content])
