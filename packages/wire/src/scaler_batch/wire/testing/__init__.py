"""A scheduler and an object storage for tests of whatever is built on this package.

Both speak the real bytes over real sockets on free ports of the loopback interface; neither needs `opengris-scaler`.
"""

from __future__ import annotations

from .object_storage import MemoryObjectStorage
from .scheduler import ScriptedScheduler

__all__ = ["MemoryObjectStorage", "ScriptedScheduler"]
