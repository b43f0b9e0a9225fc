"""Where ``up`` leaves word for ``down``, ``status`` and ``reset``: one file in a state directory.

The file is locked by the server for as long as it lives, so a file that nobody has locked is what a killed server has
left behind, and no process id has to be trusted.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from .errors import AlreadyRunningError, NotRunningError, StartError

_FILE = "server.json"
_LOOK_EVERY = 0.05


@dataclass(frozen=True)
class Running:
    """A server that runs, as it describes itself.

    Attributes:
        variables: The environment to use.
    """

    pid: int
    endpoint_url: str
    variables: Mapping[str, str]


def default_directory() -> Path:
    """The user's own: below the runtime directory where there is one, else below the one for temporary files."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isdir(runtime):
        return Path(runtime) / "scaler-batch-local"
    return Path(tempfile.gettempdir()) / f"scaler-batch-local-{os.getuid()}"


@contextlib.contextmanager
def claimed(directory: Path) -> Iterator[StateFile]:
    """Hold the state directory; nothing is left of it afterwards.

    Raises:
        AlreadyRunningError: Another server holds it.
        StartError: It cannot be made, or not be written to.
    """
    path = directory / _FILE
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = _lock(path)
    except OSError as error:
        raise StartError(f"cannot use the state directory {directory}: {error.strerror}") from error
    try:
        yield StateFile(descriptor)
    finally:
        path.unlink(missing_ok=True)
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
    """
    path = directory / _FILE
    try:
        if not is_held(directory):
            raise NotRunningError(f"no local AWS runs with the state directory {directory}")
        return Running(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise NotRunningError(f"the local AWS with the state directory {directory} is not ready") from error


def is_held(directory: Path) -> bool:
    """Whether a server that is alive holds the state directory."""
    try:
        descriptor = os.open(directory / _FILE, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def wait_until_free(directory: Path, seconds: float) -> bool:
    """Wait until nobody holds the state directory. Returns whether that came to pass."""
    deadline = time.monotonic() + seconds
    while is_held(directory):
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_EVERY)
    return True


def _lock(path: Path) -> int:
    """Open and lock the file; again, if it was removed between the two."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise AlreadyRunningError(f"a local AWS runs already with the state directory {path.parent}") from error
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            os.ftruncate(descriptor, 0)
            return descriptor
        os.close(descriptor)
