"""The task manager: tasks in, AWS Batch jobs in between, every outcome back exactly once.

It knows nothing of any scheduler. Give it requests, a loader for their inputs and a sink for their results::

    async with AWSHPCTaskManager(settings, run, jobs=…, store=…, inputs=…, sink=…) as manager:
        manager.submit(TaskRequest(task_id, serializer, function, arguments))
        await manager.drain()

Everything is here that an implementation of :class:`JobService`, :class:`InputLoader` or :class:`ReplySink` needs.
"""

from scaler_batch.aws import Classification, JobReport, JobShape, JobSpec, JobStatus, ServiceError
from scaler_batch.payload import Outcome, RunLocation, Store
from scaler_batch.payload.errors import StoreError
from scaler_batch.tasks.credentials import Credentials, PatientJobs, PatientStore
from scaler_batch.tasks.errors import InputError, SettingsError, TaskFailedError, TasksError
from scaler_batch.tasks.leases import LeaseHolder, Leases, RunStores, check_worker_name, new_run_id
from scaler_batch.tasks.manager import AWSHPCTaskManager
from scaler_batch.tasks.models import Result, Snapshot, Stage, TaskRequest, Verdict
from scaler_batch.tasks.ports import InputLoader, JobService, ReplySink
from scaler_batch.tasks.retrying import Backoff
from scaler_batch.tasks.scheduling import LARGEST_BUNDLE
from scaler_batch.tasks.settings import Polling, TaskManagerSettings

__version__ = "0.1.0"

__all__ = [
    "LARGEST_BUNDLE",
    "AWSHPCTaskManager",
    "Backoff",
    "Classification",
    "Credentials",
    "InputError",
    "InputLoader",
    "JobReport",
    "JobService",
    "JobShape",
    "JobSpec",
    "JobStatus",
    "LeaseHolder",
    "Leases",
    "Outcome",
    "PatientJobs",
    "PatientStore",
    "Polling",
    "ReplySink",
    "Result",
    "RunLocation",
    "RunStores",
    "ServiceError",
    "SettingsError",
    "Snapshot",
    "Stage",
    "Store",
    "StoreError",
    "TaskFailedError",
    "TaskManagerSettings",
    "TaskRequest",
    "TasksError",
    "Verdict",
    "check_worker_name",
    "new_run_id",
]
