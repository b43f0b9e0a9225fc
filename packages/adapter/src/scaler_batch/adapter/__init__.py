"""The worker that joins a Scaler scheduler and runs its tasks as AWS Batch jobs.

Run it as ``scaler-batch-worker``, or from Python::

    asyncio.run(serve(WorkerSettings("tcp://127.0.0.1:2345", "my-bucket", TaskManagerSettings("queue", "definition"))))
"""

__version__ = "0.1.0"

from scaler_batch.adapter.errors import AdapterError
from scaler_batch.adapter.heartbeat import HeartbeatManager
from scaler_batch.adapter.process import serve
from scaler_batch.adapter.settings import WorkerSettings
from scaler_batch.adapter.worker import AWSBatchWorker

__all__ = ["AWSBatchWorker", "AdapterError", "HeartbeatManager", "WorkerSettings", "serve"]
