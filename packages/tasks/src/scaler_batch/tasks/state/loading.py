"""The bytes of a submission's inputs.

Most inputs come at once. A task whose inputs do not is set aside, so that its neighbours need not wait for it, and
queues again when they have come. And a submission takes no more inputs than fit into memory: the rest of it queues
again at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from scaler_batch.payload import Call, Reference
from scaler_batch.payload.buffers import Buffer
from scaler_batch.payload.bundles import Value
from scaler_batch.tasks.commands import LoadInput, StoreObject
from scaler_batch.tasks.errors import TaskFailedError
from scaler_batch.tasks.events import InputFailed, InputLoaded, ObjectFailed, ObjectStored
from scaler_batch.tasks.models import Stage
from scaler_batch.tasks.state.attempt import Attempt, Step
from scaler_batch.tasks.state.cleaning import discard_all
from scaler_batch.tasks.state.collecting import queue
from scaler_batch.tasks.state.core import Core
from scaler_batch.tasks.state.objects import StoredObject
from scaler_batch.tasks.state.replying import answer
from scaler_batch.tasks.state.tables import Task
from scaler_batch.tasks.state.timers import Timer

GRACE: Final = 0.25
"""Seconds that a submission waits for the inputs of its tasks."""

ROOM: Final = 256 * 1024 * 1024
"""Bytes of inputs after which a submission takes no more tasks."""

_PORTION: Final = 500
"""Tasks whose inputs are fetched together."""

Loaded = Buffer | StoredObject | TaskFailedError
"""What came of fetching an input."""


class Load(NamedTuple):
    """An input on its way.

    Attributes:
        digest: What its bytes are known by; empty until they have come.
    """

    digest: str = ""


class Storing(NamedTuple):
    """A large input on its way into S3.

    Attributes:
        ask: Number of the command.
        reference: Where it will lie.
        names: What its owners call it.
    """

    ask: int
    reference: Reference
    names: list[bytes]


class Late(NamedTuple):
    """A task that was set aside.

    Attributes:
        task: Which.
        missing: Names of the inputs that have not come.
    """

    task: Task
    missing: set[bytes]


def load(core: Core, attempt: Attempt, now: float) -> bool:
    """Fetch inputs, a portion of tasks after the other; ``True`` once that is done."""
    tasks = attempt.tasks
    while attempt.portion < len(tasks):
        portion = tasks[attempt.portion : attempt.portion + _PORTION]
        if attempt.room <= 0:
            put_back(core, portion, now)
        else:
            _ask(core, attempt, portion, now)
            if attempt.missing:
                core.timers.set(Timer("grace", attempt.sequence), now + GRACE)
                return False
            _assemble(core, attempt, portion)
        attempt.portion += _PORTION
    return True


def on_loaded(core: Core, event: InputLoaded, now: float) -> bool:
    """Take an input, or have it stored if it is large; ``True`` where the submission under way can go on."""
    submitting, name, digest = core.submitting, event.name, event.digest
    if (found := submitting.loads.get(name)) is None or found.digest:
        return False
    if not digest:
        return _done(core, name, event.data, now)
    submitting.loads[name] = Load(digest)
    if (stored := core.objects.known(digest, now)) is not None:
        return _done(core, name, stored, now)
    if core.stop is not None:
        # Nobody will use it, and nobody would remove it.
        return False
    if digest in submitting.storing:
        submitting.storing[digest].names.append(name)
        return False
    reference = core.objects.reference(digest, len(event.data), submitting.sequence)
    ask = core.number()
    submitting.storing[digest] = Storing(ask, reference, [name])
    core.emit(StoreObject(digest, ask, reference, event.data))
    return False


def on_failed(core: Core, event: InputFailed, now: float) -> bool:
    """Fail the tasks that need an input; ``True`` where the submission under way can go on."""
    found = core.submitting.loads.get(event.name)
    return found is not None and not found.digest and _done(core, event.name, event.failure, now)


def on_stored(core: Core, event: ObjectStored, now: float) -> bool:
    """Use an object that lies in the store now; ``True`` where the submission under way can go on."""
    if (storing := _take(core, event)) is None:
        return False
    stored = core.objects.add(storing.reference, event.digest, now)
    goes_on = [_done(core, name, stored, now) for name in storing.names]
    discard_all(core, core.objects.trim())
    return any(goes_on)


def on_not_stored(core: Core, event: ObjectFailed, now: float) -> bool:
    """Fail the tasks that need an object; ``True`` where the submission under way can go on."""
    storing = _take(core, event)
    goes_on = [_done(core, name, event.failure, now) for name in (storing.names if storing else ())]
    return any(goes_on)


def on_grace_over(core: Core, attempt: Attempt, now: float) -> bool:
    """Go on without the tasks whose inputs have not come; ``True`` once all that can be loaded is."""
    attempt.missing = set()
    _assemble(core, attempt, attempt.tasks[attempt.portion : attempt.portion + _PORTION])
    attempt.portion += _PORTION
    return load(core, attempt, now)


def put_back(core: Core, tasks: Sequence[Task], now: float) -> None:
    """Let tasks queue again."""
    for task in tasks:
        if core.tasks.move(task, Stage.QUEUED):
            queue(core, task, now)


def _take(core: Core, event: ObjectStored | ObjectFailed) -> Storing | None:
    """What was being stored; ``None`` where that was known, or another try is under way."""
    storing = core.submitting.storing.get(event.digest)
    return core.submitting.storing.pop(event.digest) if storing is not None and storing.ask == event.ask else None


def _ask(core: Core, attempt: Attempt, tasks: Sequence[Task], now: float) -> None:
    submitting = core.submitting
    for name in dict.fromkeys(name for task in tasks for name in task.request.inputs if not task.ended):
        if name in attempt.values:
            continue
        if (stored := core.objects.find(name, now)) is not None:
            attempt.values[name] = core.objects.use(stored, attempt.sequence)
            continue
        attempt.missing.add(name)
        if name not in submitting.loads:
            submitting.loads[name] = Load()
            submitting.to_load.append(name)
    _start_loads(core)


def _start_loads(core: Core) -> None:
    submitting, settings = core.submitting, core.settings
    while submitting.to_load and len(submitting.loads) - len(submitting.to_load) < settings.transfers:
        core.emit(LoadInput(submitting.to_load.popleft(), settings.object_threshold))


def _done(core: Core, name: bytes, found: Loaded, now: float) -> bool:
    """Take what came of an input; ``True`` where it was the last that the submission under way waits for."""
    submitting = core.submitting
    del submitting.loads[name]
    _start_loads(core)
    if isinstance(found, StoredObject):
        core.objects.name(found, name)
    _tell_late(core, name, found, now)
    attempt = submitting.attempt
    if attempt is None or attempt.step is not Step.LOADING or name not in attempt.missing:
        return False
    attempt.missing.discard(name)
    attempt.values[name] = core.objects.use(found, attempt.sequence) if isinstance(found, StoredObject) else found
    return not attempt.missing


def _tell_late(core: Core, name: bytes, found: Loaded, now: float) -> None:
    """Let tasks queue again when their inputs have come, or fail them with the first that cannot be had."""
    for late in core.submitting.late.pop(name, ()):
        late.missing.discard(name)
        if late.task.stage is not Stage.SUBMITTING:
            continue
        if isinstance(found, TaskFailedError):
            answer(core, late.task, found)
        elif not late.missing:
            put_back(core, [late.task], now)


def _assemble(core: Core, attempt: Attempt, tasks: Sequence[Task]) -> None:
    """Put calls together, and set those tasks aside whose inputs have not come."""
    for task in tasks:
        if task.ended:
            continue
        found = [attempt.values.get(name) for name in task.request.inputs]
        failure = next((value for value in found if isinstance(value, TaskFailedError)), None)
        if failure is not None:
            answer(core, task, failure)
        elif None in found:
            _set_aside(
                core, task, {name for name, value in zip(task.request.inputs, found, strict=True) if value is None}
            )
        else:
            attempt.calls[task] = _call(attempt, found)


def _call(attempt: Attempt, found: Sequence[object]) -> Call:
    values: list[Value] = [value for value in found if isinstance(value, Reference | Buffer)]
    attempt.room -= sum(len(value) for value in values if not isinstance(value, Reference))
    serializer, function, *arguments = values
    return Call(serializer, function, tuple(arguments))


def _set_aside(core: Core, task: Task, missing: set[bytes]) -> None:
    late = Late(task, missing)
    for name in missing:
        core.submitting.late.setdefault(name, []).append(late)
