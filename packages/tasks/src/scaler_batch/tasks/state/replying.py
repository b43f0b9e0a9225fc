"""The last stage: each result is prepared, and its task answered, exactly once.

Results hold data, so at most ``transfers`` are prepared at a time. While as many wait, no more outcomes are fetched
(:mod:`~scaler_batch.tasks.state.collecting`).
"""

from __future__ import annotations

from scaler_batch.tasks.commands import Announce, Discard, PrepareReply
from scaler_batch.tasks.events import ReplyPrepared
from scaler_batch.tasks.models import Result, Stage
from scaler_batch.tasks.state.core import Core
from scaler_batch.tasks.state.tables import Task, leave_job


def answer(core: Core, task: Task, result: Result) -> None:
    """Answer a task, unless it has ended meanwhile. Who stops answers nobody."""
    if core.stop is not None:
        core.tasks.forget(task)
    elif core.tasks.move(task, Stage.REPLYING):
        leave_job(task)
        core.replying.waiting.append((task, result))
        prepare(core)


def prepare(core: Core) -> None:
    """Have results prepared, as many at a time as may be."""
    replying = core.replying
    while replying.waiting and len(replying.preparing) < core.settings.transfers:
        task, result = replying.waiting.popleft()
        if not task.ended:
            replying.preparing[task.life] = task
            core.emit(PrepareReply(task.life, task.request, result))


def on_prepared(core: Core, event: ReplyPrepared) -> None:
    """Announce a reply, or throw it away if its task was cancelled meanwhile."""
    task = core.replying.preparing.pop(event.life, None)
    if task is None:
        return
    if core.tasks.forget(task):
        core.replying.answers[event.answer] += 1
        core.emit(Announce(task.request, event.prepared))
    else:
        core.emit(Discard(task.request, event.prepared))
    prepare(core)
