"""Where ``up`` leaves word for ``down``, ``env``, ``status`` and ``reset``: one file in a state directory.

The directory is the user's alone. One that somebody else owns, may write to or has put a link in place of is refused,
because what lies there says which process is signalled and which keys are used. The file is locked by the server for as
long as it lives, so a file that nobody has locked is what a killed server has left behind.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import signal
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from .errors import AlreadyRunningError, NotRunningError, StartError, StateError

_FILE: Final = "server.json"
_NAME: Final = "scaler-batch-local"
_LARGEST: Final = 64 << 10
_LOOK_EVERY: Final = 0.05
_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]*", re.ASCII)


@dataclass(frozen=True)
class Running:
    """A server that runs, as it describes itself.

    Attributes:
        variables: The environment to use.

    Raises:
        ValueError: It is none: the file may hold anything.
    """

    pid: int
    endpoint_url: str
    variables: Mapping[str, str]

    def __post_init__(self) -> None:
        """Refuse what no server has written."""
        if type(self.pid) is not int or not 0 < self.pid < 2**31 or not isinstance(self.endpoint_url, str):
            raise ValueError("not a process and an address")
        variables: Any = self.variables
        if not isinstance(variables, dict) or not all(map(_is_variable, variables.items())):
            raise ValueError("not an environment")


def default_directory() -> Path:
    """The user's own: below the runtime directory where there is one, else below the one for state."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isdir(runtime):
        return Path(runtime) / _NAME
    if kept := os.environ.get("XDG_STATE_HOME"):
        return Path(kept) / _NAME
    try:
        return Path.home() / ".local" / "state" / _NAME
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"{_NAME}-{os.getuid()}"


@contextlib.contextmanager
def claimed(directory: Path) -> Iterator[StateFile]:
    """Hold the state directory; nothing is left of it afterwards.

    Raises:
        AlreadyRunningError: Another server holds it.
        StartError: It cannot be made, or not be written to.
        StateError: It is not the user's alone.
    """
    with contextlib.ExitStack() as opened:
        try:
            directory.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                directory.mkdir(mode=0o700)
            folder = opened.enter_context(_opened(directory))
            descriptor = _lock(folder, directory)
        except OSError as error:
            raise StartError(f"cannot use the state directory {directory}: {error.strerror}") from error
        try:
            yield StateFile(descriptor)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(_FILE, dir_fd=folder)
            os.close(descriptor)
            with contextlib.suppress(OSError):
                directory.rmdir()


@dataclass(frozen=True)
class StateFile:
    """The file while it is held."""

    descriptor: int

    def write(self, running: Running) -> None:
        """Leave word."""
        os.pwrite(self.descriptor, json.dumps(asdict(running)).encode(), 0)


def read(directory: Path) -> Running:
    """Who holds the state directory.

    Raises:
        NotRunningError: Nobody, or somebody who is not ready yet.
        StateError: It is not the user's alone.
    """
    try:
        with _opened(directory) as folder, _opened_file(folder, directory) as descriptor:
            if not _is_locked(descriptor):
                raise NotRunningError(f"no local AWS runs with the state directory {directory}")
            return Running(**json.loads(os.pread(descriptor, _LARGEST, 0)))
    except FileNotFoundError as error:
        raise NotRunningError(f"no local AWS runs with the state directory {directory}") from error
    except (OSError, ValueError, TypeError) as error:
        raise NotRunningError(f"the local AWS with the state directory {directory} is not ready") from error


def is_held(directory: Path) -> bool:
    """Whether a server that is alive holds the state directory."""
    try:
        with _opened(directory) as folder, _opened_file(folder, directory) as descriptor:
            return _is_locked(descriptor)
    except FileNotFoundError:
        return False


def stop(directory: Path, running: Running) -> None:
    """Have the server end: the process that has the locked file open, and no other that has its number by now.

    Raises:
        StateError: The process is none that holds the state directory, and is left alone.
    """
    try:
        process = os.pidfd_open(running.pid)
    except OSError:
        return
    try:
        if not _has_open(running.pid, directory):
            raise StateError(f"process {running.pid} does not hold {directory}, and was left alone")
        signal.pidfd_send_signal(process, signal.SIGTERM)
    except ProcessLookupError:
        return
    finally:
        os.close(process)


def wait_until_free(directory: Path, seconds: float) -> bool:
    """Wait until nobody holds the state directory. Returns whether that came to pass."""
    deadline = time.monotonic() + seconds
    while is_held(directory):
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_EVERY)
    return True


@contextlib.contextmanager
def _opened(directory: Path) -> Iterator[int]:
    """The state directory, once it is known to be the user's alone."""
    try:
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno not in {errno.ENOTDIR, errno.ELOOP}:
            raise
        raise StateError(f"the state directory {directory} is a link or a file: choose another --state-dir") from error
    try:
        _check_owner(os.fstat(folder), directory)
        yield folder
    finally:
        os.close(folder)


@contextlib.contextmanager
def _opened_file(folder: int, directory: Path) -> Iterator[int]:
    descriptor = _open_file(folder, directory, os.O_RDWR)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open_file(folder: int, directory: Path, how: int) -> int:
    """Open the file, which is one of the user's that has no other name."""
    try:
        descriptor = os.open(_FILE, how | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600, dir_fd=folder)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise StateError(f"{directory / _FILE} cannot be opened, or is a link: {error.strerror}; remove it") from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(descriptor)
        raise StateError(f"{directory / _FILE} is not a file of its own: remove it")
    return descriptor


def _check_owner(found: os.stat_result, directory: Path) -> None:
    if found.st_uid != os.geteuid():
        raise StateError(f"the state directory {directory} belongs to another user: choose another --state-dir")
    if found.st_mode & 0o077:
        raise StateError(f"others may use the state directory {directory}: chmod 700 {directory}")


def _is_locked(descriptor: int) -> bool:
    """Whether somebody else has locked a file."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _lock(folder: int, directory: Path) -> int:
    """Open and lock the file; again, if it was removed between the two."""
    while True:
        descriptor = _open_file(folder, directory, os.O_RDWR | os.O_CREAT)
        if _is_locked(descriptor):
            os.close(descriptor)
            raise AlreadyRunningError(f"a local AWS runs already with the state directory {directory}")
        if os.fstat(descriptor).st_nlink:
            os.ftruncate(descriptor, 0)
            return descriptor
        os.close(descriptor)


def _has_open(pid: int, directory: Path) -> bool:
    """Whether a process has the file open."""
    with _opened(directory) as folder, _opened_file(folder, directory) as descriptor:
        wanted = os.fstat(descriptor)
    folder_of_process = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder_of_process)
    except OSError:  # it has ended, or is another user's
        return False
    return any(_is_same(f"{folder_of_process}/{name}", wanted) for name in names)


def _is_same(path: str, wanted: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), wanted)
    except OSError:
        return False


def _is_variable(item: tuple[Any, Any]) -> bool:
    name, value = item
    return _VARIABLE.fullmatch(name) is not None and isinstance(value, str) and value.isprintable()
