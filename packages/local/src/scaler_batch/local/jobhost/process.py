"""Making the process of a job.

Every job gets: a session and process group of its own; a new, empty working directory, which is also its home and its
place for temporary files; an environment with nothing of ours in it; no input; and one pipe for output and errors.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from . import userlimits, warm
from .death import die_with_parent
from .lines import LineSplitter

NOT_EXECUTABLE = 126
_PYTHON = frozenset({"python", "python3"})

Limits = Sequence[Sequence[str | int]]
"""Name, soft and hard limit of each user limit."""


class CannotStart(Exception):  # noqa: N818 - it names what happened to a job, not a fault of this program
    """There is no process for a command; the text says why."""


@dataclass
class JobProcess:
    """A process that exists, or has just ended."""

    attempt: str
    pid: int
    output: int
    directory: str
    lines: LineSplitter = field(default_factory=LineSplitter)


@dataclass(frozen=True)
class Nursery:
    """Where job processes come from.

    Attributes:
        host: The process that forks.
        root: The directory below which jobs get theirs.
        warm: Whether the runner is in memory, so that its command can be forked.
        forget: Called in a forked child: close what belongs to the parent.
    """

    host: int
    root: str
    warm: bool
    forget: Callable[[], None]

    def start(
        self, attempt: str, command: Sequence[str], variables: Mapping[str, str], limits: Limits = ()
    ) -> JobProcess:
        """Make the process of an attempt.

        Args:
            attempt: Which one.
            command: What it runs.
            variables: Its environment, without what it knows of the machine.
            limits: Its user limits.

        Raises:
            CannotStart: The command is empty or not there, or the machine has no process to spare.
        """
        directory = tempfile.mkdtemp(prefix="job-", dir=self.root)
        try:
            environment = {**_machine_variables(directory), **variables}
            arguments = warm.runner_arguments(command, variables) if self.warm and command else None
            _check(limits)
            program = "" if arguments is not None else _find(command, environment)
            reading, writing = os.pipe()
            pid = self._fork(reading, writing)
        except (CannotStart, OSError) as error:
            shutil.rmtree(directory, ignore_errors=True)
            raise CannotStart(str(error)) from error
        if pid == 0:
            self._be(program, command, arguments, environment, directory, writing, limits)
        os.close(writing)
        os.set_blocking(reading, False)
        return JobProcess(attempt, pid, reading, directory)

    def _fork(self, reading: int, writing: int) -> int:
        """Fork with signals held back, so that the child gets none before it has let go of the parent's handlers."""
        held = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        pid = -1
        try:
            pid = os.fork()
        except OSError:
            os.close(reading)
            os.close(writing)
            raise
        finally:
            if pid != 0:
                signal.pthread_sigmask(signal.SIG_SETMASK, held)
        return pid

    def _be(
        self,
        program: str,
        command: Sequence[str],
        arguments: list[str] | None,
        environment: dict[str, str],
        directory: str,
        output: int,
        limits: Limits,
    ) -> NoReturn:
        """Become the job. Never returns: what goes wrong here ends this process, not the host's loop."""
        code = NOT_EXECUTABLE
        try:
            self._separate(directory, output)
            userlimits.impose(limits)
            if arguments is None:
                signal.signal(signal.SIGPIPE, signal.SIG_DFL)
                os.execve(program, [_called(program, command), *command[1:]], environment)  # noqa: S606 - running it is what a job is
            code = warm.run(arguments, environment)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def _separate(self, directory: str, output: int) -> None:
        """Let go of the host, and take what is the job's own."""
        os.setsid()
        die_with_parent(self.host)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        self.forget()
        os.chdir(directory)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _machine_variables(directory: str) -> dict[str, str]:
    """What a job knows of the machine."""
    own_programs = os.path.dirname(sys.executable)
    return {
        "PATH": os.pathsep.join([own_programs, os.environ.get("PATH", os.defpath)]),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "HOME": directory,
        "TMPDIR": directory,
    }


def _check(limits: Limits) -> None:
    """Refuse, as a container engine does, what is no user limit.

    Raises:
        CannotStart: There is none of this name, or it would be above itself.
    """
    for name, soft, hard in limits:
        if userlimits.number_of(str(name)) is None:
            raise CannotStart(f"invalid ulimit type: {name}")
        if int(soft) > int(hard) >= 0:
            raise CannotStart(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")


def _called(program: str, command: Sequence[str]) -> str:
    """What a program is told to be called; Python looks for its own packages by that."""
    return program if command[0] in _PYTHON else command[0]


def _find(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """The program of a command: the interpreter of jobs for ``python``, else what the job's PATH says.

    Raises:
        CannotStart: There is none.
    """
    if not command:
        raise CannotStart("no command specified")
    if command[0] in _PYTHON:
        return sys.executable
    found = shutil.which(command[0], path=environment["PATH"])
    if found is None:
        raise CannotStart(f'exec: "{command[0]}": executable file not found in $PATH')
    return found
