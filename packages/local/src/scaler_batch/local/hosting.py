"""The server's end of the job host: it starts it, writes to it, listens to it, and notices when it is gone."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from .errors import StartError
from .jobhost import messages
from .jobhost.messages import Message, Ready

_CONTAINERS = f"{__package__}.containers"
_START = Path(__file__).parent / "jobhost" / "start.py"
_KEPT_VARIABLES = ("PATH", "LANG", "TMPDIR")
_ENGINE_VARIABLES = ("HOME", "PYTHONPATH", "DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
"""What a container host needs as well: to find itself, the engine, and what it may pull."""
_READY_SECONDS = 60.0
_LEAVE_SECONDS = 10.0


class JobHost:
    """One job host process.

    Args:
        python: The interpreter that it runs under.
        mode: ``fork``, ``spawn`` or ``docker``.
        heard: Called with each message of the host, in the thread that listens.
        lost: Called in the same thread when a host that was ready has gone without having been told to.
    """

    def __init__(self, python: str, mode: str, heard: Callable[[Message], None], lost: Callable[[], None]) -> None:
        self._python = python
        self._heard = heard
        self._lost = lost
        self._closing = False
        self._ready: Ready | None = None
        self._said_ready = threading.Event()
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = self._spawn(mode, theirs.fileno())
        self._listener = threading.Thread(target=self._listen, name="job-host-listener", daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """The host's process."""
        return self._process.pid

    def wait_until_ready(self) -> Ready:
        """Wait for the host to have warmed up.

        Raises:
            StartError: It ended instead, or took too long.
        """
        self._said_ready.wait(_READY_SECONDS)
        if self._ready is None:
            self.close()
            raise StartError(f"the job host did not come up under {self._python}; what it said is above")
        return self._ready

    def send(self, message: Message) -> None:
        """Tell the host something. When it is gone this does nothing: ``lost`` says so."""
        with contextlib.suppress(OSError):
            self._channel.sendall(messages.encode(message))

    def close(self) -> None:
        """Have the host end every job and leave; after a while, make it."""
        self._closing = True
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._channel.close()

    def _spawn(self, mode: str, channel: int) -> subprocess.Popen[bytes]:
        """Start it: in a session of its own, so that Ctrl-C reaches the server only, and with little environment."""
        kept = _KEPT_VARIABLES + (_ENGINE_VARIABLES if mode == "docker" else ())
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        environment.setdefault("LANG", "C.UTF-8")
        command = [sys.executable, "-P", "-m", _CONTAINERS] if mode == "docker" else [self._python, str(_START), mode]
        try:
            return subprocess.Popen(command, stdin=channel, env=environment, start_new_session=True)  # noqa: S603
        except OSError as error:
            self._channel.close()
            raise StartError(f"cannot run the interpreter for jobs: {error}") from error

    def _listen(self) -> None:
        with self._channel.makefile("rb") as lines, contextlib.suppress(OSError):
            for line in lines:
                self._hear(messages.decode(line))
        self._said_ready.set()
        if self._ready is not None and not self._closing:
            self._process.wait()
            shutil.rmtree(self._ready.root, ignore_errors=True)  # which a host that was killed could not do
            self._lost()

    def _hear(self, message: Message) -> None:
        if isinstance(message, Ready):
            self._ready = message
            self._said_ready.set()
        else:
            self._heard(message)
