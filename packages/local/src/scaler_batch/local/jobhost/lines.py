"""Bytes in pieces become lines of text."""

from __future__ import annotations

LONGEST_LINE = 262_118
"""Bytes; CloudWatch Logs takes no longer event, and container log drivers split where it stops."""


class LineSplitter:
    """Collects what a process writes and gives it out by the line.

    Empty lines are left out, as log events cannot be empty.

    Args:
        longest: Bytes after which a line is cut.
    """

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines that are complete now."""
        *complete, rest = (self._rest + data).split(b"\n")
        cut = len(rest) - len(rest) % self._longest
        self._rest = rest[cut:]
        return self._text([*complete, rest[:cut]])

    def finish(self) -> list[str]:
        """What is left when nothing more comes."""
        rest, self._rest = self._rest, b""
        return self._text([rest])

    def _text(self, lines: list[bytes]) -> list[str]:
        pieces = (line[at : at + self._longest] for line in lines for at in range(0, len(line), self._longest))
        return [piece.decode("utf-8", "replace") for piece in pieces]
