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


def exited(code: int) -> Ending:
    """The command ended by itself, or by a signal."""
    return Ending(code, None, CONTAINER_EXITED)


def not_started(why: str) -> Ending:
    """The command could not be run at all."""
    daemon = f"Error response from daemon: unable to start container process: {why}"
    return Ending(None, f"CannotStartContainerError: {daemon}"[:REASON_CHARACTERS], "Task failed to start")


def without_secret(why: str) -> Ending:
    """A secret that belongs into the environment could not be had."""
    reason = f"ResourceInitializationError: unable to pull secrets or registry auth: {why}"
    return Ending(None, reason[:REASON_CHARACTERS], "Task failed to start")


def host_gone(instance: str) -> Ending:
    """The machine under the job went away, as when a Spot instance is reclaimed."""
    return Ending(None, None, f"Host EC2 (instance {instance}) terminated.")
