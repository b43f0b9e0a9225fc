"""A request as permissions see it: its parameters, whatever protocol they came in, and ARNs of this account."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote

from ..batch.vocabulary import Scope
from ..web.callers import region_of
from ..web.chain import Call

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

ACCOUNT = "123456789012"
_READ_OF_S3: Final = frozenset({"CreateBucket", "DeleteObjects"})


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        parameters: Of JSON or a form; those of a form that are lists have keys such as ``Tag.member.1.Key``.
        query: What the address says, such as ``prefix``.
        body: The body as it came; empty for S3's uploads, which are not read.
    """

    call: Call
    scope: Scope
    parameters: Mapping[str, Any]
    query: Mapping[str, str]
    body: bytes = b""

    @property
    def operation(self) -> str:
        """Such as ``PutObject``."""
        return self.call.operation

    @property
    def partition(self) -> str:
        """Such as ``aws``."""
        return self.scope.partition

    def text(self, name: str) -> str:
        """A parameter as text; empty when it was not given."""
        return str(self.parameters.get(name) or "")

    def arn(self, service: str, resource: str, *, regional: bool = True) -> str:
        """The ARN of a resource; a full ARN stays as it is."""
        if resource.startswith("arn:"):
            return resource
        region = self.scope.region if regional else ""
        return f"arn:{self.partition}:{service}:{region}:{self.scope.account}:{resource}"

    @property
    def bucket_and_key(self) -> tuple[str, str]:
        """What a request to S3 is about."""
        path = unquote(str(self.call.environ.get("RAW_URI") or self.call.environ.get("PATH_INFO", "")).split("?")[0])
        bucket, _, key = path.lstrip("/").partition("/")
        return bucket, key


def asked(call: Call) -> Asked:
    """Understand a request. A body that is read stays readable for whoever comes next."""
    environ = call.environ
    query = {name: values[0] for name, values in parse_qs(str(environ.get("QUERY_STRING", "")), True).items()}
    body = b"" if call.service == "s3" and call.operation not in _READ_OF_S3 else _body(environ)
    parameters = {} if call.service == "s3" else _parameters(environ, body) or query
    return Asked(call, Scope(ACCOUNT, region_of(environ) or "us-east-1"), parameters, query, body)


def _body(environ: WSGIEnvironment) -> bytes:
    body: bytes = environ["wsgi.input"].read()
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _parameters(environ: WSGIEnvironment, body: bytes) -> Mapping[str, Any]:
    if "form-urlencoded" in str(environ.get("CONTENT_TYPE", "")):
        return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace"), True).items()}
    try:
        content = json.loads(body or b"{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
