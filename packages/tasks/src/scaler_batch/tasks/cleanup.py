"""Removing what a run has written. What fails to be removed here falls to the bucket's one-day lifecycle rule."""

from __future__ import annotations

from scaler_batch.payload import Store
from scaler_batch.payload.keys import OBJECTS, OUTCOMES, PACKS


async def purge(store: Store) -> None:
    """Remove everything that a run has written.

    Raises:
        StoreError: It could not be listed, or not be removed.
    """
    await store.delete([key for folder in (OUTCOMES, PACKS, OBJECTS) for key in await store.list(folder)])
