"""What AWS Batch is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scaler_batch.aws.failures import retry_rules

if TYPE_CHECKING:
    from scaler_batch.aws.models import JobShape, JobSpec


def submit_request(job: JobSpec) -> dict[str, Any]:
    """Write a SubmitJob. What the shape leaves open is left to the job definition."""
    shape = job.shape
    request: dict[str, Any] = {
        "jobName": job.name,
        "jobQueue": shape.queue,
        "jobDefinition": shape.definition,
        "parameters": job.parameters,
        "timeout": {"attemptDurationSeconds": shape.timeout},
        "retryStrategy": {"attempts": shape.attempts, "evaluateOnExit": retry_rules()},
    }
    if job.size > 1:
        request["arrayProperties"] = {"size": job.size}
    if overrides := _overrides(shape):
        request["containerOverrides"] = overrides
    if shape.share is not None:
        request["shareIdentifier"] = shape.share
    if shape.scheduling_priority is not None:
        request["schedulingPriorityOverride"] = shape.scheduling_priority
    if shape.tags:
        # The task is what costs: only tags that it bears show up in reports.
        request |= {"tags": dict(shape.tags), "propagateTags": True}
    return request


def _overrides(shape: JobShape) -> dict[str, Any]:
    overrides: dict[str, Any] = {}
    if requirements := _requirements(shape):
        overrides["resourceRequirements"] = requirements
    if shape.variables:
        overrides["environment"] = [{"name": name, "value": value} for name, value in shape.variables]
    return overrides


def _requirements(shape: JobShape) -> list[dict[str, str]]:
    wanted = {"VCPU": shape.vcpus, "MEMORY": shape.memory, "GPU": shape.gpus}
    return [{"type": kind, "value": _number(value)} for kind, value in wanted.items() if value is not None]


def _number(value: float) -> str:
    """AWS Batch takes ``2`` and ``0.25``, and not ``2.0``."""
    return str(value).removesuffix(".0")
