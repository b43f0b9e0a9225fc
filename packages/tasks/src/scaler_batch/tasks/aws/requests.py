"""What AWS Batch is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from scaler_batch.tasks.causes import CAUSES

if TYPE_CHECKING:
    from mypy_boto3_batch.type_defs import EvaluateOnExitTypeDef, RetryStrategyTypeDef

    from scaler_batch.tasks.vocabulary import JobShape, JobSpec

EXIT_RULES: Final = 5
"""Rules of one retry strategy at most. Source: AWS Batch API reference."""


def submit_request(job: JobSpec) -> dict[str, Any]:
    """Write a SubmitJob. What the shape leaves open is left to the job definition."""
    shape = job.shape
    request: dict[str, Any] = {
        "jobName": job.name,
        "jobQueue": shape.queue,
        "jobDefinition": shape.definition,
        "parameters": job.parameters,
        "timeout": {"attemptDurationSeconds": shape.timeout},
        "retryStrategy": retry_strategy(shape.attempts),
    }
    if job.size > 1:
        request["arrayProperties"] = {"size": job.size}
    if requirements := _requirements(shape):
        request["containerOverrides"] = {"resourceRequirements": requirements}
    if shape.share is not None:
        request["shareIdentifier"] = shape.share
    if shape.scheduling_priority is not None:
        request["schedulingPriorityOverride"] = shape.scheduling_priority
    return request


def retry_strategy(attempts: int) -> RetryStrategyTypeDef:
    """Write down which failures get another attempt.

    A failure that no rule fits is retried by AWS Batch, so the last one fits all.
    """
    rules = [_rule(sign.status_reason, sign.reason) for cause in CAUSES if cause.retried for sign in cause.signs]
    return {"attempts": attempts, "evaluateOnExit": [*rules, {"onReason": "*", "action": "EXIT"}]}


def _rule(status_reason: str | None, reason: str | None) -> EvaluateOnExitTypeDef:
    rule: EvaluateOnExitTypeDef = {"action": "RETRY"}
    if status_reason is not None:
        rule["onStatusReason"] = status_reason
    if reason is not None:
        rule["onReason"] = reason
    return rule


def _requirements(shape: JobShape) -> list[dict[str, str]]:
    wanted = {"VCPU": shape.vcpus, "MEMORY": shape.memory, "GPU": shape.gpus}
    return [{"type": kind, "value": _number(value)} for kind, value in wanted.items() if value is not None]


def _number(value: float) -> str:
    """AWS Batch takes ``2`` and ``0.25``, and not ``2.0``."""
    return str(value).removesuffix(".0")
