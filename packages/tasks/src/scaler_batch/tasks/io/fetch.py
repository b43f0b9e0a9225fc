"""Inputs: fetched from their owner, and put into S3 by themselves where they are large."""

from __future__ import annotations

import asyncio

from scaler_batch.payload import Store, encode_object
from scaler_batch.payload.errors import StoreError
from scaler_batch.payload.hashing import digest
from scaler_batch.tasks.commands import LoadInput, StoreObject
from scaler_batch.tasks.errors import InputError, InputUnavailableError, StorageUnavailableError
from scaler_batch.tasks.events import InputFailed, InputLoaded, ObjectFailed, ObjectStored
from scaler_batch.tasks.ports import InputLoader


async def load_input(inputs: InputLoader, command: LoadInput) -> InputLoaded | InputFailed:
    """Fetch an input."""
    try:
        data = await inputs.load(command.name)
    except InputError as error:
        return InputFailed(command.name, InputUnavailableError(str(error)))
    if len(data) <= command.threshold:
        return InputLoaded(command.name, data)
    return InputLoaded(command.name, data, await asyncio.to_thread(digest, data))


async def store_object(store: Store, command: StoreObject) -> ObjectStored | ObjectFailed:
    """Put a large input into S3."""
    try:
        await store.put(command.reference.key, await asyncio.to_thread(encode_object, command.data))
    except StoreError as error:
        failure = StorageUnavailableError(f"the task's data could not be put into S3: {error}")
        return ObjectFailed(command.digest, command.ask, failure)
    return ObjectStored(command.digest, command.ask)
