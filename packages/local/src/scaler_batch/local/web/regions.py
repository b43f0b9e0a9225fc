"""Buckets have a region, and S3 answers for them there only.

One endpoint stands for those of all regions here, so the region that a request is signed for is the one that it is
addressed to. S3 sends a request for a bucket of another region away with 301, and names the bucket's region in a header
(S3 User Guide, "Making requests using the REST API": request routing; API Reference, HeadBucket).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from ..batch.vocabulary import Scope
from .callers import region_of
from .chain import Answer, Call, Disconnect, Proceed

HEADER: Final = "x-amz-bucket-region"

_HOST: Final = re.compile(
    r"(?:[a-z0-9.-]+\.)?s3(?:-fips)?(?:[.-](?:dualstack\.)?(?P<region>[a-z]+(?:-[a-z]+)+-\d))?"
    r"\.(?P<suffix>[a-z0-9-]+(?:\.[a-z-]+)+)"
)
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
        if call.service == "s3" and (answer := _misdirected(call)) is not None:
            return answer
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


def _misdirected(call: Call) -> Answer | None:
    """What happens to a request whose host is an endpoint of S3, but not that of the region it is signed for.

    A name under the wrong partition's domain leads nowhere, so its connection is closed.
    """
    host = _HOST.fullmatch(str(call.environ.get("HTTP_HOST", "")).partition(":")[0].lower())
    signed = region_of(call.environ)
    if host is None or signed is None:
        return None
    addressed = host["region"] or "us-east-1"
    if host["suffix"] != Scope("", addressed).suffix:
        raise Disconnect
    return None if signed == addressed else _malformed(call, signed, addressed)


def _malformed(call: Call, signed: str, expected: str) -> Answer:
    message = f"The authorization header is malformed; the region '{signed}' is wrong; expecting '{expected}'"
    return _error(call, "400 Bad Request", "AuthorizationHeaderMalformed", message, f"<Region>{expected}</Region>", [])


def _redirect(call: Call, bucket: str, region: str) -> Answer:
    endpoint = f"{bucket}.s3.{region}.{Scope('', region).suffix}"
    more = f"<Endpoint>{endpoint}</Endpoint><Bucket>{bucket}</Bucket>"
    return _error(call, "301 Moved Permanently", "PermanentRedirect", _MESSAGE, more, [(HEADER, region)])


def _error(call: Call, status: str, code: str, message: str, more: str, headers: Sequence[tuple[str, str]]) -> Answer:
    call.environ["wsgi.input"].read()  # the next request follows on the connection
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>'
    ).encode()
    content = b"" if call.environ.get("REQUEST_METHOD") == "HEAD" else body
    about = [("Content-Type", "application/xml"), ("Content-Length", str(len(content)))]
    return Answer(status, [*about, *headers], [content])
