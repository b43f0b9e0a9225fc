"""When heartbeats are due, and when a scheduler counts as silent. Time is an argument, in seconds."""

from __future__ import annotations

from dataclasses import replace

from .messages import WorkerHeartbeat
from .settings import LinkSettings


class HeartbeatClock:
    """Keeps the times of the heartbeats sent and answered.

    The next heartbeat is due an interval after the last one was sent, but not before that was answered. An answer may
    have been lost together with a scheduler that was restarted; so after `echo_patience` the heartbeat is repeated.
    """

    def __init__(self, now: float, settings: LinkSettings) -> None:
        self._settings = settings
        self._heard_at = now
        self._sent_at: float | None = None
        self._unanswered = 0
        self._silence_reported = False
        self.latency = 0
        """Half of the last round trip, in microseconds."""

    @property
    def started(self) -> bool:
        """Whether a heartbeat was ever sent."""
        return self._sent_at is not None

    def due(self, now: float) -> bool:
        """Tell whether a heartbeat is to be sent now."""
        return now >= self._next()

    def wake_at(self) -> float:
        """Return the time at which to look again."""
        if self._silence_reported:
            return self._next()
        return min(self._next(), self._heard_at + self._settings.silence_limit)

    def hurry(self, now: float) -> None:
        """Take unanswered heartbeats for lost, as they are when a link was made anew: the next one is due at once."""
        if self._sent_at is not None:
            self._sent_at = now - max(self._settings.echo_patience, self._settings.heartbeat_interval)
            self._unanswered += 1  # whatever answer may still come is not to be measured

    def sent(self, now: float) -> None:
        """Note that a heartbeat goes out now."""
        self._sent_at = now
        self._unanswered += 1

    def stamp(self, vitals: WorkerHeartbeat, now: float) -> WorkerHeartbeat:
        """Return the heartbeat of a worker that goes out now."""
        self.sent(now)
        return replace(vitals, latency=self.latency)

    def echoed(self, now: float) -> None:
        """Note that a heartbeat was answered."""
        if self._unanswered == 1 and self._sent_at is not None:  # with more than one it is not known which
            self.latency = min(int((now - self._sent_at) * 500_000), 0xFFFFFFFF)
        self._unanswered = 0
        self._heard_at = now
        self._silence_reported = False

    def silence(self, now: float) -> float | None:
        """Return for how long the scheduler has been silent, once, when it is too long."""
        seconds = now - self._heard_at
        if self._silence_reported or seconds < self._settings.silence_limit:
            return None
        self._silence_reported = True
        return seconds

    def _next(self) -> float:
        if self._sent_at is None:
            return float("-inf")
        settings = self._settings
        return self._sent_at + (settings.echo_patience if self._unanswered else settings.heartbeat_interval)
