"""What can be wrong with bytes on their way.

::

    PayloadError
    ├── ContractError         a name, key or address that this version does not speak
    ├── MalformedError        bytes that are damaged, truncated, or nothing of ours
    │   └── OversizedError    bytes that claim to expand beyond what the reader allows
    ├── VersionError          written by a format version that this reader does not know
    ├── UntrustedError        bytes that nobody vouches for; nothing of them is read
    │   ├── AlteredError          not the bytes whose hash was given
    │   └── UnsignedError         not signed by who should have written them
    └── StoreError            the store did not do what was asked; says whether trying again may help
        ├── NotStoredError    there is no object under this key
        ├── AlreadyStoredError  there is one already, and it was to be written once
        ├── CredentialsError  there are no credentials, or none that S3 accepts: wait until they are renewed
        └── UnlistableError   keys that no client of S3 should have written hide all others
"""

from __future__ import annotations


class PayloadError(Exception):
    """Root of all errors of this package."""


class ContractError(PayloadError):
    """A name, key or address that is not of the form both sides agreed on."""


class MalformedError(PayloadError):
    """Bytes that are damaged, truncated, or not of this format at all."""


class OversizedError(MalformedError):
    """Bytes that would expand beyond the bound the reader set."""


class VersionError(PayloadError):
    """Bytes of a format version that this reader does not know.

    Attributes:
        found: The version in the bytes.
        known: The newest version this reader knows.
    """

    def __init__(self, found: int, known: int) -> None:
        super().__init__(
            f"format version {found}, but this is a reader of version {known}: "
            "install the same release of scaler-batch in the worker and in the container image"
        )
        self.found = found
        self.known = known


class UntrustedError(PayloadError):
    """Bytes that nobody vouches for."""


class AlteredError(UntrustedError):
    """Bytes that are not those whose hash was given."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} is not what the worker has put there: its SHA-256 is another than the job was told, so nothing of "
            "it was read. Find out who else may write to the bucket, and submit the task again"
        )


class UnsignedError(UntrustedError):
    """Bytes that are not signed with the key that they should be signed with."""


class StoreError(PayloadError):
    """The store did not do what was asked.

    Attributes:
        key: The key in question, relative to the run.
        retryable: Whether the same call may work later, by itself.
        awaits_credentials: Whether it will work once somebody has renewed the credentials. Nothing is to be given up
            or removed because of it.
    """

    awaits_credentials = False

    def __init__(self, message: str, *, key: str, retryable: bool) -> None:
        super().__init__(message)
        self.key = key
        self.retryable = retryable


class NotStoredError(StoreError):
    """No object lies under this key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"no object {key!r} in the store", key=key, retryable=False)


class AlreadyStoredError(StoreError):
    """An object that is written once lies there already."""

    def __init__(self, key: str) -> None:
        super().__init__(f"object {key!r} is in the store already", key=key, retryable=False)


class CredentialsError(StoreError):
    """There are no credentials, or none that S3 accepts.

    Attributes:
        expired: Whether they were good a moment ago; who gives them out may have new ones soon.
    """

    awaits_credentials = True

    def __init__(self, reason: str, *, key: str, expired: bool = False) -> None:
        super().__init__(
            f"the AWS credentials do not work: {reason} - renew them: sign in again (aws sso login), or mend the "
            "profile, the variables or the program that they come from; work goes on by itself then",
            key=key,
            retryable=False,
        )
        self.expired = expired


class UnlistableError(StoreError):
    """A listing failed as a whole, because keys lie there that the client of S3 cannot read, such as ``a//b``."""

    def __init__(self, prefix: str) -> None:
        super().__init__(
            f"keys with empty, dotted or unprintable segments lie below {prefix!r}: remove them",
            key=prefix,
            retryable=False,
        )
