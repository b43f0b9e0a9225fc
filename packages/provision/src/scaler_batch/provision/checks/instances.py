"""Whether instances that AWS Batch asks for join the clusters of their compute environments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scaler_batch.provision.finding import Finding, ok, problem, skipped, warning
from scaler_batch.provision.machines import Machines, count_joined, describe_wait, machines_of, seconds_since

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scaler_batch.provision.checks.scene import Found, Scene

SUBJECT: Final = "instances"


def check(found: Found, scene: Scene) -> list[Finding]:
    """Compare what is wanted with what has joined."""
    if not found.compute or found.queue is None:
        return [skipped(SUBJECT, "there is no queue with a compute environment")]
    machines = machines_of(found.environments, count_joined(scene.clients.ecs, found.environments))
    return [judge(machines, _longest_wait(scene, found.queue["jobQueueName"]))]


def judge(machines: Sequence[Machines], waited: float) -> Finding:
    """Say whether they join.

    Args:
        machines: Those of each compute environment.
        waited: Seconds for which the job has been RUNNABLE that has waited longest; 0 where none waits.
    """
    if any(one.missing for one in machines):
        wait = describe_wait(machines, waited)
        return (problem if wait.hopeless else warning)(SUBJECT, wait.message, wait.fix)
    joined = sum(one.joined or 0 for one in machines)
    return ok(SUBJECT, f"{joined} have joined" if joined else "none is wanted at present")


def _longest_wait(scene: Scene, queue: str) -> float:
    jobs = scene.clients.batch.list_jobs(jobQueue=queue, jobStatus="RUNNABLE")["jobSummaryList"]
    return max((seconds_since(job.get("createdAt")) for job in jobs), default=0.0)
