"""Whether the job definition starts the runner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scaler_batch.payload.contract import RUNNER_COMMAND
from scaler_batch.provision.finding import Finding, ok, problem

if TYPE_CHECKING:
    from scaler_batch.provision.checks.scene import Found, Scene

SUBJECT: Final = "job definition"


def judge(found: Found, scene: Scene) -> Finding:
    """Say whether jobs of this definition are the runner's."""
    name = scene.names.job_definition
    if found.definition is None:
        fix = "run scaler-batch-provision provision, or look at SCALER_JOB_DEFINITION"
        return problem(SUBJECT, f"there is no active job definition {name} in {scene.names.region}", fix)
    revision = f"{found.definition['jobDefinitionName']}:{found.definition['revision']}"
    if found.definition["type"] != "container" or "containerProperties" not in found.definition:
        return problem(SUBJECT, f"{revision} is not of the type container", "give the worker one that is")
    if tuple(found.container.get("command", ())) != RUNNER_COMMAND:
        wanted = " ".join(RUNNER_COMMAND)
        return problem(SUBJECT, f"{revision} does not start the runner of this release", f"set its command: {wanted}")
    return ok(SUBJECT, f"{revision} starts the runner")
