"""From a SubmitJob request and a job definition to what the job is: merged, substituted, checked.

Whatever can be known to be wrong is said here, as AWS says it: at once. What AWS finds out only when it starts the
container (:data:`~.launching.OVERRIDE_CHARACTERS`) is not looked at here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import ApiError
from . import limits
from .dependencies import KINDS, SEQUENTIAL
from .vocabulary import Definition, Dependency, ExitAction, ExitRule, JobSpec, Queue, Resources, RetryStrategy, Scope

Json = Mapping[str, Any]

_REFERENCE = re.compile(r"Ref::([A-Za-z0-9_-]+)")


def specify(request: Json, definition: Definition, queue: Queue, scope: Scope, minimum_timeout: int) -> JobSpec:
    """Settle what a submitted job is.

    Args:
        request: The body of SubmitJob.
        definition: The revision that it names.
        queue: The queue that it names.
        scope: Where all this happens.
        minimum_timeout: The shortest timeout to accept, in seconds; 60 on AWS.

    Raises:
        ApiError: The request is one that AWS refuses.
    """
    container = merge_container(definition.container, request.get("containerOverrides") or {})
    parameters = {**definition.parameters, **(request.get("parameters") or {})}
    command = substitute(container["command"], parameters)
    timeout = limits.check_timeout(request.get("timeout"), minimum_timeout)
    array_size = limits.check_array_size(request.get("arrayProperties"))
    share, priority = _share(request, definition, queue)
    return JobSpec(
        scope=scope,
        name=limits.check_job_name(request.get("jobName")),
        queue=queue.arn,
        definition=definition,
        command=command,
        environment=_variables(container["environment"]),
        resources=resources_of(container),
        retry=retry_strategy(request.get("retryStrategy") or definition.retry),
        timeout=definition.timeout if timeout is None else timeout,
        container={**container, "command": list(command)},
        parameters=parameters,
        tags={**definition.tags, **limits.check_tags(request.get("tags"))},
        propagate_tags=request.get("propagateTags", definition.propagate_tags),
        share_identifier=share,
        share_weight=queue.weight(share or ""),
        scheduling_priority=priority,
        array_size=array_size,
        depends_on=_dependencies(request.get("dependsOn") or [], of_array=array_size is not None),
    )


def merge_container(properties: Json, overrides: Json) -> dict[str, Any]:
    """A definition's container properties with a submission's overrides laid over them."""
    merged = {"command": [], "environment": [], **properties}
    if overrides.get("command"):
        merged["command"] = list(overrides["command"])
    merged["environment"] = _merge_named(merged["environment"], overrides.get("environment") or (), "name")
    requirements = [*_deprecated_resources(overrides), *(overrides.get("resourceRequirements") or ())]
    merged["resourceRequirements"] = _merge_named(properties.get("resourceRequirements") or (), requirements, "type")
    return merged


def resources_of(container: Json) -> Resources:
    """What a container asks for, from the current field or the two older ones."""
    required: dict[str, Any] = {each["type"]: each["value"] for each in container.get("resourceRequirements") or ()}
    vcpus: Any = required.get("VCPU", container.get("vcpus") or 1)
    memory: Any = required.get("MEMORY", container.get("memory"))
    try:
        stated, gpus = memory is not None, int(required.get("GPU", 0))
        resources = Resources(float(vcpus), int(memory or limits.LEAST_MEMORY), stated=stated, gpus=gpus)
    except (TypeError, ValueError) as error:
        raise limits.refuse("resourceRequirements must be numbers.") from error
    if not 0 < resources.vcpus < float("inf") or resources.memory_mib < limits.LEAST_MEMORY:
        raise limits.refuse(f"At least a part of a vCPU and {limits.LEAST_MEMORY} MiB of memory are required.")
    return resources


def retry_strategy(strategy: Json) -> RetryStrategy:
    """A retry strategy as the engine reads it."""
    attempts = strategy.get("attempts")
    entries = strategy.get("evaluateOnExit") or []
    if attempts is None and entries:
        raise limits.refuse("attempts is required with evaluateOnExit.")
    attempts = 1 if attempts is None else attempts
    if attempts not in limits.ATTEMPTS:
        raise limits.refuse("Retry attempts must be between 1 and 10.")
    if len(entries) > limits.EXIT_RULES:
        raise limits.refuse(f"At most {limits.EXIT_RULES} evaluateOnExit entries are allowed.")
    return RetryStrategy(attempts, tuple(map(_exit_rule, entries)))


def _exit_rule(entry: Json) -> ExitRule:
    action = str(entry.get("action", "")).upper()
    if action not in ExitAction.__members__:
        raise limits.refuse("evaluateOnExit action must be RETRY or EXIT.")
    return ExitRule(ExitAction(action), entry.get("onExitCode"), entry.get("onReason"), entry.get("onStatusReason"))


def _dependencies(entries: Iterable[Json], *, of_array: bool) -> tuple[Dependency, ...]:
    depends_on = tuple(_dependency(entry, of_array=of_array) for entry in entries)
    if len(depends_on) > limits.DEPENDENCIES:
        raise limits.refuse(f"A job can depend on at most {limits.DEPENDENCIES} jobs.")
    return depends_on


def _dependency(entry: Json, *, of_array: bool) -> Dependency:
    job_id, kind = entry.get("jobId"), entry.get("type")
    if kind is not None and kind not in KINDS:
        raise limits.refuse(f"A dependency's type is one of {', '.join(KINDS)}.")
    if kind is not None and not of_array:
        raise limits.refuse(f"A dependency of type {kind} is for array jobs.")
    if job_id is None and kind != SEQUENTIAL:
        raise limits.refuse("A dependency names a job, unless it is SEQUENTIAL.")
    return Dependency(job_id, kind)


def _share(request: Json, definition: Definition, queue: Queue) -> tuple[str | None, int | None]:
    """Share identifier and scheduling priority, which a queue with a fair-share policy wants and no other takes."""
    share, priority = request.get("shareIdentifier"), request.get("schedulingPriorityOverride")
    priority = definition.scheduling_priority if priority is None else priority
    if queue.shares is None:
        if share is not None or priority is not None:
            raise ApiError(limits.NO_FAIR_SHARE)
        return None, None
    if not share:
        raise ApiError(limits.NO_SHARE)
    if priority is None:
        raise ApiError(limits.NO_PRIORITY)
    return limits.check_share(share), limits.check_priority(priority)


def _variables(entries: Iterable[Json]) -> dict[str, str]:
    variables = {str(entry.get("name", "")): str(entry.get("value", "")) for entry in entries}
    if any(name.startswith("AWS_BATCH") for name in variables):
        raise ApiError("Environment variables must not begin with AWS_BATCH, which is reserved")
    return variables


def _merge_named(base: Iterable[Json], over: Iterable[Json], key: str) -> list[dict[str, Any]]:
    """Two lists of entries as one, the later winning where their keys agree."""
    return list({entry.get(key): dict(entry) for entry in (*base, *over)}.values())


def _deprecated_resources(overrides: Json) -> list[dict[str, str]]:
    """The older override fields; they lay over a definition that uses the older fields, and no other."""
    older = {"VCPU": overrides.get("vcpus"), "MEMORY": overrides.get("memory")}
    return [{"type": kind, "value": str(value)} for kind, value in older.items() if value]


def substitute(command: Iterable[str], parameters: Mapping[str, str]) -> tuple[str, ...]:
    """The command with its references replaced: ``Ref::name`` by the parameter of that name.

    A reference is a whole word, so ``Ref::a`` leaves ``Ref::ab`` alone, and only the first one of an element is
    replaced. One to a parameter that the job does not have stays as it is written.
    """

    def value_of(match: re.Match[str]) -> str:
        return parameters.get(match[1], match[0])

    return tuple(_REFERENCE.sub(value_of, element, count=1) for element in command)
