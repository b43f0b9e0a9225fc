"""What a session reports to its owner, one frozen dataclass each."""

from __future__ import annotations

from dataclasses import dataclass

from .messages import ObjectStorageAddress, Task


@dataclass(frozen=True, slots=True)
class Registered:
    """The scheduler knows this worker; no task and no cancel is reported before this."""

    storage: ObjectStorageAddress


@dataclass(frozen=True, slots=True)
class RegisteredAnew:
    """After a broken link, with nothing open, the worker has left and come again, for what was lost with the link."""


@dataclass(frozen=True, slots=True)
class StorageMoved:
    """The scheduler names another object storage than before."""

    storage: ObjectStorageAddress


@dataclass(frozen=True, slots=True)
class TaskReceived:
    """A task to run; it is to be answered by exactly one result, unless it is cancelled first."""

    task: Task


@dataclass(frozen=True, slots=True)
class TaskRedelivered:
    """The scheduler sent a task again that is open here: go on with it, do not start it twice."""

    task: Task


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """A task is to be cancelled; wants exactly one confirm. `force`: even if it is running."""

    task_id: bytes
    force: bool


@dataclass(frozen=True, slots=True)
class ObjectsDeleted:
    """These objects are gone; forget what was kept of them."""

    object_ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ShutdownRequested:
    """The scheduler wants this worker to stop now."""


@dataclass(frozen=True, slots=True)
class ConcurrencyDesired:
    """To a worker manager: so many workers should be there. Often repeated; the last one holds until the next."""

    workers: int


@dataclass(frozen=True, slots=True)
class SchedulerSilent:
    """The scheduler has not answered a heartbeat for so many seconds: time to give up."""

    seconds: float


@dataclass(frozen=True, slots=True)
class LinkLost:
    """The link is down and will be made again; what is sent meanwhile waits or is lost with the scheduler."""

    reason: str


@dataclass(frozen=True, slots=True)
class LinkRestored:
    """The link is up again."""


@dataclass(frozen=True, slots=True)
class MessageRefused:
    """The scheduler sent something malformed or out of turn, which was dropped."""

    reason: str


@dataclass(frozen=True, slots=True)
class MessageIgnored:
    """The scheduler sent a message of a kind that is not known here."""

    discriminant: int


LinkEvent = SchedulerSilent | LinkLost | LinkRestored | MessageRefused | MessageIgnored
"""What any link reports."""

WorkerEvent = (
    Registered
    | RegisteredAnew
    | StorageMoved
    | TaskReceived
    | TaskRedelivered
    | CancelRequested
    | ObjectsDeleted
    | ShutdownRequested
)
"""What only the link of a worker reports."""

Event = WorkerEvent | LinkEvent
"""Whatever a worker may hear."""

ManagerEvent = ConcurrencyDesired | LinkEvent
"""Whatever a worker manager may hear."""
