"""Who makes a call, as far as a request tells.

A caller is ``role/program``. The role is ``job`` when the request is signed with an access key that jobs find in
their environment, else ``user``. The program is the application's own name where the SDK sends one
(``AWS_SDK_UA_APP_ID``, seen as ``app/name`` in the User-Agent), else the first product in the User-Agent: ``boto3``,
``aws-cli``, ``object_store``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from .keys import JOB_KEYS
from .signatures import signature_of

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

SSO_TOKEN: Final = "HTTP_X_AMZ_SSO_BEARER_TOKEN"  # noqa: S105 - a header
"""What requests to the SSO portal carry instead of a signature."""

_APPLICATION = re.compile(r"(?:^|\s)app/([^\s/]+)")
_PRODUCT = re.compile(r"\s*([^\s/]+)")


def caller_of(environ: WSGIEnvironment) -> str:
    """The caller of a request."""
    agent = str(environ.get("HTTP_USER_AGENT", ""))
    program = _APPLICATION.search(agent) or _PRODUCT.match(agent)
    role = "job" if (signed_with(environ) or "").startswith(JOB_KEYS) else "user"
    return f"{role}/{program[1].lower() if program else 'unknown'}"


def signed_with(environ: WSGIEnvironment) -> str | None:
    """The access key of a request, if it is signed."""
    signature = signature_of(environ)
    return signature.key if signature else None


def service_of(environ: WSGIEnvironment) -> str:
    """The service that a request is signed for; S3 when it is not signed, or SSO when it carries such a token."""
    if SSO_TOKEN in environ:
        return "sso"
    signature = signature_of(environ)
    return signature.service if signature else "s3"


def region_of(environ: WSGIEnvironment) -> str | None:
    """The region that a request is signed for, if it is signed."""
    signature = signature_of(environ)
    return signature.region if signature else None
