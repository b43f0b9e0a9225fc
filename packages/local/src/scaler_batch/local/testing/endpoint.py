"""The endpoint from which ECS tasks get credentials, as a test wants it to behave."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from .temporary import EXPIRED, keys_of, leading, moment

_HANG = 0


class CredentialEndpoint:
    """Serves ``AWS_CONTAINER_CREDENTIALS_FULL_URI`` on the loopback interface while a block lasts.

    ::

        with CredentialEndpoint(aws.environment) as endpoint:
            environment = endpoint.environment
            endpoint.give(seconds=30)
            endpoint.hang()

    Args:
        environment: What leads to AWS, with the keys that are given.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._leading = dict(environment)
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._requests = 0
        self.give()

    def __enter__(self) -> CredentialEndpoint:
        """Begin to serve."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="credentials", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Answer what hangs, and end."""
        self.fail()
        self._server.shutdown()
        self._server.server_close()

    @property
    def requests(self) -> int:
        """How often credentials were asked for."""
        with self._changed:
            return self._requests

    @property
    def environment(self) -> dict[str, str]:
        """The environment that leads to AWS, in which credentials come from here."""
        uri = f"http://127.0.0.1:{self._server.server_port}/credentials"
        return leading(self._leading, AWS_CONTAINER_CREDENTIALS_FULL_URI=uri)

    def give(self, seconds: float = 3600.0) -> None:
        """Answer with credentials that expire so many seconds after each request."""
        self._behave(200, seconds)

    def expire(self) -> None:
        """Answer with credentials that have expired."""
        self.give(EXPIRED)

    def fail(self, status: int = 500) -> None:
        """Answer with an error."""
        self._behave(status, 0)

    def hang(self) -> None:
        """Do not answer, until told to do otherwise."""
        self._behave(_HANG, 0)

    def answer(self) -> tuple[int, bytes]:
        """The answer to a request that has just come, once there is one."""
        with self._changed:
            self._requests += 1
            self._changed.wait_for(lambda: self._status != _HANG)
            status, seconds = self._status, self._seconds
        if status != 200:
            return status, b'{"code": "InternalServerError", "message": "no credentials"}'
        key, secret = keys_of(self._leading)
        given = {"AccessKeyId": key, "SecretAccessKey": secret, "Token": "local", "Expiration": moment(seconds)}
        return status, json.dumps(given).encode()

    def _behave(self, status: int, seconds: float) -> None:
        with self._changed:
            self._status, self._seconds = status, seconds
            self._changed.notify_all()


def _handler(endpoint: CredentialEndpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = endpoint.answer()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *values: object) -> None:
            """Say nothing."""

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                self.close_connection = True  # the client has given up

    return Handler
