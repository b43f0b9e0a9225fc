"""Writing a file so that whoever reads it finds the old text or the new, and never a part."""

from __future__ import annotations

import os
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


def _replace(path: Path, text: str) -> None:
    """Write beside the file, then take its place. The data must be on disk before the name points to it."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
