"""Status reasons and reasons in AWS's own words, because programs match on them."""

from __future__ import annotations

from typing import Final

from .vocabulary import Ending

REASON_CHARACTERS: Final = 255
"""Batch cuts a container's reason here."""

CONTAINER_EXITED: Final = "Essential container in task exited"
TIMED_OUT: Final = "Job attempt duration exceeded timeout"
CHILD_FAILED: Final = "Array Child Job failed"
DEPENDENCY_FAILED: Final = "Dependent Job failed"
OVERRIDES_TOO_LONG: Final = "Container Overrides length must be at most 8192"
TOO_MANY_VCPUS: Final = (
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - All compute environments have a maxvCpus setting that is "
    "smaller than the job requirements."
)
TOO_MUCH_MEMORY: Final = (
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - All compute environments have no connected instances that meet the "
    "job requirements."
)

NO_CAPACITY: Final = (
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - Service cannot fulfill the capacity requested for instance type "
    "[m5.large]"
)

STUCK: Final = {
    text.partition(" - ")[0]: text
    for text in (
        TOO_MANY_VCPUS,
        TOO_MUCH_MEMORY,
        "MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS - Batch service role has a permission issue.",
        "MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED - The instance configuration is not supported.",
        NO_CAPACITY,
        "ACTION_REQUIRED - CE(s) associated with the job queue are invalid.",
        "UNDETERMINED - Batch job is blocked, root cause is undetermined.",
    )
}
"""What RUNNABLE jobs show that block their queue, by code (Batch User Guide, "Jobs stuck in a RUNNABLE status")."""

NOT_STARTED: Final = "Task failed to start"

START_ERRORS: Final = {
    "CannotPullContainerError": "Error response from daemon: Get https://registry.example/v2/: request timed out",
    "CannotPullImageManifestError": "Error response from daemon: manifest for image:latest not found",
    "CannotPullECRContainerError": "AccessDeniedException: the role may not call ecr:GetAuthorizationToken",
    "CannotPullContainerAuthError": "the credentials of the private registry were refused",
    "DockerTimeoutError": "Could not transition to created; timed out after waiting 4m0s",
    "ContainerRuntimeTimeoutError": "Could not transition to running; timed out after waiting 1m",
    "CannotCreateContainerError": "Error response from daemon: no space left on device",
    "CannotStartContainerError": "Error response from daemon: failed to create task for container",
    "CannotInspectContainerError": "Could not transition to inspecting; timed out after waiting 30s",
    "ResourceInitializationError": "unable to pull secrets or registry auth: execution resource retrieval failed",
}
"""The names that the ECS agent gives to containers which could not be started or inspected, each with a text that
usually follows it: what Docker or the registry said. CannotInspectContainerError comes after the command has run
(github.com/aws/amazon-ecs-agent/issues/2312)."""


def exited(code: int) -> Ending:
    """The command ended by itself, or by a signal."""
    return Ending(code, None, CONTAINER_EXITED)


def not_started(why: str) -> Ending:
    """The command could not be run at all."""
    daemon = f"Error response from daemon: unable to start container process: {why}"
    return Ending(None, f"CannotStartContainerError: {daemon}"[:REASON_CHARACTERS], NOT_STARTED)


def without_secret(why: str) -> Ending:
    """A secret that belongs into the environment could not be had."""
    reason = f"ResourceInitializationError: unable to pull secrets or registry auth: {why}"
    return Ending(None, reason[:REASON_CHARACTERS], NOT_STARTED)


def host_gone(instance: str) -> Ending:
    """The machine under the job went away, as when a Spot instance is reclaimed."""
    return Ending(None, None, f"Host EC2 (instance {instance}) terminated.")


def start_error(name: str, message: str | None = None, *, ran: bool = False, fargate: bool = False) -> Ending:
    """How an attempt with such an error is shown.

    Args:
        name: One of :data:`START_ERRORS`.
        message: The text after the name; None for the usual one.
        ran: Whether the command had ended before.
        fargate: Whether the error stands in the status reason.
    """
    reason = f"{name}: {START_ERRORS[name] if message is None else message}"[:REASON_CHARACTERS]
    if fargate:
        return Ending(None, None, reason)
    return Ending(None, reason, CONTAINER_EXITED if ran else NOT_STARTED)
