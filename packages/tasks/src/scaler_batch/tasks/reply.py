"""The last stage: hand each result over, exactly once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from scaler_batch.tasks.errors import OutcomeUnreadableError
from scaler_batch.tasks.lifecycle import Ledger, Stage, Task
from scaler_batch.tasks.ports import ReplySink
from scaler_batch.tasks.vocabulary import Result

logger = logging.getLogger(__name__)


class Replies:
    """Results on their way out.

    The queue is bounded: results hold data, and whoever fetches them waits until earlier ones have left.
    """

    def __init__(self, ledger: Ledger, sink: ReplySink, transfers: int, answered: Callable[[Result], None]) -> None:
        self._ledger = ledger
        self._sink = sink
        self._answered = answered
        self._queue: asyncio.Queue[tuple[Task, Result]] = asyncio.Queue(transfers)

    async def put(self, task: Task, result: Result) -> None:
        """Answer a task, unless it has ended meanwhile."""
        if self._ledger.move(task, Stage.REPLYING):
            await self._queue.put((task, result))

    async def run(self) -> None:
        """Hand results over, one after the other; run several of these side by side."""
        while True:
            # Without a name for it here: a result may be large, and the next one may be long in coming.
            await self._hand_over(*await self._queue.get())

    async def _hand_over(self, task: Task, result: Result) -> None:
        if not self._ledger.holds(task):
            return
        prepared = await self._prepare(task, result)
        if self._ledger.finish(task):
            self._sink.announce(task.request, prepared)
            self._answered(result)
        else:
            self._sink.discard(task.request, prepared)

    async def _prepare(self, task: Task, result: Result) -> Any:
        """Have a result prepared. One that raises is its task's failure, and ends nothing else."""
        try:
            return await self._sink.prepare(task.request, result)
        except Exception as error:  # the outermost frame of one result
            logger.exception("a result could not be prepared; its task fails")
            text = f"the task has run, but its result cannot be handed over ({type(error).__name__}); submit it again"
            return await self._sink.prepare(task.request, OutcomeUnreadableError(text))
