"""Inputs of tasks: fetched from the object storage once, kept while there is room.

A map over a thousand items names its function a thousand times. Objects never change under their id, so what was
fetched stays good until the scheduler says that it is deleted, or until room is needed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from scaler_batch.adapter.storage import StorageLink
from scaler_batch.payload.buffers import Buffer
from scaler_batch.payload.objects import THRESHOLD
from scaler_batch.tasks import InputError
from scaler_batch.wire import WireError

PATIENCE: Final = 60.0
"""Seconds to wait for an object. The storage never says that an object is missing: it waits for somebody to set it."""

ROOM: Final = 256 * 1024 * 1024
"""Bytes of inputs kept at most."""


class CachedInputs:
    """Loads inputs through the object storage.

    Args:
        storage: Where they lie.
        room: Bytes to keep at most. Objects that the task manager puts into S3 by themselves are not kept: it does not
            ask for them again.
    """

    def __init__(self, storage: StorageLink, room: int = ROOM) -> None:
        self._storage = storage
        self._room = room
        self._kept: OrderedDict[bytes, Buffer] = OrderedDict()
        self._size = 0

    async def load(self, object_id: bytes) -> Buffer:
        """Return an object's bytes.

        Raises:
            InputError: The storage did not give it in time.
        """
        if (kept := self._kept.get(object_id)) is not None:
            self._kept.move_to_end(object_id)
            return kept
        try:
            client = await self._storage.client()
            content = await client.get(object_id, PATIENCE)
        except WireError as error:
            raise InputError(f"object {object_id.hex()} could not be had from the object storage: {error}") from error
        self._keep(object_id, content)
        return content

    def drop(self, object_ids: Iterable[bytes]) -> None:
        """Forget objects that were deleted."""
        for object_id in object_ids:
            if (content := self._kept.pop(object_id, None)) is not None:
                self._size -= len(content)

    def _keep(self, object_id: bytes, content: Buffer) -> None:
        self.drop([object_id])
        if len(content) > min(THRESHOLD, self._room):
            return
        self._kept[object_id] = content
        self._size += len(content)
        while self._size > self._room:
            _, oldest = self._kept.popitem(last=False)
            self._size -= len(oldest)
