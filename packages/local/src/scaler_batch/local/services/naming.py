"""Which operation a request asks for, by the rules of AWS's protocols."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from botocore.exceptions import BotoCoreError
from moto.core.request import Request
from moto.core.routing import get_service_router
from werkzeug.exceptions import HTTPException

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

UNKNOWN = "Unknown"


def operation_of(service: str, environ: WSGIEnvironment) -> str:
    """The operation's name, or ``Unknown``.

    JSON services name it in a header, query services in a form, and REST services by method and path.
    """
    target = environ.get("HTTP_X_AMZ_TARGET")
    if target:
        return str(target).rpartition(".")[2]
    query = parse_qs(str(environ.get("QUERY_STRING", ""))) | _form(environ)
    if "Action" in query:
        return query["Action"][0]
    return _by_path(service, environ)


def _form(environ: WSGIEnvironment) -> dict[str, list[str]]:
    """A form in the body, which stays readable for whoever comes next."""
    if not str(environ.get("CONTENT_TYPE", "")).startswith("application/x-www-form-urlencoded"):
        return {}
    body: Any = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return parse_qs(body.decode("utf-8", "replace"))


def _by_path(service: str, environ: WSGIEnvironment) -> str:
    try:
        operation, _ = get_service_router(service).match(Request(environ, populate_request=False))
    except (HTTPException, BotoCoreError, LookupError, NotImplementedError, ValueError):
        return UNKNOWN
    return str(operation.name)
