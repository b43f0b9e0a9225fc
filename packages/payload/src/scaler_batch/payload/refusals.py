"""What obstore says in its own words, in ours: what it is, and what helps against it.

obstore tells by the class of an exception what a status of HTTP means, and by its text everything else: S3's code, that
a bucket lies elsewhere, that credentials could not be had. All of that is read here, and only here; nothing of obstore
is imported for it.
"""

from __future__ import annotations

import re
from typing import Final

from scaler_batch.payload.errors import (
    AlreadyStoredError,
    CredentialsError,
    NotStoredError,
    StoreError,
    UnlistableError,
)

_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_STATUS: Final = re.compile(r"status code: (\d{3})")
_ASKED: Final = re.compile(r"Error performing [A-Z]+ (\S+) ")
_REGION: Final = re.compile(r"<Region>([\w-]+)</Region>|expecting '([\w-]+)'")

_EXPIRED: Final = frozenset({"ExpiredToken", "TokenRefreshRequired", "RequestExpired", "ExpiredTokenException"})
"""What S3 says of credentials that were good a moment ago."""

_INVALID: Final = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidClientTokenId", "NotSignedUp"}
    | {"UnrecognizedClientException", "InvalidSecurity", "MissingSecurityHeader", "MissingAuthenticationToken"}
)
"""What S3 says of credentials that it does not accept."""

_CONFLICTS: Final = frozenset({"ConditionalRequestConflict", "OperationAborted"})
"""What S3 says when writers of one key meet: to be repeated, and nothing has been stored."""

_PASSING: Final = frozenset({"RequestTimeout", "RequestTimeTooSkewed", "SlowDown", "InternalError"})
"""What passes, though its status says that it does not. A clock that is wrong is set right by the system."""

_ELSEWHERE: Final = frozenset({"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraint"})
"""What S3 says when a bucket lies in another region."""

_PANICS: Final = frozenset({"PanicException", "RustPanic"})
"""Names of what obstore raises where it has a fault of its own; the first is no ``Exception``."""


def is_panic(error: BaseException) -> bool:
    """Whether obstore has broken rather than refused."""
    return type(error).__name__ in _PANICS


def translate(error: BaseException, key: str, region: str, endpoint: str) -> StoreError:
    """Say in our words what obstore says in its own.

    Args:
        error: What obstore raised.
        key: What was asked for.
        region: Where the bucket is taken to lie.
        endpoint: Where S3 is; what was asked elsewhere was asked for credentials.
    """
    kind, text = type(error).__name__, str(error)
    code = _found(_CODE, text)
    if _concerns_credentials(error, code, text, endpoint):
        return CredentialsError(_reason(text), key=key, expired=code in _EXPIRED)
    if kind == "AlreadyExistsError" and code not in _CONFLICTS:
        return AlreadyStoredError(key)
    if code == "NoSuchKey":
        return NotStoredError(key)
    if kind == "InvalidPathError":
        return UnlistableError(key)
    if code in _ELSEWHERE or "Received redirect without LOCATION" in text:
        return StoreError(_elsewhere(text, region), key=key, retryable=False)
    return StoreError(f"S3 refused {key!r}: {_reason(text)}", key=key, retryable=_passes(error, code, text))


def is_unrepeated(error: BaseException) -> bool:
    """Whether it may pass, and obstore did not try again: a conflict, or an answer that was lost on its way."""
    text = str(error)
    status, code = _found(_STATUS, text), _found(_CODE, text)
    return code in _CONFLICTS | _PASSING if status else "HTTP error" in text


def was_repeated(error: BaseException) -> bool:
    """Whether obstore has tried more than once."""
    return re.search(r"after [1-9]\d* retries", str(error)) is not None


def _passes(error: BaseException, code: str, text: str) -> bool:
    if is_panic(error):
        return False
    if code in _CONFLICTS | _PASSING:
        return True
    status = _found(_STATUS, text)
    # Without a status there was no answer.
    return "HTTP error" in text if not status else status.startswith("5") or status == "429"


def _concerns_credentials(error: BaseException, code: str, text: str, endpoint: str) -> bool:
    if is_panic(error):
        # They cannot stand in a header, for a line break in them; in an event loop, the panic does not say so.
        return "InvalidHeaderValue" in text or "unknown error" in text
    asked = _found(_ASKED, text)
    if asked and not asked.startswith(endpoint):
        return True
    is_unknown = type(error).__name__ == "UnauthenticatedError" or _found(_STATUS, text) == "401"
    return is_unknown or code in _EXPIRED | _INVALID


def _elsewhere(text: str, region: str) -> str:
    match = _REGION.search(text)
    there = f"in {match[1] or match[2]}" if match else "in another region"
    return f"the bucket is not in {region} but {there}: name its own region"


def _reason(text: str) -> str:
    # Without the library's own internals, many lines of them.
    return text.partition("\n\nDebug source")[0]


def _found(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match[1] if match else ""
