"""Signature Version 4: what a request claims about who signed it, and whether that is so.

AWS General Reference, "Signature Version 4 for API requests". A signature is in the header ``Authorization`` or, of a
presigned address, in the query; in a request with both, the header counts.

The signature of an upload to S3 covers the hash of the body that the client states. Whether the body has that hash is
not looked at: nobody but whoever signed the request sends it.
"""

from __future__ import annotations

import hmac
import io
import posixpath
import re
import time
from calendar import timegm
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote_to_bytes

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

ALGORITHM: Final = "AWS4-HMAC-SHA256"
UNSIGNED_BODY: Final = "UNSIGNED-PAYLOAD"

_HEADER: Final = re.compile(
    rf"{ALGORITHM}\s+Credential=(?P<credential>[^,\s]+),\s*SignedHeaders=(?P<headers>[^,\s]+),\s*Signature=(?P<signature>\w+)"
)
_CREDENTIAL: Final = re.compile(r"([\w.-]+)/(\d{8})/([a-zA-Z0-9-]+)/([a-zA-Z0-9-]+)/aws4_request", re.ASCII)
_UNRESERVED: Final = "-_.~"
_LONGEST: Final = 7 * 24 * 3600
_KEPT: Final = "scaler_batch.signature"


@dataclass(frozen=True, slots=True)
class Signature:
    """What a request claims.

    Attributes:
        key: The id of an access key.
        date: The day of the scope, such as ``20260101``.
        headers: The names of the headers that are signed, in lower case.
        value: The signature itself, in hexadecimal.
        presigned: Whether it stands in the query.
    """

    key: str
    date: str
    region: str
    service: str
    headers: tuple[str, ...]
    value: str
    presigned: bool = False


def signature_of(environ: WSGIEnvironment) -> Signature | None:
    """Read the signature of a request; None when it has none, or one of another kind. Looks once and remembers."""
    if _KEPT not in environ:
        environ[_KEPT] = _from_header(environ) if "HTTP_AUTHORIZATION" in environ else _from_query(environ)
    found: Signature | None = environ[_KEPT]
    return found


def is_older(environ: WSGIEnvironment) -> bool:
    """Whether a request is signed with Version 2, as addresses are that boto3 presigns unless it is told otherwise."""
    return str(environ.get("HTTP_AUTHORIZATION", "")).startswith("AWS ") or "AWSAccessKeyId" in dict(_pairs(environ))


def is_signed_with(secret: str, signature: Signature, environ: WSGIEnvironment) -> bool:
    """Whether a request was signed with a secret, and its host with it."""
    if "host" not in signature.headers:
        return False
    scope = f"{signature.date}/{signature.region}/{signature.service}/aws4_request"
    text = "\n".join((ALGORITHM, _moment(signature, environ), scope, _digest(_canonical(signature, environ))))
    key = _signing_key(secret, signature.date, signature.region, signature.service)
    return hmac.compare_digest(hmac.digest(key, text.encode("latin-1"), sha256).hex(), signature.value)


def has_expired(signature: Signature, environ: WSGIEnvironment, now: float) -> bool:
    """Whether a presigned address is no longer valid; at most a week, as on AWS. Other requests do not expire."""
    if not signature.presigned:
        return False
    query = dict(_pairs(environ))
    lasts = query.get("X-Amz-Expires", "")
    try:
        signed = timegm(time.strptime(query.get("X-Amz-Date", ""), "%Y%m%dT%H%M%SZ"))
    except ValueError:
        return True
    return not lasts.isdecimal() or now > signed + min(int(lasts), _LONGEST)


def _from_header(environ: WSGIEnvironment) -> Signature | None:
    match = _HEADER.fullmatch(str(environ["HTTP_AUTHORIZATION"]).strip())
    return _signature(match["credential"], match["headers"], match["signature"]) if match else None


def _from_query(environ: WSGIEnvironment) -> Signature | None:
    query = dict(_pairs(environ))
    if query.get("X-Amz-Algorithm") != ALGORITHM:
        return None
    names = ("X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Signature")
    return _signature(*(query.get(name, "") for name in names), presigned=True)


def _signature(credential: str, headers: str, value: str, *, presigned: bool = False) -> Signature | None:
    scope = _CREDENTIAL.fullmatch(credential)
    if scope is None:
        return None
    key, date, region, service = scope.groups()
    return Signature(key, date, region.lower(), service.lower(), tuple(headers.split(";")), value, presigned)


def _canonical(signature: Signature, environ: WSGIEnvironment) -> str:
    headers = "".join(f"{name}:{_value(name, environ)}\n" for name in signature.headers)
    return "\n".join(
        (
            str(environ["REQUEST_METHOD"]),
            _path(signature, environ),
            _query(environ),
            headers,
            ";".join(signature.headers),
            _body_hash(signature, environ),
        )
    )


def _path(signature: Signature, environ: WSGIEnvironment) -> str:
    """The path as it is signed: in S3 as it was sent, elsewhere normalised and encoded once more."""
    path = str(environ["RAW_URI"]).partition("?")[0] or "/"
    if signature.service == "s3":
        return path
    normal = posixpath.normpath(path).replace("//", "/")
    slash = "/" if path.endswith("/") and normal != "/" else ""
    return quote(normal + slash, safe="/" + _UNRESERVED, encoding="latin-1")


def _query(environ: WSGIEnvironment) -> str:
    pairs = (pair for pair in _pairs(environ) if pair[0] != "X-Amz-Signature")
    return "&".join(
        f"{name}={value}" for name, value in sorted((_encoded(name), _encoded(value)) for name, value in pairs)
    )


def _pairs(environ: WSGIEnvironment) -> list[tuple[str, str]]:
    """The query, decoded to bytes as WSGI writes them. A plus sign is itself: SDKs send a space as ``%20``."""
    query = str(environ.get("QUERY_STRING", ""))
    parts = (part.partition("=") for part in query.split("&") if part)
    return [(_decoded(name), _decoded(value)) for name, _, value in parts]


def _decoded(text: str) -> str:
    return unquote_to_bytes(text.encode("latin-1")).decode("latin-1") if "%" in text else text


def _encoded(text: str) -> str:
    return quote(text, safe=_UNRESERVED, encoding="latin-1")


def _value(name: str, environ: WSGIEnvironment) -> str:
    key = name.upper().replace("-", "_")
    found = environ.get(key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}", "")
    return " ".join(str(found).split())


def _moment(signature: Signature, environ: WSGIEnvironment) -> str:
    if signature.presigned:
        return dict(_pairs(environ)).get("X-Amz-Date", "")
    return str(environ.get("HTTP_X_AMZ_DATE", ""))


def _body_hash(signature: Signature, environ: WSGIEnvironment) -> str:
    """The hash of the body; of S3's, what the client says about it."""
    stated = environ.get("HTTP_X_AMZ_CONTENT_SHA256")
    if signature.service == "s3":
        return str(stated or UNSIGNED_BODY)
    body: bytes = environ["wsgi.input"].read()
    environ["wsgi.input"] = io.BytesIO(body)
    return sha256(body).hexdigest()


def _digest(text: str) -> str:
    return sha256(text.encode("latin-1")).hexdigest()


@lru_cache(maxsize=256)
def _signing_key(secret: str, *scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (*scope, "aws4_request"):
        key = hmac.digest(key, part.encode(), sha256)
    return key
