"""The output of jobs, in moto's CloudWatch Logs."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from moto.logs.exceptions import ResourceNotFoundException
from moto.logs.models import LogsBackend, logs_backends

from ..batch.effects import LogStream
from ..batch.vocabulary import Scope


class MotoLogs:
    """Writes where GetLogEvents reads."""

    def open(self, stream: LogStream) -> None:
        """Make the stream, and its group if need be, as Batch does."""
        logs = _backend(stream.scope)
        logs.ensure_log_group(stream.group)
        logs.ensure_log_stream(stream.group, stream.name)

    def write(self, stream: LogStream, at: float, lines: Sequence[str]) -> None:
        """Add lines; a stream that somebody has deleted meanwhile stays deleted."""
        events = [{"timestamp": int(at * 1000), "message": line} for line in lines]
        with contextlib.suppress(ResourceNotFoundException):
            _backend(stream.scope).put_log_events(stream.group, stream.name, events)

    def forget(self, streams: Sequence[LogStream]) -> None:
        """Delete streams whose jobs are no longer remembered."""
        for stream in streams:
            with contextlib.suppress(ResourceNotFoundException):
                _backend(stream.scope).delete_log_stream(stream.group, stream.name)


def _backend(scope: Scope) -> LogsBackend:
    return logs_backends[scope.account][scope.region]
