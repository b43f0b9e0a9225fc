"""Text that others wrote, made fit for a terminal: lines of job logs, reasons and messages of AWS, names.

A terminal obeys what it is sent. A line of a log can set the title, move the cursor over what was said before, fill the
clipboard or, with marks for the direction of writing, show something else than it says.
"""

from __future__ import annotations

import re
from typing import Final

_COLOUR: Final = r"\x1b\[[0-9;]{0,32}m"
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but for tab and newline, DEL, C1
    "\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # directions, separators, nothing to see
    "\ud800-\udfff\U000e0000-\U000e007f]"  # halves of pairs, tags
)
_UNSEEN_OR_COLOUR: Final = re.compile(f"{_COLOUR}|{_UNSEEN.pattern}")


def printable(text: str, *, colours: bool = False) -> str:
    """Write as escapes of Python all that a terminal would obey rather than show.

    Args:
        text: Whatever; tabs and newlines stay as they are.
        colours: Let colours pass, and carriage returns, with which programs draw bars: for what a user's own program
            prints.
    """
    return _UNSEEN_OR_COLOUR.sub(_allowed, text) if colours else _UNSEEN.sub(_escaped, text)


def _allowed(found: re.Match[str]) -> str:
    return found[0] if len(found[0]) > 1 or found[0] == "\r" else _escaped(found)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
