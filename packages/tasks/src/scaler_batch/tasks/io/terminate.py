"""Jobs on their way out."""

from __future__ import annotations

import logging

from scaler_batch.aws import ServiceError
from scaler_batch.tasks.commands import DescribeEnded, ListNamedJobs, TerminateJobs
from scaler_batch.tasks.events import EndReported, JobsNamed, Terminated, TerminateFailed
from scaler_batch.tasks.ports import JobService

logger = logging.getLogger(__name__)


async def terminate_jobs(jobs: JobService, command: TerminateJobs) -> Terminated | TerminateFailed:
    """Ask for the end of jobs: one by itself, many by one call."""
    try:
        if len(command.job_ids) > 1:
            return Terminated(command.group, await jobs.terminate_many(command.job_ids, command.reason))
        await jobs.terminate(command.job_ids[0], command.reason)
    except ServiceError as error:
        return TerminateFailed(command.group, error)
    return Terminated(command.group, ())


async def describe_ended(jobs: JobService, command: DescribeEnded) -> EndReported:
    """Ask whether jobs have ended."""
    try:
        return EndReported(command.ask, await jobs.describe(command.job_ids))
    except ServiceError as error:
        logger.warning("could not see whether the jobs have ended, trying again: %s", error)
        return EndReported(command.ask, None)


async def list_named_jobs(jobs: JobService, command: ListNamedJobs) -> JobsNamed:
    """Look for the run's jobs; none in a queue of which AWS Batch does not say, and may at the next look."""
    found: list[str] = []
    for queue in command.queues:
        try:
            found += await jobs.named(command.prefix, queue)
        except ServiceError as error:
            logger.warning("jobs %s* in queue %s may run: AWS Batch does not say: %s", command.prefix, queue, error)
    return JobsNamed(command.ask, found)
