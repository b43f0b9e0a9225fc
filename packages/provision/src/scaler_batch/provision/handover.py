r"""The env file: what the worker adapter needs to know, as lines that a shell can source.

Four lines, in this order::

    export SCALER_AWS_REGION="us-east-1"
    export SCALER_S3_BUCKET="scaler-batch-123456789012-us-east-1"
    export SCALER_JOB_QUEUE="scaler-batch-queue"
    export SCALER_JOB_DEFINITION="scaler-batch-job"

A fifth one, ``SCALER_PAYLOAD_KEY="ssm:/scaler-batch/payload-key"``, follows where there is a key that seals tasks and
results.

Values stand in double quotes; in them ``\``, ``"``, ``$`` and the backtick are escaped by a backslash, as every POSIX
shell has it. The file may as well be written by hand, so the reader also takes comments, blank lines, lines without
``export``, single quotes and no quotes, and passes over variables it does not know.
"""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Final

from scaler_batch.provision import atomic
from scaler_batch.provision.errors import FileError, SettingsError
from scaler_batch.provision.vocabulary import Kind

if TYPE_CHECKING:
    from pathlib import Path

    from scaler_batch.provision.naming import Names

VARIABLES: Final = ("SCALER_AWS_REGION", "SCALER_S3_BUCKET", "SCALER_JOB_QUEUE", "SCALER_JOB_DEFINITION")
PAYLOAD_KEY: Final = "SCALER_PAYLOAD_KEY"
IN_SSM: Final = "ssm:"
"""Begins the place of a key that is a parameter of Systems Manager; its name follows."""

_LINE = re.compile(
    r"""\s*(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)=
        (?: "(?P<double>(?:[^"\\]|\\.)*)" | '(?P<single>[^']*)' | (?P<bare>[^\s"'\\$`#;&|<>()]*) )
        \s*(?:(?<=\s)\#.*)?""",
    re.VERBOSE,
)
_BLANK = re.compile(r"\s*(\#.*)?", re.VERBOSE)
_SPECIAL = re.compile(r'(["\\$`])')
_ESCAPED = re.compile(r'\\(["\\$`])')
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class Handover:
    """What the worker adapter needs, in the order of :data:`VARIABLES`, and :data:`PAYLOAD_KEY` where there is one.

    Attributes:
        region: AWS region.
        bucket: Name of the S3 bucket.
        job_queue: Name of the job queue.
        job_definition: Name of the job definition, without a revision: jobs take the newest one.
        payload_key: Where the key lies that seals tasks and results: ``ssm:`` and the name of the parameter. Empty for
            none.
    """

    region: str
    bucket: str
    job_queue: str
    job_definition: str
    payload_key: str = ""

    @classmethod
    def of(cls, names: Names, *, payload_key: bool = False) -> Handover:
        """What the worker adapter needs to know of the resources of these names."""
        bucket, queue, definition = map(names.of, (Kind.BUCKET, Kind.JOB_QUEUE, Kind.JOB_DEFINITION))
        key = f"{IN_SSM}{names.of(Kind.PAYLOAD_KEY)}" if payload_key else ""
        return cls(names.target.region, bucket, queue, definition, key)

    def is_about(self, names: Names) -> bool:
        """Whether this is about the resources of these names, with a key or without."""
        return self in (Handover.of(names), Handover.of(names, payload_key=True))

    def environment(self) -> dict[str, str]:
        """The values by the names of their variables."""
        values = zip((*VARIABLES, PAYLOAD_KEY), astuple(self), strict=True)
        return {name: value for name, value in values if value or name != PAYLOAD_KEY}

    def to_shell(self) -> str:
        """The text of the env file."""
        return "".join(f"export {name}={quote(value)}\n" for name, value in self.environment().items())

    @classmethod
    def from_shell(cls, text: str) -> Handover:
        """Read the text of an env file.

        Raises:
            ValueError: A line is not an assignment of a plain value, or a variable is missing.
        """
        found = dict(assignment for line in text.splitlines() if (assignment := _assignment(line)))
        missing = [name for name in VARIABLES if not found.get(name)]
        if missing:
            raise ValueError(f"{', '.join(missing)} not set")
        region, bucket, queue, definition = (found[name] for name in VARIABLES)
        return cls(region, bucket, queue, definition, found.get(PAYLOAD_KEY, ""))


def write_env(path: Path, handover: Handover) -> None:
    """Write the env file, unless it says the same already.

    Raises:
        FileError: It cannot be written.
    """
    if atomic.read_text(path) != handover.to_shell():
        atomic.write_text(path, handover.to_shell())


def read_env(path: Path) -> Handover | None:
    """Read an env file; ``None`` when there is none.

    Raises:
        FileError: It cannot be read or understood.
    """
    text = atomic.read_text(path)
    try:
        return None if text is None else Handover.from_shell(text)
    except ValueError as error:
        fix = f"write the {len(VARIABLES)} lines as the how-to on provisioning shows them, or name another --env-file"
        raise FileError(f"cannot understand {path}: {error}", fix=fix) from error


def quote(value: str) -> str:
    """Put a value in double quotes, so that a shell takes it literally.

    Raises:
        SettingsError: It holds control characters, which no name has and no single line can carry.
    """
    if _CONTROL.search(value):
        raise SettingsError(f"{value!r} holds control characters", fix="use a plain name")
    return f'"{_SPECIAL.sub(_escape, value)}"'


def _escape(match: re.Match[str]) -> str:
    return f"\\{match[1]}"


def _assignment(line: str) -> tuple[str, str] | None:
    """Read one line; ``None`` for one that says nothing."""
    if _BLANK.fullmatch(line):
        return None
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"not an assignment of a plain value: {line[:80]!r}")
    if match["double"] is not None:
        return match["name"], _unescape(match["double"])
    return match["name"], match["single"] if match["single"] is not None else match["bare"]


def _unescape(text: str) -> str:
    if re.search(r"(?<!\\)(?:\\\\)*[$`]", text):
        raise ValueError("a value that a shell would expand")
    return _ESCAPED.sub(r"\1", text)
