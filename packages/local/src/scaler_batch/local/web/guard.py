"""Who may ask at all: decided from the head of a request, before anything of it is read or understood.

A page in a browser can send requests to this machine in its user's name: to a name that the page's owner has resolve to
the loopback address, as a form, or without reading the answer. So a request must be addressed to this machine by a name
that nobody else can own, must not come from a page, and must be signed with a key of this server. Only the health check
needs no key.

Answers to whoever is refused are AWS's own where it is the key that is wrong, with a hint where the right one is.
"""

from __future__ import annotations

import fnmatch
import hmac
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from ..faults import ExpiredToken
from ..faults.refusals import outdated, refusal, too_large, unknown_key, unsigned, wrongly_signed
from .callers import SSO_TOKEN, caller_of, service_of
from .chain import Answer, Call
from .control import HEALTH, PREFIX
from .signatures import Signature, has_expired, is_older, is_signed_with, signature_of

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

LARGEST_REQUEST: Final = 32 << 20
LARGEST_OBJECT: Final = 5 << 30
"""Bytes of a body. The largest that is not an object is a part of an image's layer in Base64; S3's limit is AWS's."""

ADVICE: Final = (
    'This is a local AWS, which knows only the keys that it made when it started: run eval "$(scaler-batch-local env)",'
    " or read the file of --env-file again, also in place of credentials of an account that your shell still has."
)
_BEARER: Final = 'say "Authorization: Bearer $AWS_SECRET_ACCESS_KEY", with the key that `scaler-batch-local env` prints'
_LOOPBACK: Final = r"(?:[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?\.)?(?:localhost|127\.0\.0\.1)|\[::1\]"
_NAME_AND_PORT: Final = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?", re.ASCII)
_FROM_NO_OTHER_SITE: Final = frozenset({"none", "same-origin"})


class Hosts:
    """The names under which a server may be addressed: those of the loopback interface, with any port, and others.

    Args:
        others: Further names; ``*`` stands for any text.
    """

    def __init__(self, others: Sequence[str] = ()) -> None:
        allowed = [_LOOPBACK, *(fnmatch.translate(name.lower()) for name in others)]
        self._allowed = re.compile("|".join(f"(?:{each})" for each in allowed), re.ASCII)

    def __contains__(self, host: str) -> bool:
        """Whether a ``Host`` header holds one of them."""
        parts = _NAME_AND_PORT.fullmatch(host.lower())
        return parts is not None and self._allowed.fullmatch(parts["name"]) is not None


class Guard:
    """Refuses requests that nobody with a key of this server has sent on purpose.

    Args:
        hosts: The names under which this server may be addressed.
        secret: That of the user's access key, which opens the server's own paths and the SSO portal.
        secret_of: The secret of an access key by its id; None when there is no such key.
    """

    def __init__(self, hosts: Hosts, secret: str, secret_of: Callable[[str], str | None]) -> None:
        self._hosts = hosts
        self._secret = secret
        self._secret_of = secret_of

    def screen(self, environ: WSGIEnvironment) -> Answer | None:
        """The answer to whoever has no key, a refusal or that all is well; None for a request that may pass."""
        if (answer := self._astray(environ)) is not None:
            return answer
        path = str(environ["PATH_INFO"])
        if path == HEALTH:
            return _json("200 OK", {"status": "ok"})
        if path.startswith(PREFIX):
            return None if self._knows_secret(environ) else _error("401 Unauthorized", _BEARER)
        if SSO_TOKEN in environ:
            return None if self._is_secret(environ[SSO_TOKEN]) else refusal(ExpiredToken(), _call(environ))
        return self._unproven(signature_of(environ), environ)

    def _astray(self, environ: WSGIEnvironment) -> Answer | None:
        """Refuse what is not addressed to this server, or what a page of a browser has sent."""
        target = str(environ["RAW_URI"])
        if not target.startswith("/") or target.startswith("//"):
            return _error("400 Bad Request", "the request target must be a path")
        if str(environ.get("HTTP_HOST", "")) not in self._hosts:
            return _error(
                "421 Misdirected Request",
                "the Host header must name this machine's loopback interface, or a name given with --accept-host",
            )
        site = str(environ.get("HTTP_SEC_FETCH_SITE", "none")).lower()
        if "HTTP_ORIGIN" in environ or site not in _FROM_NO_OTHER_SITE:
            return _error("403 Forbidden", "requests of web pages are not answered")
        return None

    def _unproven(self, signature: Signature | None, environ: WSGIEnvironment) -> Answer | None:
        """Refuse what no key of this server has signed."""
        if signature is None:
            return outdated(_call(environ)) if is_older(environ) else unsigned(_call(environ), ADVICE)
        secret = self._secret_of(signature.key)
        if secret is None:
            return unknown_key(_call(environ), ADVICE)
        if (answer := _oversized(signature, environ)) is not None:
            return answer
        if not is_signed_with(secret, signature, environ):
            return wrongly_signed(_call(environ), ADVICE)
        return (
            unsigned(_call(environ), "Request has expired.") if has_expired(signature, environ, time.time()) else None
        )

    def _knows_secret(self, environ: WSGIEnvironment) -> bool:
        scheme, _, token = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
        return scheme.lower() == "bearer" and self._is_secret(token.strip())

    def _is_secret(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._secret.encode())


def _call(environ: WSGIEnvironment) -> Call:
    """What an answer of AWS has to know of a request."""
    return Call(service_of(environ), "", caller_of(environ), environ)


def _oversized(signature: Signature, environ: WSGIEnvironment) -> Answer | None:
    """Refuse a body that is too large. Those of other services than S3 are read to judge their signature."""
    is_object = signature.service == "s3"
    if environ.get("wsgi.input_terminated") and not is_object:
        return _error("411 Length Required", "only uploads to S3 may come in chunks")
    most = LARGEST_OBJECT if is_object else LARGEST_REQUEST
    return too_large(_call(environ), most) if int(environ.get("CONTENT_LENGTH") or 0) > most else None


def _error(status: str, error: str) -> Answer:
    return _json(status, {"error": error})


def _json(status: str, content: Mapping[str, str]) -> Answer:
    body = json.dumps(content).encode()
    return Answer(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))], [body])
