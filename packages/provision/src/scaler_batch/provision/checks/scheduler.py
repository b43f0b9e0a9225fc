"""Whether somebody listens where the scheduler should be."""

from __future__ import annotations

import socket
from typing import Final
from urllib.parse import urlsplit

from scaler_batch.provision.errors import SettingsError
from scaler_batch.provision.finding import Finding, ok, problem

SUBJECT: Final = "scheduler"
SECONDS: Final = 3.0
SCHEMES: Final = ("tcp", "tls", "ws", "wss")
FORMS: Final = " or ".join(f"{scheme}://HOST:PORT" for scheme in SCHEMES)


def parse(address: str) -> tuple[str, int]:
    """Take ``scheme://host:port`` apart.

    Raises:
        SettingsError: It is no such address.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port or parts.scheme not in SCHEMES:
        raise SettingsError(f"{address!r} is no address", fix=f"pass --scheduler {FORMS}")
    return host, port


def check(address: str) -> Finding:
    """Connect once."""
    host, port = parse(address)
    try:
        socket.create_connection((host, port), timeout=SECONDS).close()
    except OSError as error:
        return problem(
            SUBJECT,
            f"failed to connect to scheduler at {address}: {error}",
            f"see that it runs (ps aux | grep scheduler), that its container was started with -p {port}:{port}, and "
            "that the address is right, with a numeric host",
        )
    return ok(SUBJECT, f"somebody listens at {address}")
