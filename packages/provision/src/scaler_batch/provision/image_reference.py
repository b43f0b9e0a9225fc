"""References of container images, by the grammar of Docker, which ECS hands them to. Pure.

::

    reference   host/path/name:tag@sha256:digest      host, tag and digest may be left out

Source: the grammar of the distribution project (``reference/reference.go``), narrowed by what ECS takes: a first part
is a host only where it has a dot or a port, or is ``localhost``, and digests are of SHA-256.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST: Final = rf"(?:{_LABEL}(?:\.{_LABEL})+(?::\d+)?|{_LABEL}:\d+|localhost|\[[0-9A-Fa-f:]+\](?::\d+)?)"
_PART: Final = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE: Final = re.compile(
    rf"(?:(?P<host>{_HOST})/)?(?P<path>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_LONGEST_NAME: Final = 255
"""Characters of host and path together."""


@dataclass(frozen=True, slots=True)
class ImageReference:
    """A reference, taken apart.

    Attributes:
        host: Of the registry, with its port; empty for Docker Hub.
        path: The repository.
        tag: Empty where there is none.
        digest: ``sha256:`` and 64 digits; empty where there is none.
    """

    host: str
    path: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> ImageReference | None:
        """Take a reference apart; ``None`` where Docker would not take it."""
        found = _REFERENCE.fullmatch(text)
        if found is None or len(found["host"] or "") + len(found["path"]) > _LONGEST_NAME:
            return None
        return cls(found["host"] or "", found["path"], found["tag"] or "", found["digest"] or "")


def fault_of(text: str) -> str:
    """Say why Docker would not take a text, as far as that can be told."""
    if "://" in text:
        return "it begins with a scheme"
    name = text.partition("@")[0].rpartition("/")[2]
    if name.count(":") > 1:
        return "it has more than one tag"
    if re.search(r"[A-Z]", text.partition("@")[0].partition("/")[2].partition(":")[0] or name.partition(":")[0]):
        return "its repository has upper-case letters"
    return "Docker takes REGISTRY/NAME:TAG or REGISTRY/NAME@sha256:DIGEST"
