"""What can go wrong between a wish and an account, and how to put it right.

Every error says what happened and, in ``fix``, what to do about it.

::

    ProvisionError
    ├── SettingsError         what was asked for cannot be
    ├── ConflictError         a name or a file is taken by something this tool did not make
    ├── EngineError           an image cannot be built or pushed
    ├── FileError             a local file cannot be read or written
    ├── DeclinedError         the plan was shown, and not agreed to
    ├── AwsError              AWS refused a call; says which, and AWS's code
    │   ├── CredentialsError  there are no credentials, or they do not serve
    │   └── UnreachableError  no answer came
    ├── NoJobError            AWS knows no such job
    ├── BrokenError           a resource was made and became invalid
    └── WaitError             something did not come about within its time
"""

from __future__ import annotations


class ProvisionError(Exception):
    """Root of all errors of this package.

    Attributes:
        fix: What to do about it, a plain sentence.
    """

    def __init__(self, message: str, *, fix: str) -> None:
        super().__init__(message)
        self.fix = fix


class SettingsError(ProvisionError):
    """What was asked for cannot be."""


class ConflictError(ProvisionError):
    """A name or a file is taken by something that this tool did not make."""


class EngineError(ProvisionError):
    """An image cannot be built or pushed: no engine, no wheels, or one of the two failed."""


class FileError(ProvisionError):
    """A local file cannot be read, written or understood."""


class DeclinedError(ProvisionError):
    """The plan was shown, and not agreed to; nothing was changed."""

    def __init__(self) -> None:
        super().__init__("not agreed to; nothing was changed", fix="answer y, or pass --yes, to go on")


class AwsError(ProvisionError):
    """AWS refused a call.

    Attributes:
        code: AWS's error code; empty when the call never reached AWS.
        operation: The call, as AWS names it; empty when unknown.
    """

    def __init__(self, message: str, *, fix: str, code: str = "", operation: str = "") -> None:
        super().__init__(message, fix=fix)
        self.code = code
        self.operation = operation


class CredentialsError(AwsError):
    """There are no credentials, or AWS does not take them."""


class UnreachableError(AwsError):
    """No answer came from AWS."""


class NoJobError(ProvisionError):
    """AWS knows no such job, or has forgotten it."""

    def __init__(self, job: str, region: str) -> None:
        super().__init__(
            f"AWS Batch knows no job {job} in {region}",
            fix="look at --region; AWS forgets a job some days after its end, its log stays for 30 days",
        )


class BrokenError(ProvisionError):
    """A resource was made, and AWS found it invalid."""


class WaitError(ProvisionError):
    """Something did not come about within its time.

    Attributes:
        reason: What it was in when the time was over.
        seconds: How long was waited.
    """

    def __init__(self, what: str, *, reason: str, seconds: float) -> None:
        super().__init__(
            f"waited {seconds:.0f} s for {what}; at the end: {reason}",
            fix="run the same command again: it goes on from where this one stopped",
        )
        self.reason = reason
        self.seconds = seconds
