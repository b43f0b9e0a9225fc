"""What the worker is told, checked once."""

from __future__ import annotations

from dataclasses import dataclass, field

from scaler_batch.tasks import TaskManagerSettings
from scaler_batch.wire import LinkSettings


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Settings of one worker.

    Attributes:
        scheduler_address: ``tcp://host:port`` of the scheduler.
        s3_bucket: Bucket for task data and outcomes.
        tasks: How the task manager behaves; holds queue and definition.
        s3_prefix: Key prefix of everything the worker writes.
        aws_region: Region of bucket, queue and definition.
        name: Shown in the scheduler's monitor; part of the worker's id.
        queue_size: How many tasks the scheduler may keep here. Scaler's own workers say 1000, and its default policy
            spreads evenly only between workers that say the same.
        shutdown_deadline: Seconds for ending jobs when told to stop. Below the 30 s that container platforms wait
            between SIGTERM and SIGKILL.
        link: The scheduler link.
    """

    scheduler_address: str
    s3_bucket: str
    tasks: TaskManagerSettings
    s3_prefix: str = "scaler-tasks"
    aws_region: str = "us-east-1"
    name: str = "aws-batch"
    queue_size: int = 1000
    shutdown_deadline: float = 25.0
    link: LinkSettings = field(default_factory=LinkSettings)
