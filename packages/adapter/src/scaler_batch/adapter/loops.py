"""The event loop that the process runs on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal


def factory_of(name: Literal["builtin", "uvloop"]) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the event loop of this name; ``None`` for asyncio's own choice."""
    if name == "builtin":
        return None
    import uvloop  # optional: the settings have made sure that it is there

    return uvloop.new_event_loop
