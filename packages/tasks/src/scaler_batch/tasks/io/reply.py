"""Results on their way to whoever asked for them."""

from __future__ import annotations

import logging
from typing import Any

from scaler_batch.payload import Outcome
from scaler_batch.tasks.commands import PrepareReply
from scaler_batch.tasks.errors import OutcomeUnreadableError
from scaler_batch.tasks.events import ReplyPrepared
from scaler_batch.tasks.models import Result
from scaler_batch.tasks.ports import ReplySink

logger = logging.getLogger(__name__)


async def prepare_reply(sink: ReplySink, command: PrepareReply) -> ReplyPrepared:
    """Have a result prepared. One that raises is its task's failure, and ends nothing else."""
    try:
        prepared = await sink.prepare(command.request, command.result)
    except Exception as error:  # the outermost frame of one result
        logger.exception("a result could not be prepared; its task fails")
        prepared = await _prepare_failure(sink, command, error)
    return ReplyPrepared(command.life, prepared, _name_of(command.result))


async def _prepare_failure(sink: ReplySink, command: PrepareReply, error: Exception) -> Any:
    text = f"the task has run, but its result cannot be handed over ({type(error).__name__}); submit it again"
    return await sink.prepare(command.request, OutcomeUnreadableError(text))


def _name_of(result: Result) -> str:
    """What an answer counts as."""
    return result.status if isinstance(result, Outcome) else type(result).__name__
