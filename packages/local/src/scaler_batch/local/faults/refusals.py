"""What AWS's services answer when they refuse: which code under which status, in which protocol's clothes."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final
from xml.sax.saxutils import escape

from ..web.chain import Answer, Call
from .calls import CallFault, Conflict, Deny, ExpiredToken, InvalidCredentials, RateLimit, ServerError, Throttle

_REQUEST: Final = "00000000-0000-0000-0000-000000000000"
_XML: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
_QUERY: Final = frozenset({"iam", "sts", "sqs", "sns", "cloudformation", "autoscaling"})

Refusal = tuple[int, str, str]

_THROTTLED: Final[dict[str, Refusal]] = {
    "batch": (429, "TooManyRequestsException", "Too Many Requests"),
    "s3": (503, "SlowDown", "Please reduce your request rate."),
    "ec2": (503, "RequestLimitExceeded", "Request limit exceeded."),
}
_NO_SESSION: Final = (401, "UnauthorizedException", "Session token not found or invalid")
_EXPIRED: Final[dict[str, Refusal]] = {
    "sso": _NO_SESSION,
    "s3": (400, "ExpiredToken", "The provided token has expired."),
    "ec2": (400, "RequestExpired", "Request has expired."),
    "sts": (403, "ExpiredToken", "The security token included in the request is expired"),
    "iam": (403, "ExpiredToken", "The security token included in the request is expired"),
}
_INVALID: Final = "The security token included in the request is invalid."
_UNKNOWN: Final[dict[str, Refusal]] = {
    "sso": _NO_SESSION,
    "batch": (403, "UnrecognizedClientException", _INVALID),
    "s3": (403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."),
    "ec2": (401, "AuthFailure", "AWS was not able to validate the provided access credentials"),
    "sts": (403, "InvalidClientTokenId", _INVALID),
    "iam": (403, "InvalidClientTokenId", _INVALID),
}
_NO_MATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key"
    " and signing method."
)
_WRONGLY_SIGNED: Final[dict[str, Refusal]] = {
    "batch": (403, "InvalidSignatureException", _NO_MATCH),
    "s3": (403, "SignatureDoesNotMatch", _NO_MATCH),
    "ec2": _UNKNOWN["ec2"],
    "sts": (403, "SignatureDoesNotMatch", _NO_MATCH),
    "iam": (403, "SignatureDoesNotMatch", _NO_MATCH),
}
_DENIED: Final[dict[str, tuple[int, str]]] = {
    "batch": (403, "AccessDeniedException"),
    "s3": (403, "AccessDenied"),
    "ec2": (403, "UnauthorizedOperation"),
    "sts": (403, "AccessDenied"),
    "iam": (403, "AccessDenied"),
}
_DENIED_ELSEWHERE: Final = (400, "AccessDeniedException")
_CONFLICT: Final = "The conditional request cannot succeed due to a conflicting operation against this resource."
_FAILED: Final = {"batch": "ServerException", "s3": "InternalError", "ec2": "InternalError", "ecr": "ServerException"}


def refusal(fault: CallFault, call: Call) -> Answer:
    """The answer of a service that refuses a call because of a fault."""
    return _answer(call, _what(fault, call))


def denied(call: Call, message: str) -> Answer:
    """The answer of a service to a caller without permission."""
    return _answer(call, (*_DENIED.get(call.service, _DENIED_ELSEWHERE), message))


def unknown_key(call: Call, advice: str) -> Answer:
    """The answer of a service to a request that is signed with a key that does not exist."""
    return _advised(call, _what(InvalidCredentials(), call), advice)


def wrongly_signed(call: Call, advice: str) -> Answer:
    """The answer of a service to a request whose signature is not the one of its key."""
    return _advised(call, _WRONGLY_SIGNED.get(call.service, (400, "InvalidSignatureException", _NO_MATCH)), advice)


def unsigned(call: Call, advice: str) -> Answer:
    """The answer of S3, which is all that takes unsigned requests, to one that is not signed or has expired."""
    return _advised(call, (403, "AccessDenied", "Access Denied"), advice)


def outdated(call: Call) -> Answer:
    """The answer of S3's newer regions to a request that is signed with Version 2."""
    what = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256"
    return _answer(call, (400, "InvalidRequest", f"{what}: in boto3, Config(signature_version='s3v4')."))


def too_large(call: Call, most: int) -> Answer:
    """The answer of a service to a body of more bytes than it takes."""
    code = "EntityTooLarge" if call.service == "s3" else "RequestEntityTooLarge"
    status = 400 if call.service == "s3" else 413
    return _answer(call, (status, code, f"The request may have {most} bytes at most."))


def _advised(call: Call, what: Refusal, advice: str) -> Answer:
    status, code, message = what
    return _answer(call, (status, code, f"{message.rstrip('.')}. {advice}"))


def _answer(call: Call, what: Refusal) -> Answer:
    status, code, message = what
    kind, body = _dressed(call.service, code, message)
    content = b"" if call.environ.get("REQUEST_METHOD") == "HEAD" else body
    headers = [("Content-Type", kind), ("Content-Length", str(len(content))), ("x-amzn-RequestId", _REQUEST)]
    if kind.startswith("application/json"):
        headers.append(("x-amzn-ErrorType", code))
    return Answer(f"{status} {_phrase(status)}", headers, [content])


def _what(fault: CallFault, call: Call) -> Refusal:
    service = call.service
    match fault:
        case Throttle() | RateLimit():
            return _THROTTLED.get(service, (400, "ThrottlingException", "Rate exceeded"))
        case ExpiredToken():
            expired = (403, "ExpiredTokenException", "The security token included in the request is expired")
            return _EXPIRED.get(service, expired)
        case InvalidCredentials():
            return _UNKNOWN.get(service, (400, "UnrecognizedClientException", _INVALID))
        case Deny():
            return *_DENIED.get(service, _DENIED_ELSEWHERE), _denial(call)
        case Conflict():
            return 409, "ConditionalRequestConflict", _CONFLICT
        case ServerError(status=503):
            return 503, "ServiceUnavailable", "Service is unavailable. Please retry."
        case ServerError(status=status):
            return (
                status,
                _FAILED.get(service, "InternalFailure"),
                "We encountered an internal error. Please try again.",
            )
        case _:
            raise TypeError(f"{type(fault).__name__} refuses nothing")


def _denial(call: Call) -> str:
    if call.service == "s3":
        return "Access Denied"
    who = "arn:aws:iam::123456789012:user/local"
    return f"User: {who} is not authorized to perform: {call.service}:{call.operation}"


def _dressed(service: str, code: str, message: str) -> tuple[str, bytes]:
    """A content type and a body in the service's protocol."""
    if service == "batch":
        return "application/json", json.dumps({"message": message}).encode()
    inner = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if service == "s3":
        return _xml(f"<Error>{inner}<RequestId>{_REQUEST}</RequestId></Error>")
    if service == "ec2":
        return _xml(f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>{_REQUEST}</RequestID></Response>")
    if service in _QUERY:
        error = f"<Error><Type>Sender</Type>{inner}</Error>"
        return _xml(f"<ErrorResponse>{error}<RequestId>{_REQUEST}</RequestId></ErrorResponse>")
    return "application/json", json.dumps({"__type": code, "message": message}).encode()


def _xml(content: str) -> tuple[str, bytes]:
    return "application/xml", f"{_XML}{content}".encode()


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"
