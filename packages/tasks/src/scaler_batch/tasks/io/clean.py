"""Objects that nothing needs any more."""

from __future__ import annotations

import logging

from scaler_batch.payload import Store
from scaler_batch.payload.errors import StoreError
from scaler_batch.tasks.cleanup import purge
from scaler_batch.tasks.commands import PurgeRun, RemoveObjects
from scaler_batch.tasks.events import ObjectsRemoved, RunPurged

logger = logging.getLogger(__name__)


async def remove_objects(store: Store, command: RemoveObjects) -> ObjectsRemoved:
    """Remove objects."""
    try:
        await store.delete(command.keys)
    except StoreError as error:
        logger.warning("%d objects stay until the bucket's lifecycle removes them: %s", len(command.keys), error)
    return ObjectsRemoved()


async def purge_run(store: Store, command: PurgeRun) -> RunPurged:
    """Remove everything the run has written."""
    try:
        await purge(store)
    except StoreError as error:
        logger.warning("the run's objects could not be removed; the bucket's lifecycle will remove them: %s", error)
    return RunPurged()
