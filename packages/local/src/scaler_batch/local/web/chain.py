"""Layers around an application: each sees what is asked, by whom, and the answer.

A layer that only looks on goes on and returns what came back. One that injects faults may answer without going on
(nothing happened), go on and answer otherwise (the effect is there, its answer is lost), wait, or raise
:class:`Disconnect`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class Manner(Enum):
    """How a connection is left without an answer."""

    CLOSE = auto()
    RESET = auto()
    SILENCE = auto()


class Disconnect(Exception):  # noqa: N818 - it is an order, not a fault
    """Leave the connection without an answer: close it, reset it, or say nothing until the client closes it.

    Attributes:
        manner: Which of these.
    """

    def __init__(self, manner: Manner = Manner.CLOSE) -> None:
        super().__init__(manner.name)
        self.manner = manner


@dataclass(frozen=True, slots=True)
class Call:
    """One request, understood.

    Attributes:
        service: In botocore's terms, such as ``s3``; empty for a request that is for none.
        operation: Such as ``PutObject``.
        caller: Who asks; see :func:`~.callers.caller_of`.
        key: The access key that the request is signed with; empty when it is not signed.
        environ: The request itself.
    """

    service: str
    operation: str
    caller: str
    environ: WSGIEnvironment
    key: str = ""

    @property
    def name(self) -> str:
        """Service and operation, such as ``s3.PutObject``."""
        return f"{self.service}.{self.operation}"

    @property
    def path(self) -> str:
        """What it is about: ``bucket/key`` in S3, and ``bucket/prefix`` where a prefix is listed."""
        path = str(self.environ.get("PATH_INFO", "")).strip("/")
        prefix = parse_qs(str(self.environ.get("QUERY_STRING", ""))).get("prefix", [""])[0]
        return f"{path}/{prefix}" if prefix else path


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: a status line such as ``200 OK``, headers, and the body in pieces."""

    status: str
    headers: Sequence[tuple[str, str]]
    body: Sequence[bytes]

    @property
    def failed(self) -> bool:
        """Whether the status says that it did not work."""
        return int(self.status.split(" ", 1)[0]) >= 400


Proceed = Callable[[], Answer]


class Layer(Protocol):
    """One step on a request's way."""

    def __call__(self, call: Call, proceed: Proceed) -> Answer:
        """Deal with a call; ``proceed`` asks whoever comes next, and may be called once or not at all."""


class Front:
    """A WSGI application: names each request and sends it through the layers.

    Args:
        application: What answers in the end.
        understand: What a request asks for.
        layers: The outermost first.
    """

    def __init__(
        self, application: WSGIApplication, understand: Callable[[WSGIEnvironment], Call], layers: Sequence[Layer]
    ) -> None:
        self._application = application
        self._understand = understand
        self._layers = layers

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        call = self._understand(environ)
        answer = self._ask(call, 0)
        start_response(answer.status, list(answer.headers))
        return answer.body

    def _ask(self, call: Call, depth: int) -> Answer:
        if depth == len(self._layers):
            return _answer_of(self._application, call.environ)
        return self._layers[depth](call, lambda: self._ask(call, depth + 1))


def _answer_of(application: WSGIApplication, environ: WSGIEnvironment) -> Answer:
    """Call a WSGI application and keep what it says."""
    said: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], error: Any = None) -> Callable[[bytes], object]:
        said.append((status, headers))
        return lambda data: None

    body = application(environ, start_response)
    try:
        pieces = list(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    status, headers = said[-1]
    return Answer(status, headers, pieces)
