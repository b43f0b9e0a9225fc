"""What can go wrong between us and AWS.

::

    AwsError
    └── ServiceError               a call failed; says what may be done about it
        └── CredentialsError       no credentials could be had, or AWS does not accept them
            └── NoCredentialsError nothing is configured that provides any
"""

from __future__ import annotations

from enum import Enum


class Classification(Enum):
    """What to do after a call that failed."""

    REPEAT = "repeat"
    """It had no effect, and the same call may work later: throttled, or AWS could not be reached."""
    AMBIGUOUS = "ambiguous"
    """It may have had its effect although no answer came: look before repeating what is not safe to repeat."""
    AWAIT_CREDENTIALS = "await credentials"
    """It had no effect, and the same call works once credentials are renewed, which may take somebody hours."""
    FINAL = "final"
    """It was refused, and will be again."""


class AwsError(Exception):
    """Root of all errors of this package."""


class ServiceError(AwsError):
    """A call to AWS failed.

    Attributes:
        classification: What to do about it.
        code: AWS's name for the error, such as ``ClientException``; empty where AWS did not answer.
        operation: The call, as AWS names it; empty where unknown.
    """

    def __init__(self, message: str, classification: Classification, *, code: str = "", operation: str = "") -> None:
        super().__init__(message)
        self.classification = classification
        self.code = code
        self.operation = operation

    @property
    def retryable(self) -> bool:
        """Whether the same call may work in a moment; ``False`` where it waits for credentials."""
        return self.classification in (Classification.REPEAT, Classification.AMBIGUOUS)

    @property
    def ambiguous(self) -> bool:
        """Whether the call may have had its effect although no answer came."""
        return self.classification is Classification.AMBIGUOUS

    @property
    def awaits_credentials(self) -> bool:
        """Whether the same call works once credentials are renewed."""
        return self.classification is Classification.AWAIT_CREDENTIALS


class CredentialsError(ServiceError):
    """Credentials could not be had, or AWS does not accept them. The text says how to renew them."""

    def __init__(self, message: str, *, code: str = "", operation: str = "") -> None:
        super().__init__(message, Classification.AWAIT_CREDENTIALS, code=code, operation=operation)


class NoCredentialsError(CredentialsError):
    """Nothing is configured that provides credentials."""
