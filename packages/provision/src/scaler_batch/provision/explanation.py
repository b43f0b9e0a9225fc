"""What AWS knows of a job, told in sentences. Pure: one job, and what is around it, in; an explanation out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from scaler_batch.aws import FailureKind, JobFailure, JobReport, JobStatus, blocking_failure, failure_of, read_report
from scaler_batch.provision.machines import describe_wait, machines_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Meaning:
    """What something means.

    Attributes:
        fix: What to do about it; empty where nothing is to be done.
    """

    message: str
    fix: str = ""

    @classmethod
    def of(cls, failure: JobFailure) -> Meaning:
        """What a failure of the table means."""
        return cls(failure.headline, failure.advice)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known of a job.

    Attributes:
        job: Its id.
        status: As AWS calls it.
        story: What happened, a sentence each.
        fix: What to do about it; empty where nothing is to be done.
        log: The last lines of its output.
        log_stream: Where the rest of them is; empty where there is no log.
    """

    job: str
    status: str
    story: tuple[str, ...]
    fix: str
    log: tuple[str, ...]
    log_stream: str = ""


@dataclass(frozen=True, slots=True)
class Around:
    """What is known of the queue that a job waits in.

    Attributes:
        queue: The queue, as AWS describes it; ``None`` where it is gone.
        environments: The compute environments behind it.
        place: How many RUNNABLE jobs are before it; ``None`` where it is not among the first hundred.
        joined: How many instances have joined the cluster of this ARN, where that is known.
        waited: Seconds for which the job has waited.
        unseen: What could not be looked at for want of a permission, a sentence each.
    """

    queue: Mapping[str, Any] | None = None
    environments: tuple[Mapping[str, Any], ...] = ()
    place: int | None = None
    joined: Mapping[str, int] = field(default_factory=dict)
    waited: float = 0.0
    unseen: tuple[str, ...] = ()


def explain_waiting(job: Mapping[str, Any], around: Around, missing: str = "") -> Explanation:
    """Say what a job waits for."""
    story = [f"it waits, {job['status']}, since {_time(job.get('createdAt'))}"]
    reason = job.get("statusReason", "")
    failure = blocking_failure(reason)
    meaning = Meaning.of(failure) if failure else _obstacle(around) or _patience(job, around)
    if reason:
        story.append(f"AWS says: {reason}")
    story.append(meaning.message)
    if around.place is not None:
        story.append(f"jobs before it in the queue: {around.place}" if around.place else "it is the first in the queue")
    story += [*around.unseen, *([missing] if missing else [])]
    return Explanation(job["jobId"], job["status"], tuple(story), meaning.fix, ())


def explain_started(job: Mapping[str, Any], log: Sequence[str], missing: str = "") -> Explanation:
    """Say how a job fares, or what it came to."""
    report = read_report(job)
    reasons = [text for text in (report.status_reason, report.reason) if text]
    meaning = _meaning(report)
    story = [_opening(job, report.exit_code), *(f"AWS says: {reason}" for reason in dict.fromkeys(reasons))]
    story += [meaning.message] if meaning.message else []
    story += _earlier(job)
    story += [missing] if missing else []
    stream = f"{report.log_group}/{report.log_stream}" if report.log_stream else ""
    return Explanation(job["jobId"], job["status"], tuple(story), meaning.fix, tuple(log), stream)


def _obstacle(around: Around) -> Meaning | None:
    """What keeps all jobs of a queue from starting."""
    again = "run scaler-batch-provision provision: it enables it again"
    for what, name, found in _parts(around):
        if found.get("state") == "DISABLED":
            return Meaning(f"{what} {found[name]} is disabled", again)
        if found.get("status") == "INVALID":
            return Meaning(f"{what} {found[name]} is invalid: {found.get('statusReason', '')}", again)
    return None


def _parts(around: Around) -> list[tuple[str, str, Mapping[str, Any]]]:
    queues = [("the job queue", "jobQueueName", around.queue)] if around.queue else []
    return [*queues, *(("compute environment", "computeEnvironmentName", one) for one in around.environments)]


def _patience(job: Mapping[str, Any], around: Around) -> Meaning:
    if job.get("dependsOn") and job["status"] == "PENDING":
        others = ", ".join(one["jobId"] for one in job["dependsOn"])
        return Meaning(f"it waits for other jobs: {others}", "ask why of those")
    wait = describe_wait(machines_of(around.environments, around.joined), around.waited)
    return Meaning(wait.message, wait.fix)


def _opening(job: Mapping[str, Any], code: int | None) -> str:
    if job["status"] in ("STARTING", "RUNNING"):
        return f"it is {job['status']}, since {_time(job.get('startedAt') or job.get('createdAt'))}"
    exit_code = "" if code is None else f", with exit code {code}"
    return f"it {job['status']} at {_time(job.get('stoppedAt'))}{exit_code}"


def _meaning(report: JobReport) -> Meaning:
    match report.status:
        case JobStatus.SUCCEEDED:
            return Meaning("its tasks are answered; what they raised, the client was told")
        case JobStatus.STARTING:
            return Meaning("a machine is found, and pulls the image", "give it some minutes; large images take long")
        case JobStatus.RUNNING:
            return Meaning("")
    failure = failure_of(report)
    if failure.kind is FailureKind.OTHER:
        return Meaning("nothing more is known", "look at its log, and at the AWS Batch console")
    return Meaning.of(failure)


def _earlier(job: Mapping[str, Any]) -> list[str]:
    """What earlier attempts came to."""
    attempts = job.get("attempts", [])[:-1]
    return [
        f"attempt {number}: {one.get('container', {}).get('reason') or one.get('statusReason') or 'no reason'}"
        for number, one in enumerate(attempts, start=1)
    ]


def _time(milliseconds: int | None) -> str:
    if not milliseconds:
        return "an unknown time"
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
