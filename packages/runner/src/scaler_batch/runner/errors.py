"""Why the runner could not do its work; nothing here is about the user's code.

::

    RunnerError
    ├── RequestError        the command line or the environment is not what the contract says
    ├── PackError           the pack is damaged, or of a version this runner does not serve
    ├── PackMissingError    the pack is not in the store
    ├── InputAlteredError   the pack, or an object, is not what the task manager has put into the store
    ├── StoreFailedError    the store could not be read or written
    └── TerminatedError     SIGTERM came before the work was done
"""

from __future__ import annotations

from typing import ClassVar

from scaler_batch.payload.contract import ExitCode


class RunnerError(Exception):
    """Root of all errors of this package.

    Attributes:
        exit_code: What the process says to AWS Batch.
    """

    exit_code: ClassVar[ExitCode]


class RequestError(RunnerError):
    """The command line or the environment is not what the contract says; the message names the fix."""

    exit_code = ExitCode.USAGE


class PackError(RunnerError):
    """The pack is damaged, or of a version that this runner does not serve."""

    exit_code = ExitCode.BAD_PACK


class PackMissingError(RunnerError):
    """The pack is not in the store."""

    exit_code = ExitCode.NO_INPUT


class InputAlteredError(RunnerError):
    """The pack, or an object that it refers to, is not what the task manager has put into the store."""

    exit_code = ExitCode.ALTERED_INPUT


class StoreFailedError(RunnerError):
    """The store could not be read or written, retries included."""

    exit_code = ExitCode.STORE_UNAVAILABLE


class TerminatedError(RunnerError):
    """SIGTERM came before every task of the bundle was answered."""

    exit_code = ExitCode.INTERRUPTED
