"""Jobs as DescribeJobs and ListJobs show them: only members that AWS's model has, times in milliseconds."""

from __future__ import annotations

from typing import Any, Final

from .job import Attempt, Job
from .vocabulary import ExitRule, RetryStrategy, State

CONTAINER_MEMBERS: Final = (
    "image", "vcpus", "memory", "command", "jobRoleArn", "executionRoleArn", "volumes", "environment", "mountPoints",
    "readonlyRootFilesystem", "ulimits", "privileged", "user", "instanceType", "resourceRequirements",
    "linuxParameters", "logConfiguration", "secrets", "networkConfiguration", "fargatePlatformConfiguration",
    "ephemeralStorage", "runtimePlatform", "repositoryCredentials",
)  # fmt: skip
"""Of a definition's container properties, those that a job shows."""

_INSTANCE: Final = "0" * 31 + "1"


def detail(job: Job) -> dict[str, Any]:
    """A job as DescribeJobs shows it."""
    spec = job.spec
    return _known(
        **_identity(job),
        jobQueue=spec.queue,
        parameters=dict(spec.parameters),
        container=_container(job),
        attempts=[_attempt(attempt) for attempt in job.attempts],
        retryStrategy=_retry(spec.retry),
        timeout=None if spec.timeout is None else {"attemptDurationSeconds": spec.timeout},
        dependsOn=[_known(jobId=each.job_id, type=each.kind) for each in spec.depends_on],
        tags=dict(spec.tags),
        schedulingPriority=spec.scheduling_priority,
        propagateTags=spec.propagate_tags,
        platformCapabilities=list(spec.definition.platform_capabilities) or None,
        isCancelled=job.cancelled,
        isTerminated=job.terminated,
    )


def summary(job: Job) -> dict[str, Any]:
    """A job as ListJobs shows it."""
    return _known(
        **_identity(job),
        container=_outcome(job) or None,
        isCancelled=job.cancelled or None,
        isTerminated=job.terminated or None,
    )


def _identity(job: Job) -> dict[str, Any]:
    """What both show."""
    return {
        "jobArn": job.spec.scope.arn(f"job/{job.id}"),
        "jobId": job.id,
        "jobName": job.spec.name,
        "status": job.state.value,
        "statusReason": job.status_reason,
        "createdAt": _milliseconds(job.created_at),
        "startedAt": _milliseconds(job.started_at),
        "stoppedAt": _milliseconds(job.stopped_at),
        "shareIdentifier": job.spec.share_identifier,
        "jobDefinition": job.spec.definition.arn,
        "arrayProperties": _array(job),
    }


def _container(job: Job) -> dict[str, Any]:
    shown = {member: job.spec.container[member] for member in CONTAINER_MEMBERS if member in job.spec.container}
    attempt = job.last_attempt
    if attempt is not None and attempt.launched:
        shown["taskArn"] = _task_arn(attempt)
        shown["containerInstanceArn"] = _instance_arn(attempt)
    if attempt is not None and attempt.started_at is not None:
        shown["logStreamName"] = attempt.log.name
    return {**shown, **_outcome(job)}


def _outcome(job: Job) -> dict[str, Any]:
    """Exit code and reason of a job that has ended."""
    if not job.terminal or not job.attempts:
        return {}
    ending = job.attempts[-1].ending
    return {} if ending is None else _known(exitCode=ending.exit_code, reason=ending.reason)


def _attempt(attempt: Attempt) -> dict[str, Any]:
    ending = attempt.ending
    return _known(
        container=_known(
            containerInstanceArn=_instance_arn(attempt),
            taskArn=_task_arn(attempt),
            exitCode=ending.exit_code if ending else None,
            reason=ending.reason if ending else None,
            logStreamName=attempt.log.name if attempt.started_at is not None else None,
            networkInterfaces=[],
        ),
        startedAt=_milliseconds(attempt.started_at),
        stoppedAt=_milliseconds(attempt.stopped_at),
        statusReason=ending.status_reason if ending else None,
    )


def _array(job: Job) -> dict[str, Any] | None:
    if job.index is not None:
        return {"index": job.index}
    if job.spec.array_size is None:
        return None
    children = job.children
    return _known(
        size=job.spec.array_size,
        statusSummary={state.value: children.summary[state] if children else 0 for state in State},
        statusSummaryLastUpdatedAt=_milliseconds(children.changed_at if children else job.created_at),
    )


def _retry(strategy: RetryStrategy) -> dict[str, Any]:
    return {"attempts": strategy.attempts, "evaluateOnExit": [_rule(rule) for rule in strategy.rules]}


def _rule(rule: ExitRule) -> dict[str, Any]:
    return _known(
        onStatusReason=rule.on_status_reason,
        onReason=rule.on_reason,
        onExitCode=rule.on_exit_code,
        action=rule.action.value,
    )


def _task_arn(attempt: Attempt) -> str:
    return attempt.log.scope.arn(f"task/{attempt.environment.name}/{attempt.id}", "ecs")


def _instance_arn(attempt: Attempt) -> str:
    instance = attempt.host.id.removeprefix("i-") if attempt.host else _INSTANCE
    return attempt.log.scope.arn(f"container-instance/{attempt.environment.name}/{instance}", "ecs")


def _milliseconds(moment: float | None) -> int | None:
    return None if moment is None else int(moment * 1000)


def _known(**members: Any) -> dict[str, Any]:
    """Without the members that have nothing to say."""
    return {name: value for name, value in members.items() if value is not None}
