"""What a job host does first: take its socket, warm up if it is to, and serve."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from collections.abc import Sequence

from . import warm
from .host import Host

FORK = "fork"


def main(arguments: Sequence[str]) -> None:
    """Be the job host until the server has gone.

    Args:
        arguments: How jobs are run: ``fork`` or ``spawn``.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    channel = _take_channel()
    wants_warm = FORK in arguments
    note = warm.warm_up() if wants_warm else ""
    root = tempfile.mkdtemp(prefix="scaler-batch-jobs-")
    Host(channel, root, warm=wants_warm and not note).run(note)


def _take_channel() -> socket.socket:
    """The socket that came as standard input; jobs shall find nothing there."""
    channel = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return channel
