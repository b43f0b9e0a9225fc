"""What an option's value may be, whichever source it comes from.

The command line and the environment have only text, a TOML file has types of its own. A kind takes either and returns
one thing, or says no; what it would have taken is said in words, once, for the help, the documents and the errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from scaler_batch.wire import Capability


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of value.

    Attributes:
        allowed: What is taken, in words.
        read: Turns what a source holds into the value; ``ValueError`` where it is none.
        many: Whether the command line may give several words.
    """

    allowed: str
    read: Callable[[Any], Any]
    many: bool = False


def text(allowed: str = "text that is not empty", pattern: str = r"\S(.*\S)?") -> Kind:
    """Text of a form."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(value)
        return value

    return Kind(allowed, read)


def whole(least: int, most: int | None = None, *, besides: str | None = None) -> Kind:
    """A whole number between two others, or one certain word."""
    bounds = f"a whole number of at least {least}" if most is None else f"a whole number from {least} to {most}"
    allowed = f"only {least}" if least == most else bounds + (f", or {besides}" if besides else "")

    def read(value: Any) -> int | str:
        if besides is not None and value == besides:
            return besides
        found = _number(value, int, r"[+-]?\d{1,18}")
        if found < least or (most is not None and found > most):
            raise ValueError(value)
        return int(found)

    return Kind(allowed, read)


def number(least: float = 0.0, unit: str = "seconds") -> Kind:
    """A number, whole or not, of at least another."""

    def read(value: Any) -> float:
        found = _number(value, int | float, r"\d{1,9}(\.\d{1,9})?")
        if not least <= found <= _MOST:
            raise ValueError(value)
        return float(found)

    return Kind(f"{unit}, at least {least:g}", read)


_MOST: Final = 1e9
"""In seconds thirty years, and so a number that every clock can add to; above all, no infinity."""


def one_of(*choices: str, fold: Callable[[str], str] = str.lower) -> Kind:
    """One of some words, in any case of letters."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or fold(value) not in choices:
            raise ValueError(value)
        return fold(value)

    return Kind(f"one of {', '.join(choices)}", read)


def parsed(allowed: str, parse: Callable[[str], object], refusal: type[Exception]) -> Kind:
    """Text that another module can read; it stays text."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError(value)
        try:
            parse(value)
        except refusal as error:
            raise ValueError(value) from error
        return value

    return Kind(allowed, read)


def _read_paths(value: Any) -> tuple[str, ...]:
    paths = [value] if isinstance(value, str) else value
    if not isinstance(paths, list) or not paths or not all(isinstance(path, str) and path for path in paths):
        raise ValueError(value)
    return tuple(paths)


def _read_capabilities(value: Any) -> tuple[Capability, ...]:
    if not isinstance(value, str):
        raise ValueError(value)
    return tuple(_capability(part.strip()) for part in value.split(",") if part.strip())


def _capability(part: str) -> Capability:
    match = re.fullmatch(r"([^\s=,]+)(?:\s*=\s*(-?\d{1,18}))?", part)
    if match is None:
        raise ValueError(part)
    return Capability(match[1]) if match[2] is None else Capability(match[1], int(match[2]))


SHARE: Final = text("a share identifier: 1 to 255 printable characters without spaces", r"[!-~]{1,255}")
PRIORITY: Final = whole(0, 9999)
"""Of a job within its share. Source: AWS Batch API reference, SubmitJob.schedulingPriorityOverride."""

PATHS: Final = Kind("one path or several", _read_paths, many=True)
CAPABILITIES: Final = Kind(
    "names parted by commas, each with a whole number or without: linux,cpu=4", _read_capabilities
)


def _number(value: Any, types: Any, pattern: str) -> int | float:
    if isinstance(value, str) and re.fullmatch(pattern, value):
        return float(value) if "." in value else int(value)
    if isinstance(value, types) and not isinstance(value, bool):
        return value  # type: ignore[no-any-return]
    raise ValueError(value)
