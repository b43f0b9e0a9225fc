"""The runner's own lines on stderr: one JSON object a line, so that a log service finds the fields by itself.

User code writes to the same stream; a line of ours is one write. Arguments, results and messages of exceptions never
come here: they are the user's data, and logs are read by more people than results.
"""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any


def line(event: str, **facts: Any) -> None:
    """Write one line; a stderr that is closed or full stops nobody's work."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(json.dumps({"event": event, **facts}) + "\n")
        sys.stderr.flush()
