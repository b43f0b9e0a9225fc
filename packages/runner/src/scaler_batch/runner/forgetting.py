"""A secret of the environment, forgotten before anybody's code runs here.

Calls run in copies of the runner's process, and may read what belongs to their own user. So a secret is taken out of
the variables, and out of the block of memory that the kernel shows as ``/proc/<pid>/environ``. It guards the secret
from whoever looks there, and not from who searches all memory of the process.
"""

from __future__ import annotations

import contextlib
import os
from typing import Final

_BLOCK: Final = slice(47, 49)
"""The fields ``env_start`` and ``env_end`` of ``/proc/self/stat``, counted from the one behind the program's name."""


def forget_variable(name: str) -> None:
    """Remove a variable of this process, for it, its children, and whoever looks at it from outside."""
    if os.environ.pop(name, None) is None:
        return
    # A kernel that does not allow it leaves what only the same user can see.
    with contextlib.suppress(OSError, ValueError):
        _overwrite(name.encode())


def _overwrite(name: bytes) -> None:
    with open("/proc/self/stat", "rb", buffering=0) as file:
        fields = file.read().rpartition(b")")[2].split()
    start, end = map(int, fields[_BLOCK])
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        memory.seek(start)
        block = memory.read(end - start)
        for entry in block.split(b"\0"):
            if entry.startswith(name + b"="):
                memory.seek(start + block.index(entry))
                memory.write(bytes(len(entry)))
