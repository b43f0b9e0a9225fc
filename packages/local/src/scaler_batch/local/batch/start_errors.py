"""The names that ECS gives to containers which it could not start or inspect, and how Batch shows such an attempt.

The names are those of the ECS agent. It appends what Docker or the registry said; the texts here are of that kind.
CannotInspectContainerError is reported after the command has run (github.com/aws/amazon-ecs-agent/issues/2312).
"""

from __future__ import annotations

from typing import Final

from .texts import CONTAINER_EXITED, REASON_CHARACTERS
from .vocabulary import Ending

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
"""Each name with a text that usually follows it."""


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
