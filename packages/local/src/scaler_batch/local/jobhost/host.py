"""The host's loop: one selector, and five things that can happen.

==================
===================================================================================================== the server
speaks   start a process, or signal one the server is gone  end everything, and leave a job writes        pass on its
complete lines a child has ended   end what it left behind, pass on its last output, report its exit code the socket
drains   go on reading from jobs, which waits while too much is unsent ==================
=====================================================================================================
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from typing import Any

from .death import adopt_orphans, end_descendants, end_group, signal_group
from .memory import MemoryWatch
from .messages import Ended, Output, Ready, Refused, Start, Started, Stop, decode
from .outbox import Outbox
from .process import CannotStart, JobProcess, Nursery

_PIECE = 1 << 16
_KILLED = 128 + signal.SIGKILL


class Host:
    """The parent of every job's process. It owns those processes, their directories and their pipes.

    Args:
        channel: The socket to the server.
        root: A directory of its own, in which jobs get theirs.
        warm: Whether the runner's commands are forked.
    """

    def __init__(self, channel: socket.socket, root: str, *, warm: bool) -> None:
        channel.setblocking(False)
        self._channel = channel
        self._outbox = Outbox(channel)
        self._root = root
        self._nursery = Nursery(os.getpid(), root, warm, self._forget_in_child)
        self._selector = selectors.DefaultSelector()
        self._wakeup, self._signals = socket.socketpair()
        self._by_pid: dict[int, JobProcess] = {}
        self._by_attempt: dict[str, JobProcess] = {}
        self._memory = MemoryWatch()
        self._unread = b""
        self._open = True
        self._reading_jobs = True

    def run(self, note: str) -> None:
        """Serve until the server has gone.

        Args:
            note: What to tell the server about the runner.
        """
        adopt_orphans()
        self._listen_for_signals()
        self._selector.register(self._channel, selectors.EVENT_READ, self._hear)
        self._selector.register(self._wakeup, selectors.EVENT_READ, self._on_signal)
        self._outbox.put(Ready(os.getpid(), self._root, self._nursery.warm, note))
        try:
            while self._open:
                self._watch_outbox()
                for key, events in self._selector.select(self._memory.patience):
                    key.data(events)
                self._memory.look()
        finally:
            self._end_everything()

    # The server ---------------------------------------------------------------------------------------------------

    def _hear(self, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._outbox.flush()
        if not events & selectors.EVENT_READ:
            return
        with contextlib.suppress(BlockingIOError):
            data = self._read_channel()
            self._open = bool(data)
            *complete, self._unread = (self._unread + data).split(b"\n")
            for line in complete:
                self._obey(decode(line))

    def _read_channel(self) -> bytes:
        try:
            return self._channel.recv(_PIECE)
        except ConnectionError:
            return b""

    def _obey(self, message: object) -> None:
        match message:
            case Start():
                self._start(message)
            case Stop(attempt, number):
                if attempt in self._by_attempt:
                    signal_group(self._by_attempt[attempt].pid, number)

    def _start(self, wanted: Start) -> None:
        try:
            job = self._nursery.start(wanted.attempt, wanted.command, wanted.environment, wanted.ulimits)
        except CannotStart as error:
            self._outbox.put(Refused(wanted.attempt, str(error)))
            return
        self._by_pid[job.pid] = self._by_attempt[job.attempt] = job
        self._memory.add(job.pid, wanted.memory)
        self._outbox.put(Started(job.attempt, job.pid))
        if self._reading_jobs:
            self._read_from(job)

    def _watch_outbox(self) -> None:
        """Wait for room when something is unsent, and let jobs wait when that is too much."""
        waiting = selectors.EVENT_WRITE if self._outbox else 0
        self._selector.modify(self._channel, selectors.EVENT_READ | waiting, self._hear)
        if self._reading_jobs == self._outbox.full:
            self._reading_jobs = not self._outbox.full
            for job in self._by_pid.values():
                if self._reading_jobs:
                    self._read_from(job)
                else:
                    self._stop_reading(job)

    # Jobs ---------------------------------------------------------------------------------------------------------

    def _read_from(self, job: JobProcess) -> None:
        if job.output >= 0:
            self._selector.register(job.output, selectors.EVENT_READ, lambda events: self._on_output(job))

    def _stop_reading(self, job: JobProcess) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(job.output)

    def _on_output(self, job: JobProcess) -> None:
        if job.output < 0:
            return
        data = _read_piece(job.output)
        if data:
            self._say(job, job.lines.feed(data))
        elif data is not None:
            self._close_output(job)

    def _say(self, job: JobProcess, lines: list[str]) -> None:
        if lines:
            self._outbox.put(Output(job.attempt, time.time(), lines))

    def _close_output(self, job: JobProcess) -> None:
        self._stop_reading(job)
        os.close(job.output)
        job.output = -1

    def _on_signal(self, events: int) -> None:
        numbers = self._wakeup.recv(_PIECE)
        if signal.SIGTERM in numbers:
            self._open = False
        for pid in _ended_children():
            self._bury(pid)

    def _bury(self, pid: int) -> None:
        """A child has ended. Others than jobs are orphans that came here, and nobody asks how they ended."""
        job = self._by_pid.pop(pid, None)
        if job is None:
            os.waitpid(pid, 0)
            return
        status, cpu_seconds = end_group(pid)
        self._drain(job)
        del self._by_attempt[job.attempt]
        shutil.rmtree(job.directory, ignore_errors=True)
        starved, code = self._memory.remove(pid), _exit_code(status)
        self._outbox.put(Ended(job.attempt, code, cpu_seconds, out_of_memory=starved and code == _KILLED))

    def _drain(self, job: JobProcess) -> None:
        """Pass on what an ended job has written. What it left running may hold the pipe: that does not count."""
        while job.output >= 0 and (data := _read_piece(job.output)):
            self._say(job, job.lines.feed(data))
        self._say(job, job.lines.finish())
        if job.output >= 0:
            self._close_output(job)

    # The host itself ----------------------------------------------------------------------------------------------

    def _listen_for_signals(self) -> None:
        self._wakeup.setblocking(False)
        self._signals.setblocking(False)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._signals.fileno())

    def _forget_in_child(self) -> None:
        """In a forked child: close what is the host's. A command that is executed loses it anyway."""
        self._selector.close()
        for each in (self._channel, self._wakeup, self._signals):
            each.close()
        for job in self._by_pid.values():
            if job.output >= 0:
                os.close(job.output)

    def _end_everything(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        end_descendants()
        shutil.rmtree(self._root, ignore_errors=True)


def _read_piece(descriptor: int) -> bytes | None:
    """Up to one piece; nothing at the end, None when there is nothing yet."""
    try:
        return os.read(descriptor, _PIECE)
    except BlockingIOError:
        return None


def _ended_children() -> Iterator[int]:
    """The children that have ended, each until it is waited for."""
    while True:
        try:
            found: Any = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None:
            return
        yield found.si_pid


def _exit_code(status: int) -> int:
    """A wait status as a container reports it."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
