"""Writing a file so that whoever reads it finds the old text or the new, and never a part; reading one with care."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from typing import TYPE_CHECKING

from scaler_batch.provision.errors import FileError

if TYPE_CHECKING:
    from pathlib import Path


def write_text(path: Path, text: str) -> None:
    """Replace the file's content.

    Raises:
        FileError: The file cannot be written.
    """
    try:
        _replace(path, text)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}", fix="name a place that you may write to") from error


def read_text(path: Path) -> str | None:
    """Read the file; ``None`` when there is none.

    Raises:
        FileError: It is there, and cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"cannot read {path}: {error}", fix="remove the file, or name another") from error


def read_record(path: Path, *, most_bytes: int) -> str | None:
    """Read a file that decides what happens to resources; ``None`` when there is none.

    Raises:
        FileError: It is a link, a pipe or a device, is larger than that, or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise FileError(f"cannot read {path}: {reason}", fix="name the file itself, or another") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileError(f"cannot read {path}: it is not a regular file", fix="name another file")
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(most_bytes + 1)
    finally:
        os.close(descriptor)
    if len(data) > most_bytes:
        raise FileError(f"cannot read {path}: it is larger than {most_bytes} bytes", fix="name another file")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileError(f"cannot read {path}: {error}", fix="remove the file, or name another") from error


def _replace(path: Path, text: str) -> None:
    """Write beside the file, then take its place. The data must be on disk before the name points to it.

    The name beside it cannot be guessed, and must be new: nobody can have put a link there.
    """
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
