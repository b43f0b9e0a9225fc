"""Keeping processes of one user out of each other's memory and files.

The kernel lets a process look into any other of the same user: trace it, write to its memory, open its files anew. It
refuses that, to whoever has no power over the whole machine, where the other is not *dumpable* (``man 2 prctl``). What
is forked from a process that is not dumpable is not either; what it executes is again.
"""

from __future__ import annotations

import contextlib
from typing import Final

_SET_DUMPABLE: Final = 4


def hide(is_hidden: bool = True) -> None:
    """Keep other processes of this user out of this one, or let them in again.

    Where the kernel cannot be asked, nothing changes.
    """
    with contextlib.suppress(ImportError, AttributeError, OSError):
        # What ctypes is made of; it takes a quarter of the time to import.
        import _ctypes

        prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]
        _ctypes.call_function(prctl, (_SET_DUMPABLE, int(not is_hidden), 0, 0, 0))
