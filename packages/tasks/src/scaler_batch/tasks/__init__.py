"""The task manager: tasks in, AWS Batch jobs in between, every outcome back exactly once.

It knows nothing of any scheduler. Give it requests, a loader for their inputs and a sink for their results::

    async with AWSHPCTaskManager(settings, run, jobs=…, store=…, inputs=…, sink=…) as manager:
        manager.submit(TaskRequest(task_id, serializer, function, arguments))
        await manager.drain()
"""

from scaler_batch.tasks.errors import TaskFailedError, TasksError
from scaler_batch.tasks.manager import AWSHPCTaskManager, Snapshot
from scaler_batch.tasks.ports import InputLoader, JobService, ReplySink
from scaler_batch.tasks.settings import Polling, TaskManagerSettings
from scaler_batch.tasks.vocabulary import Result, TaskRequest, Verdict

__version__ = "0.1.0"

__all__ = [
    "AWSHPCTaskManager",
    "InputLoader",
    "JobService",
    "Polling",
    "ReplySink",
    "Result",
    "Snapshot",
    "TaskFailedError",
    "TaskManagerSettings",
    "TaskRequest",
    "TasksError",
    "Verdict",
]
