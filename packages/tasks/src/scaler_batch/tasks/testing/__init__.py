"""Doubles of this package's ports, for its own tests and for those of its users.

:class:`FakeJobService` is AWS Batch in memory: it refuses what AWS refuses, leaves out what AWS leaves out, and counts
requests as AWS would. A test ends jobs by hand, or gives a function that every call runs::

    store, inputs, sink = MemoryStore(), MemoryInputs(), RecordingSink()
    jobs = FakeJobService(store, run=lambda call: b"done", seconds=2.0, faults=[Throttle(times=3), LoseResponse()])

Delays pass on the event loop's clock, so that tests may make it a virtual one. Nothing here starts a task or a thread.
"""

from scaler_batch.tasks.testing.batch import FakeJobService
from scaler_batch.tasks.testing.ends import MemoryInputs, RecordingSink
from scaler_batch.tasks.testing.faults import (
    ANY,
    Expired,
    Fault,
    HideChildren,
    Lag,
    LoseRequest,
    LoseResponse,
    Reject,
    Spare,
    Stall,
    Throttle,
    Vanish,
)
from scaler_batch.tasks.testing.jobs import FakeJob, FakeSubmission
from scaler_batch.tasks.testing.store import FaultyStore, StoreDenied, StoreExpired, StoreUnavailable

__all__ = [
    "ANY",
    "Expired",
    "FakeJob",
    "FakeJobService",
    "FakeSubmission",
    "Fault",
    "FaultyStore",
    "HideChildren",
    "Lag",
    "LoseRequest",
    "LoseResponse",
    "MemoryInputs",
    "RecordingSink",
    "Reject",
    "Spare",
    "Stall",
    "StoreDenied",
    "StoreExpired",
    "StoreUnavailable",
    "Throttle",
    "Vanish",
]
