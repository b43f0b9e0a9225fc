"""The stage that fetches and opens outcomes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from scaler_batch.payload import Outcome, PayloadError, Store, decode_outcomes
from scaler_batch.payload.errors import StoreError
from scaler_batch.payload.keys import outcome_key
from scaler_batch.tasks.errors import OutcomeUnreadableError, StorageUnavailableError
from scaler_batch.tasks.janitor import Janitor
from scaler_batch.tasks.lifecycle import Ledger, Task
from scaler_batch.tasks.reply import Replies
from scaler_batch.tasks.vocabulary import JobRef, Result


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
            ref, task = await self._queue.get()
            key = outcome_key(ref.sequence, ref.index)
            if self._ledger.holds(task):
                await self._replies.put(task, await self._fetch(key, task.request.task_id))
            self._janitor.discard(key)

    async def _fetch(self, key: str, task_id: bytes) -> Result:
        try:
            outcomes, _ = decode_outcomes(await self._store.get(key))
            return _of(task_id, outcomes)
        except StoreError as error:
            return StorageUnavailableError(f"the task has run, but its outcome could not be fetched from S3: {error}")
        except PayloadError as error:
            return OutcomeUnreadableError(f"the task has run, but its outcome {key} cannot be read: {error}")


def _of(task_id: bytes, outcomes: Iterable[Outcome]) -> Result:
    for outcome in outcomes:
        if outcome.task_id == task_id:
            return outcome
    return OutcomeUnreadableError("the job has published outcomes, but none for this task")
