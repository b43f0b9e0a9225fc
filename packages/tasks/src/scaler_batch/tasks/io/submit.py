"""Packs and jobs on their way to AWS."""

from __future__ import annotations

import asyncio

from scaler_batch.aws import ServiceError
from scaler_batch.payload import Store, encode_pack, place
from scaler_batch.payload.errors import StoreError
from scaler_batch.payload.keys import pack_key
from scaler_batch.tasks.commands import FindJob, SubmitJob, WritePack
from scaler_batch.tasks.errors import StorageUnavailableError
from scaler_batch.tasks.events import FindFailed, JobFound, PackFailed, PackWritten, SubmitFailed, Submitted
from scaler_batch.tasks.ports import JobService


async def write_pack(store: Store, command: WritePack) -> PackWritten | PackFailed:
    """Make a pack, and put it into S3 unless it travels inline."""
    pack = await asyncio.to_thread(encode_pack, command.calls, client=command.client, processes=command.processes)
    placement = await asyncio.to_thread(place, pack, inline_limit=command.inline_limit)
    if placement.stored:
        try:
            await store.put(pack_key(command.sequence), pack.pieces)
        except StoreError as error:
            failure = StorageUnavailableError(f"the task's data could not be put into S3: {error}")
            return PackFailed(command.sequence, failure)
    return PackWritten(command.sequence, placement.parameter, pack.size, placement.stored)


async def submit_job(jobs: JobService, command: SubmitJob) -> Submitted | SubmitFailed:
    """Submit a job."""
    try:
        return Submitted(command.sequence, command.ask, await jobs.submit(command.job))
    except ServiceError as error:
        return SubmitFailed(command.sequence, command.ask, error)


async def find_job(jobs: JobService, command: FindJob) -> JobFound | FindFailed:
    """Look for a job by its name."""
    try:
        return JobFound(command.sequence, command.ask, await jobs.find(command.name, command.queue))
    except ServiceError as error:
        return FindFailed(command.sequence, command.ask, error)
