"""Listings of S3 objects, written out directly.

moto takes each answer through a serializer that reads AWS's model for every member of every object, and parses its
own timestamps to print them again: a fifth of a millisecond for each key. A program that watches a prefix for results
spends most of the server's time there. This writes the same XML from the same values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

from moto.core.responses import ActionResult
from moto.s3.responses import S3Response

_ACTIONS: Final = frozenset({"ListObjects", "ListObjectsV2"})
_HEAD: Final = (
    '<?xml version="1.0" encoding="utf-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
)
_TAIL: Final = "</ListBucketResult>"


def install() -> None:
    """Have moto's S3 write its listings this way."""
    by_moto = S3Response.serialized

    def serialized(self: S3Response, action_result: ActionResult) -> Any:
        result = action_result.result
        if self.data.get("Action") in _ACTIONS and isinstance(result, Mapping):
            return 200, {"Content-Type": "application/xml", **self.response_headers}, listing(result)
        return by_moto(self, action_result)

    S3Response.serialized = serialized  # type: ignore[method-assign,assignment]


def listing(result: Mapping[str, Any]) -> str:
    """The answer to a listing as XML."""
    return "".join([_HEAD, *_elements(result), _TAIL])


def _elements(members: Mapping[str, Any]) -> Iterator[str]:
    for name, value in members.items():
        if isinstance(value, list):
            for each in value:
                yield _element(name, each)
        elif value is not None:
            yield _element(name, value)


def _element(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        text = "".join(_elements(value))
    elif isinstance(value, bool):
        text = "true" if value else "false"
    else:
        text = escape(str(value), {'"': "&quot;"})
    return f"<{name}>{text}</{name}>"
