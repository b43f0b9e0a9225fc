"""What the worker logs: lines for people or for machines, with the ids by which lines are found again.

Each line says which run it belongs to, and, where it is about one, which task and job. Arguments, results and messages
of the user's exceptions are never logged, neither by us nor by the libraries below: logs are read by more people than
results.

A file of Python's ``logging.config`` may take the place of the options. It can name :class:`JsonFormatter`, and write
``%(run)s`` in a format of its own.
"""

from __future__ import annotations

import json
import logging
import logging.config
import sys
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from scaler_batch.adapter.errors import SettingsError
from scaler_batch.adapter.settings import LogSettings
from scaler_batch.aws import printable, quiet_dependencies

RUN: Final[ContextVar[str]] = ContextVar("run", default="")
"""Id of the run that the current code works for."""

IDS: Final = ("run", "task", "job")
"""Attributes of a record that name what it is about; ``extra`` sets task and job."""

_STREAMS: Final = {"/dev/stdout": lambda: sys.stdout, "/dev/stderr": lambda: sys.stderr}


class TextFormatter(logging.Formatter):
    """A line for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Write a record; what a terminal would obey is shown instead: some of it is what AWS or jobs have said."""
        return printable(super().format(record))


class JsonFormatter(logging.Formatter):
    """An object of JSON a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record; what it does not have is left out."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name in IDS if (value := getattr(record, name, ""))},
        }
        if record.exc_info:
            line["traceback"] = record.exc_text or self.formatException(record.exc_info)
        return json.dumps(line)


class StampedRecord(logging.LogRecord):
    """A record that knows which run it belongs to, whoever handles it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.run = RUN.get()


class PrivateRecord(StampedRecord):
    """A record whose traceback, whoever formats it, names exceptions and leaves out what they say."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.exc_info and self.exc_info[0] is not None:
            lines = traceback.format_tb(self.exc_info[2])
            self.exc_text = f"{''.join(lines)}{self.exc_info[0].__qualname__}: (what it says is private)"


def start_logging(settings: LogSettings) -> None:
    """Log as the settings say.

    Raises:
        SettingsError: A file cannot be written, or the file of settings not be used.
    """
    logging.setLogRecordFactory(PrivateRecord if settings.private else StampedRecord)
    if settings.file is not None:
        _configure(settings.file)
        quiet_dependencies()
        return
    formatter = JsonFormatter() if settings.format == "json" else TextFormatter()
    handlers = [_handler(path) for path in settings.paths]
    for handler in handlers:
        handler.setFormatter(formatter)
    logging.basicConfig(level=settings.level, handlers=handlers, force=True)
    quiet_dependencies()


def _configure(file: str) -> None:
    """Let a file decide; it is Python's own reader that says what is wrong with it, in many kinds of exception."""
    try:
        with Path(file).open(encoding="utf-8") as lines:
            logging.config.fileConfig(lines, disable_existing_loggers=False)
    except OSError as error:
        raise SettingsError(
            f"{error.filename or file} cannot be used: {error.strerror} (logging_config_file)"
        ) from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise SettingsError(f"{file} is not a file of logging.config: {reason} (logging_config_file)") from error


def _handler(path: str) -> logging.Handler:
    if path in _STREAMS:
        return logging.StreamHandler(_STREAMS[path]())
    try:
        return logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"the log {path} cannot be written: {error.strerror} (logging_paths)") from error
