"""What an attempt is started with: its environment, its log stream, and whether ECS would take it at all."""

from __future__ import annotations

import json
from typing import Final

from .effects import LogStream, StartProcess
from .job import Attempt, Job
from .vocabulary import Limits

OVERRIDE_CHARACTERS: Final = 8192
"""ECS takes this many characters of container overrides, JSON syntax included, after ``Ref::`` has been substituted."""

LOG_GROUP: Final = "/aws/batch/job"


def batch_variables(job: Job, number: int, environment: str) -> dict[str, str]:
    """The variables that Batch sets in every job, for the attempt of this number in the environment of this name."""
    variables = {
        "AWS_BATCH_JOB_ID": job.id,
        "AWS_BATCH_JOB_ATTEMPT": str(number),
        "AWS_BATCH_JQ_NAME": job.spec.queue.rpartition("/")[2],
        "AWS_BATCH_CE_NAME": environment,
    }
    if job.index is not None:
        variables["AWS_BATCH_JOB_ARRAY_INDEX"] = str(job.index)
        variables["AWS_BATCH_JOB_ARRAY_SIZE"] = str(job.spec.array_size)
    return variables


def variables(job: Job, attempt: Attempt) -> dict[str, str]:
    """The job's own variables, and Batch's, which win."""
    return {**job.spec.environment, **batch_variables(job, attempt.number, attempt.environment.name)}


def secrets(job: Job) -> dict[str, str]:
    """The variables whose values are kept elsewhere, and where."""
    return {str(each.get("name")): str(each.get("valueFrom")) for each in job.spec.container.get("secrets") or ()}


def limits(job: Job, *, memory: bool) -> Limits:
    """What the job's processes must not exceed; ``memory`` says whether that is limited at all."""
    asked = job.spec.container.get("ulimits") or ()
    ulimits = tuple((str(each["name"]), int(each["softLimit"]), int(each["hardLimit"])) for each in asked)
    return Limits(job.spec.resources.memory_mib if memory and job.spec.resources.stated else None, ulimits)


def override_length(job: Job, attempt: Attempt) -> int:
    """How long the overrides are that ECS would be sent for this attempt, in characters."""
    overrides = {
        "name": "default",
        "command": list(job.spec.command),
        "environment": [{"name": name, "value": value} for name, value in variables(job, attempt).items()],
    }
    return len(json.dumps({"containerOverrides": [overrides]}, separators=(",", ":"), ensure_ascii=False))


def start_process(job: Job, attempt: Attempt, *, limit_memory: bool) -> StartProcess:
    """What has to be done for an attempt to run."""
    return StartProcess(
        attempt.id,
        job.spec.command,
        variables(job, attempt),
        attempt.log,
        secrets(job),
        job.spec.container.get("executionRoleArn"),
        limits(job, memory=limit_memory),
    )


def log_stream(job: Job, attempt_id: str) -> LogStream:
    """Where the output of an attempt goes: Batch's own group unless the definition's log options name another."""
    options = (job.spec.container.get("logConfiguration") or {}).get("options") or {}
    prefix = options.get("awslogs-stream-prefix") or job.spec.definition.name
    return LogStream(job.spec.scope, options.get("awslogs-group") or LOG_GROUP, f"{prefix}/default/{attempt_id}")
