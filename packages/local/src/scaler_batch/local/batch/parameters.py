"""Parameter substitution: ``Ref::name`` in a command becomes the job's parameter of that name.

A reference is a whole word, so ``Ref::a`` leaves ``Ref::ab`` alone, and only the first reference of an element is
replaced. A reference to a parameter that the job does not have stays as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_REFERENCE = re.compile(r"Ref::([A-Za-z0-9_-]+)")


def substitute(command: Iterable[str], parameters: Mapping[str, str]) -> tuple[str, ...]:
    """The command with its references replaced."""

    def value_of(match: re.Match[str]) -> str:
        return parameters.get(match[1], match[0])

    return tuple(_REFERENCE.sub(value_of, element, count=1) for element in command)
