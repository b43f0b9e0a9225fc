"""Why the worker cannot work.

::

    AdapterError               its text is what the user reads: what is wrong, and what to do
    ├── SettingsError          an option has a value that cannot be
    ├── ResourceError          a bucket, queue or definition is not there, or not usable
    └── SchedulerLostError     the scheduler does not answer
"""

from __future__ import annotations

from typing import Self


class AdapterError(Exception):
    """Root of all errors of this package."""


class SettingsError(AdapterError):
    """An option has a value that cannot be."""


class ResourceError(AdapterError):
    """Something on AWS that the worker needs is missing or unusable."""


class SchedulerLostError(AdapterError):
    """The scheduler does not answer."""

    @classmethod
    def unreachable(cls, address: str, why: object) -> Self:
        """Nobody could be connected to; says what to look at."""
        return cls(
            f"Failed to connect to scheduler at {address}: {why}. Check that the scheduler runs, that the address is "
            "right, and that the port can be reached from here"
        )
