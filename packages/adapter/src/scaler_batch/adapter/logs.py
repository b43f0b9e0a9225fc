"""What the worker logs: lines for people or for machines, with the ids by which lines are found again.

Each line says which run it belongs to, and, where it is about one, which task and job. Arguments, results and messages
of the user's exceptions are never logged: logs are read by more people than results.
"""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Final

from scaler_batch.adapter.errors import SettingsError
from scaler_batch.adapter.settings import LogSettings

RUN: Final[ContextVar[str]] = ContextVar("run", default="")
"""Id of the run that the current code works for."""

IDS: Final = ("run", "task", "job")
"""Attributes of a record that name what it is about; ``extra`` sets task and job."""

_STREAMS: Final = {"/dev/stdout": lambda: sys.stdout, "/dev/stderr": lambda: sys.stderr}


class TextFormatter(logging.Formatter):
    """A line for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")


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
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _stamp(record: logging.LogRecord) -> bool:
    record.run = RUN.get()
    return True


def start_logging(settings: LogSettings) -> None:
    """Log as the settings say.

    Raises:
        SettingsError: A file cannot be written.
    """
    formatter = JsonFormatter() if settings.format == "json" else TextFormatter()
    handlers = [_handler(path) for path in settings.paths]
    for handler in handlers:
        handler.setFormatter(formatter)
        handler.addFilter(_stamp)
    logging.basicConfig(level=settings.level, handlers=handlers, force=True)
    # botocore tells at INFO how it found each endpoint: of interest only to who asks for everything.
    logging.getLogger("botocore").setLevel(logging.DEBUG if settings.level == "DEBUG" else logging.WARNING)


def _handler(path: str) -> logging.Handler:
    if path in _STREAMS:
        return logging.StreamHandler(_STREAMS[path]())
    try:
        return logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"the log {path} cannot be written: {error.strerror} (logging_paths)") from error
