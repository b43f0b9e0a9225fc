"""Removing what nothing needs any more, in bulk.

Removing is never worth a call an object, but it is worth one now and then: until an outcome is removed, every look at
what is new lists it once more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from scaler_batch.tasks.commands import RemoveObjects
from scaler_batch.tasks.state.core import Core

PORTION: Final = 250
"""Keys of one S3 DeleteObjects, which takes 1,000 at most. A listing has a thousand keys a call, so that many have to
leave room for those that are new."""


def discard(core: Core, *keys: str) -> None:
    """Remove objects some time."""
    discard_all(core, keys)


def discard_all(core: Core, keys: Iterable[str]) -> None:
    """Remove objects some time."""
    for key in keys:
        if key not in core.cleaning.removing:
            core.cleaning.keys[key] = None
    _remove_portion(core)


def on_removed(core: Core) -> None:
    """Remove those that have gathered meanwhile."""
    core.cleaning.removing = frozenset()
    _remove_portion(core)


def _remove_portion(core: Core) -> None:
    cleaning = core.cleaning
    if len(cleaning.keys) >= PORTION and not cleaning.removing:
        core.emit(RemoveObjects(tuple(cleaning.keys)))
        cleaning.removing, cleaning.keys = frozenset(cleaning.keys), {}
