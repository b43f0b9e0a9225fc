"""How long something may fail before its tasks fail with it.

An error that may pass is waited out for as long as the settings say. One that is final, such as a denied permission, is
believed when it was seen several times over a minute, since a change of permissions takes a moment to be known
everywhere. Decisions only: time is an argument.
"""

from __future__ import annotations

from typing import Final, Protocol

CONFIRMED: Final = 3
"""Times that an error which calls itself final has to be seen."""

CONFIRMED_OVER: Final = 60.0
"""Seconds between the first of them and the last, at least."""

_REMIND_AFTER: Final = 60.0
_REMIND_AT_LEAST: Final = 3600.0


class Retryable(Protocol):
    """An error that says whether the same call may work later."""

    @property
    def retryable(self) -> bool:
        """Whether it may."""


class Reminder:
    """When to say that something goes on: at once, a minute later, and then ever more rarely, each hour at least."""

    def __init__(self) -> None:
        self._next: float | None = None
        self._interval = _REMIND_AFTER

    def is_due(self, now: float) -> bool:
        """Whether to say it now; if so, it is said."""
        if self._next is not None and now < self._next:
            return False
        self._next = now + self._interval
        self._interval = min(2 * self._interval, _REMIND_AT_LEAST)
        return True


class Outage:
    """Whether one kind of call works, and if not, since when.

    Args:
        patience: Seconds for which errors that may pass are waited out.

    Attributes:
        error: The latest error; ``None`` while calls work.
        is_hopeless: Whether it is time to give up.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self.error: Exception | None = None
        self.is_hopeless = False
        self._since = 0.0
        self._finals = 0
        self._final_since = 0.0
        self._reminder = Reminder()

    def failed(self, error: Retryable, now: float) -> bool:
        """Take note of a failure; return whether to say so."""
        if self.error is None:
            self._since, self._reminder = now, Reminder()
        if error.retryable:
            self._finals = 0
        else:
            self._final_since = self._final_since if self._finals else now
            self._finals += 1
        self.error = error if isinstance(error, Exception) else None
        confirmed = self._finals >= CONFIRMED and now - self._final_since >= CONFIRMED_OVER
        self.is_hopeless = self.is_hopeless or confirmed or now - self._since >= self._patience
        return self._reminder.is_due(now)

    def worked(self) -> bool:
        """Take note that a call has worked; return whether the one before had not."""
        was_out = self.error is not None
        self.error, self.is_hopeless, self._finals = None, False, 0
        return was_out

    def seconds(self, now: float) -> float:
        """For how long no call has worked."""
        return 0.0 if self.error is None else now - self._since
