"""Everything this package raises.

::

    LocalError                    root
    ├── StartError                the server, or its job host, did not come up
    ├── NotRunningError           nothing answers where the state directory says that something should
    ├── StateError                the state directory is not the user's alone, or says what is not so
    ├── AlreadyRunningError       the state directory belongs to a server that is alive
    ├── SettingsError             a setting has a value that cannot work
    ├── SecretError               a job's secret cannot be had
    ├── FaultError                a fault that cannot be, or that is not there
    ├── ContainerError            a container could not be made, started or followed; the text is AWS's reason
    ├── IllegalMoveError          a defect of ours: a job was to move between states that are not neighbours
    └── ApiError                  an answer to the caller of an AWS operation: a code, a message, a status
"""

from __future__ import annotations


class LocalError(Exception):
    """Root of the errors of this package."""


class StartError(LocalError):
    """The server process, or the job host below it, did not come up."""


class NotRunningError(LocalError):
    """There is no server to talk to."""


class StateError(LocalError):
    """The state directory is not the user's alone, or names a process that is not the server."""


class AlreadyRunningError(LocalError):
    """The state directory is in use by a server that is alive."""


class SettingsError(LocalError, ValueError):
    """A setting has a value that cannot work."""


class SecretError(LocalError):
    """A secret or parameter that a job is to find in its environment is not there."""


class FaultError(LocalError, ValueError):
    """What was to be injected is no fault, or what was to be taken back is not there."""


class ContainerError(LocalError):
    """A container engine did not do what a job asked for. The text is the reason that AWS would show."""


class IllegalMoveError(LocalError):
    """A job was to move between states that are not neighbours: a defect of this package."""


class ApiError(LocalError):
    """What the caller of an operation is told instead of an answer.

    Attributes:
        code: The error code in AWS's terms.
        message: The text that the caller sees.
        status: The HTTP status.
    """

    def __init__(self, message: str, code: str = "ClientException", status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
