"""What a container host does first: take its socket, find the engine, clear away what is left, and serve."""

from __future__ import annotations

import os
import signal
import socket
import sys

from ..errors import LocalError
from .engine import DockerEngine
from .host import ContainerHost
from .ownership import Owner, is_left_behind


def main() -> None:
    """Be the container host until the server has gone."""
    channel = socket.socket(fileno=os.dup(0))
    signal.signal(signal.SIGTERM, lambda *_: channel.shutdown(socket.SHUT_RD))
    try:
        engine = DockerEngine()
        for container in filter(is_left_behind, engine.ours()):
            engine.remove(container.id)
    except LocalError as error:
        sys.exit(f"scaler-batch-local: {error}")
    ContainerHost(channel, engine, Owner.this_process()).run()
    os._exit(0)  # without waiting for the threads that followed containers


if __name__ == "__main__":
    main()
