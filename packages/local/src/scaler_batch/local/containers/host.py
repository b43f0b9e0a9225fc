"""The host's life: obey the server, follow each attempt in a thread of its own, and leave nothing."""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from ..errors import ContainerError, LocalError
from ..jobhost.lines import LineSplitter
from ..jobhost.messages import Ended, Message, Output, Ready, Refused, Start, Started, Stop, decode, encode
from .engine import Death, DockerEngine
from .ownership import Owner

KILLED = 137
STOPPED_FIRST = "CannotStartContainerError: the job was stopped before its container was started"


@dataclass
class Attempt:
    """One attempt on its way.

    The lock is held while the container is made and started, and while that is given up: what was stopped before is not
    started, and once the host closes no container comes into being.
    """

    id: str
    container: str | None = None
    stopped: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class ContainerHost:
    """Runs attempts as containers until the server has gone.

    Args:
        channel: The socket to the server.
        engine: What makes containers.
        owner: This process.
    """

    def __init__(self, channel: socket.socket, engine: DockerEngine, owner: Owner) -> None:
        self._channel = channel
        self._engine = engine
        self._owner = str(owner)
        self._attempts: dict[str, Attempt] = {}
        self._signals: queue.SimpleQueue[Stop] = queue.SimpleQueue()
        self._writing = threading.Lock()

    def run(self) -> None:
        """Serve until the server has gone."""
        threading.Thread(target=self._pass_signals_on, name="signals", daemon=True).start()
        self._say(Ready(os.getpid(), "", warm=False))
        with self._channel.makefile("rb") as lines, contextlib.suppress(OSError):
            for line in lines:
                self._obey(decode(line))
        self._remove_everything()

    # The server ---------------------------------------------------------------------------------------------------

    def _obey(self, message: Message) -> None:
        """Take a command. This must not wait: the server may hold a lock until it is rid of the command."""
        match message:
            case Start():
                attempt = self._attempts[message.attempt] = Attempt(message.attempt)
                threading.Thread(target=self._follow, args=(attempt, message), daemon=True).start()
            case Stop():
                self._signals.put(message)

    def _pass_signals_on(self) -> None:
        while True:
            stop = self._signals.get()
            attempt = self._attempts.get(stop.attempt)
            if attempt is not None:
                self._signal(attempt, stop.signal)

    def _signal(self, attempt: Attempt, number: int) -> None:
        with attempt.lock:
            attempt.stopped = True
        if attempt.container is not None:
            self._engine.kill(attempt.container, number)

    def _say(self, message: Message) -> None:
        """Tell the server. That it has gone is noticed where it is listened to."""
        with self._writing, contextlib.suppress(OSError):
            self._channel.sendall(encode(message))

    def _remove_everything(self) -> None:
        """Let no container come into being any more, and remove those there are."""
        for attempt in list(self._attempts.values()):
            with attempt.lock:
                attempt.stopped = True
        with contextlib.suppress(LocalError), ThreadPoolExecutor() as pool:
            list(pool.map(self._engine.remove, [each.id for each in self._engine.ours(self._owner)]))

    # One attempt --------------------------------------------------------------------------------------------------

    def _follow(self, attempt: Attempt, wanted: Start) -> None:
        """The thread of an attempt."""
        try:
            self._engine.need_image(wanted.container.get("image", ""))
            self._run(attempt, wanted)
        except ContainerError as error:
            self._say(Refused(attempt.id, str(error), reason=str(error)))
        finally:
            del self._attempts[attempt.id]
            if attempt.container is not None:
                self._engine.remove(attempt.container)

    def _run(self, attempt: Attempt, wanted: Start) -> None:
        with attempt.lock:
            if attempt.stopped:
                raise ContainerError(STOPPED_FIRST)
            attempt.container = self._engine.create(wanted, self._owner)
            output = self._engine.start(attempt.container)
        self._say(Started(attempt.id, 0))
        streams = (LineSplitter(), LineSplitter())
        for pieces in output:
            for stream, piece in zip(streams, pieces, strict=True):
                self._pass_on(attempt, stream.feed(piece or b""))
        for stream in streams:
            self._pass_on(attempt, stream.finish())
        self._say(_ended(attempt, self._engine.wait(attempt.container)))

    def _pass_on(self, attempt: Attempt, lines: list[str]) -> None:
        if lines:
            self._say(Output(attempt.id, time.time(), lines))


def _ended(attempt: Attempt, death: Death) -> Ended:
    """A process of the job may have been killed for want of memory, and the job have coped: that is no bad end."""
    return Ended(attempt.id, death.exit_code, 0.0, out_of_memory=death.out_of_memory and death.exit_code == KILLED)
