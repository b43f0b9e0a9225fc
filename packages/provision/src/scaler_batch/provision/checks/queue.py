"""Whether the queue and the compute environments behind it are in order, and what waits in the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from scaler_batch.aws import blocking_failure
from scaler_batch.provision.finding import Finding, ok, problem, skipped, warning

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scaler_batch.provision.checks.scene import Found, Scene

SUBJECT: Final = "job queue"
ENVIRONMENT: Final = "compute environment"
SHARE: Final = "fair share"
WAITING: Final = "waiting jobs"
FAILED: Final = "failed jobs"
_WAITING_STATES: Final = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING")


def judge_queue(found: Found, scene: Scene) -> Finding:
    """Say whether the queue takes jobs."""
    name = scene.names.job_queue
    if found.queue is None:
        return problem(
            SUBJECT,
            f"No scaler job queue found: none is called {name} in {scene.names.region} of account "
            f"{scene.account.number}",
            "run scaler-batch-provision provision, or look at --region, --prefix and SCALER_JOB_QUEUE",
        )
    state = _state(found.queue)
    if state != "ENABLED, VALID":
        return problem(SUBJECT, f"{name} is {state}", "run scaler-batch-provision provision: it enables it again")
    return ok(SUBJECT, f"{name} takes jobs")


def judge_share(queue: Mapping[str, Any], share: str | None) -> Finding:
    """Say whether the worker names a share where the queue is shared out, and none where it is not."""
    name, fair = queue["jobQueueName"], bool(queue.get("schedulingPolicyArn"))
    if fair and not share:
        message = f"{name} has a scheduling policy: AWS Batch refuses jobs that name no share"
        return warning(SHARE, message, "start workers with --share-identifier (and doctor, to have it compared)")
    if share and not fair:
        message = f"{name} has no scheduling policy: AWS Batch refuses jobs that name a share, such as {share}"
        return problem(SHARE, message, "start workers without --share-identifier, or use a fair-share queue")
    return ok(SHARE, f"{name} is shared out, and {share} is a share of it" if fair else f"{name} asks for no share")


def judge_environments(found: Found) -> list[Finding]:
    """Say of each compute environment whether it can run jobs."""
    if found.queue is not None and not found.environments:
        fix = "run scaler-batch-provision provision"
        return [problem(ENVIRONMENT, "the queue leads to none", fix)]
    return [_judge_environment(one, found.required("VCPU")) for one in found.environments]


def _judge_environment(environment: Mapping[str, Any], vcpus: float) -> Finding:
    name, state = environment["computeEnvironmentName"], _state(environment)
    most = environment.get("computeResources", {}).get("maxvCpus", 0)
    if state != "ENABLED, VALID":
        fix = "mend what AWS names, or run scaler-batch-provision provision: it enables it again"
        return problem(ENVIRONMENT, f"{name} is {state}", fix)
    if most < vcpus:
        fix = "raise --max-vcpus, or lower --vcpus, and run provision"
        return problem(ENVIRONMENT, f"{name} grows to {most} vCPUs, and a job takes {vcpus:g}", fix)
    return ok(ENVIRONMENT, f"{name} is valid, and grows to {most} vCPUs")


def _state(found: Mapping[str, Any]) -> str:
    text = f"{found.get('state', 'ENABLED')}, {found.get('status', 'VALID')}"
    reason = found.get("statusReason", "")
    healthy = text == "ENABLED, VALID"
    return text if healthy or not reason else f"{text}: {reason}"


def check_jobs(found: Found, scene: Scene) -> list[Finding]:
    """Look at the jobs that wait, and at those that failed last."""
    if found.queue is None:
        return [skipped(WAITING, "there is no queue to wait in")]
    queue = found.queue["jobQueueName"]
    waiting = [job for status in _WAITING_STATES for job in _jobs(scene, queue, status)]
    return [judge_waiting(waiting), judge_failed(_jobs(scene, queue, "FAILED"))]


def _jobs(scene: Scene, queue: str, status: Any) -> list[Mapping[str, Any]]:
    """One page: the first thousand tell enough."""
    return list(scene.clients.batch.list_jobs(jobQueue=queue, jobStatus=status)["jobSummaryList"])


def judge_waiting(jobs: Sequence[Mapping[str, Any]]) -> Finding:
    """Say why jobs wait, where AWS says why."""
    if not jobs:
        return ok(WAITING, "none")
    stuck = [(job, why) for job in jobs if (why := blocking_failure(job.get("statusReason", "")))]
    counted = f"{len(jobs)} jobs wait" if len(jobs) > 1 else "1 job waits"
    if stuck:
        job, why = stuck[0]
        return problem(WAITING, f"{counted}; {job['jobId']}: {why.headline}", why.advice)
    return warning(
        WAITING,
        f"{counted}, and AWS names no reason: a machine may be on its way",
        f"give it a few minutes, then: scaler-batch-provision why {jobs[0]['jobId']}; if few run although there is "
        "room, raise the worker's --max-concurrent-jobs",
    )


def judge_failed(jobs: Sequence[Mapping[str, Any]]) -> Finding:
    """Name the last one."""
    if not jobs:
        return ok(FAILED, "none that AWS remembers")
    last = max(jobs, key=lambda job: job.get("stoppedAt", 0))
    reason = last.get("statusReason") or "no reason was given"
    return warning(FAILED, f"the last one was {last['jobId']}: {reason}", f"scaler-batch-provision why {last['jobId']}")
