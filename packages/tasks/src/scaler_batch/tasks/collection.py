"""The stage that fetches and opens outcomes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from scaler_batch.payload import Outcome, PayloadError, Store, decode_outcomes
from scaler_batch.payload.errors import StoreError
from scaler_batch.payload.keys import outcome_key
from scaler_batch.payload.sections import Buffer
from scaler_batch.tasks.errors import OutcomeUnreadableError, StorageUnavailableError
from scaler_batch.tasks.janitor import Janitor
from scaler_batch.tasks.lifecycle import Ledger, Task
from scaler_batch.tasks.reply import Replies
from scaler_batch.tasks.vocabulary import JobRef, Result

_AT_ONCE: Final = 64 * 1024
"""Bytes of an object up to which it is opened on the event loop: a fifteenth of the time that going to a thread takes,
and at gzip's best ratio not long enough to be missed."""


class Collector:
    """Fetches the outcomes that the watcher has seen."""

    def __init__(self, ledger: Ledger, store: Store, replies: Replies, janitor: Janitor) -> None:
        self._ledger = ledger
        self._store = store
        self._replies = replies
        self._janitor = janitor
        self._queue: asyncio.Queue[tuple[JobRef, Task]] = asyncio.Queue()

    def put(self, ref: JobRef, task: Task) -> None:
        """Fetch the outcome of a job when its turn comes."""
        self._queue.put_nowait((ref, task))

    async def run(self) -> None:
        """Fetch outcomes, one after the other; run several of these side by side."""
        while True:
            await self._collect(*await self._queue.get())

    async def _collect(self, ref: JobRef, task: Task) -> None:
        key = outcome_key(ref.sequence, ref.index)
        if self._ledger.holds(task):
            await self._replies.put(task, await self._fetch(key, task.request.task_id))
        self._janitor.discard(key)

    async def _fetch(self, key: str, task_id: bytes) -> Result:
        try:
            return _of(task_id, await _opened(await self._store.get(key)))
        except StoreError as error:
            return StorageUnavailableError(f"the task has run, but its outcome could not be fetched from S3: {error}")
        except PayloadError as error:
            return OutcomeUnreadableError(f"the task has run, but its outcome {key} cannot be read: {error}")


async def _opened(sealed: Buffer) -> list[Outcome]:
    if len(sealed) <= _AT_ONCE:
        return decode_outcomes(sealed)[0]
    return (await asyncio.to_thread(decode_outcomes, sealed))[0]


def _of(task_id: bytes, outcomes: Iterable[Outcome]) -> Result:
    for outcome in outcomes:
        if outcome.task_id == task_id:
            return outcome
    return OutcomeUnreadableError("the job has published outcomes, but none for this task")
