"""Why a job waits, or what it died of: one job, all that AWS knows of it, in the order in which it matters.

::

    DescribeJobs ─► waits: its reason, its place in the queue, the queue and the machines behind it
                └─► ended: exit code and reasons with their meaning, earlier attempts, the end of its log
                └─► an array: its children in numbers, and the first one that failed

What is asked for beside the job itself (place, queue, log) is worth having and no more: where it cannot be had the
answer says so, and stands. Like the examination this never hangs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from scaler_batch.aws import DENIED, read_report, read_tail
from scaler_batch.provision.bounded import OverdueError, call_within
from scaler_batch.provision.doctor import admit, names_in_file
from scaler_batch.provision.errors import AwsError, NoJobError, ProvisionError, UnreachableError
from scaler_batch.provision.explanation import Around, Explanation, explain_started, explain_waiting
from scaler_batch.provision.machines import count_joined, seconds_since
from scaler_batch.provision.resources.clients import open_session, translated
from scaler_batch.provision.settings import DEFAULT_REGION, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scaler_batch.provision.doctor import Patient, Session
    from scaler_batch.provision.resources.clients import Clients

T = TypeVar("T")

LOG_LINES: Final = 20
_WAITING: Final = ("SUBMITTED", "PENDING", "RUNNABLE")


def explain(job_id: str, patient: Patient, open_: Session = open_session) -> Explanation:
    """Find a job, and say what it waits for or died of. Changes nothing.

    Raises:
        NoJobError: AWS does not know it, or not any more.
        CredentialsError: There are no credentials, or they do not serve.
        AwsError: AWS refused to tell, or did not answer in time.
        FileError: The env file cannot be read.
    """
    handed = names_in_file(patient)
    target = Target(region=handed.region if handed else patient.region or DEFAULT_REGION)
    try:
        clients, _, _ = call_within(patient.seconds, lambda: admit(patient, target.region, open_))
        with translated(f"look for job {job_id}"):
            job = call_within(patient.seconds, lambda: find(clients, job_id))
    except OverdueError as error:
        fix = "run scaler-batch-provision doctor: it says what hangs"
        raise UnreachableError(f"no answer within {patient.seconds:.0f} s", fix=fix) from error
    if job is None:
        raise NoJobError(job_id, target.region)
    return _explain(clients, job, patient.seconds)


def find(clients: Clients, job_id: str) -> Mapping[str, Any] | None:
    """Ask for one job."""
    return next(iter(clients.batch.describe_jobs(jobs=[job_id])["jobs"]), None)


def _explain(clients: Clients, job: Mapping[str, Any], seconds: float) -> Explanation:
    if "arrayProperties" in job and "size" in job["arrayProperties"]:
        return _explain_array(clients, job, seconds)
    if job["status"] in _WAITING:
        around, missing = _tried("queue", lambda: look_around(clients, job), seconds)
        return explain_waiting(job, around or Around(), missing)
    log, missing = _tried("log", lambda: tail(clients, job), seconds)
    return explain_started(job, log or (), missing)


def _explain_array(clients: Clients, job: Mapping[str, Any], seconds: float) -> Explanation:
    """Tell of an array by its first child that failed, or that waits."""
    counted = job["arrayProperties"].get("statusSummary", {})
    numbers = ", ".join(f"{number} {status}" for status, number in counted.items() if number) or job["status"]
    opening = f"an array of {job['arrayProperties']['size']} jobs: {numbers}"
    for status in ("FAILED", "RUNNABLE", "STARTING", "RUNNING"):
        child, _ = _tried("children", lambda status=status: _first_child(clients, job, status), seconds)  # type: ignore[misc]
        if child:
            found = _explain(clients, child, seconds)
            story = (opening, f"of these, {found.job}:", *found.story)
            return Explanation(job["jobId"], job["status"], story, found.fix, found.log, found.log_stream)
    return Explanation(job["jobId"], job["status"], (opening,), "", ())


def _first_child(clients: Clients, job: Mapping[str, Any], status: Any) -> Mapping[str, Any] | None:
    listed = clients.batch.list_jobs(arrayJobId=job["jobId"], jobStatus=status)["jobSummaryList"]
    return find(clients, listed[0]["jobId"]) if listed else None


def look_around(clients: Clients, job: Mapping[str, Any]) -> Around:
    """Look at the queue that a job waits in, and at the machines behind it."""
    batch, queue = clients.batch, job["jobQueue"]
    queues = batch.describe_job_queues(jobQueues=[queue])["jobQueues"]
    arns = [one["computeEnvironment"] for found in queues for one in found["computeEnvironmentOrder"]]
    environments: list[Any] = (
        list(batch.describe_compute_environments(computeEnvironments=arns)["computeEnvironments"]) if arns else []
    )
    place, no_place = _unless_refused("the front of the queue", lambda: _place(clients, queue, job["jobArn"]))
    joined, no_clusters = _unless_refused(
        "the clusters of the compute environments", lambda: count_joined(clients.ecs, environments)
    )
    return Around(
        queue=queues[0] if queues else None,
        environments=tuple(environments),
        place=place,
        joined=joined or {},
        waited=seconds_since(job.get("createdAt")),
        unseen=tuple(filter(None, (no_place, no_clusters))),
    )


def _place(clients: Clients, queue: str, arn: str) -> int | None:
    front = clients.batch.get_job_queue_snapshot(jobQueue=queue)["frontOfQueue"].get("jobs", [])
    return next((at for at, one in enumerate(front) if one.get("jobArn") == arn), None)


def _unless_refused(what: str, look: Callable[[], T]) -> tuple[T | None, str]:
    """Look at what is worth having and no more: where a permission is missing, return a sentence that names it.

    Other failures are passed over: some partitions do not know every call.
    """
    try:
        with translated(f"look at {what}"):
            return look(), ""
    except AwsError as error:
        return None, str(error) if error.code in DENIED else ""


def tail(clients: Clients, job: Mapping[str, Any]) -> tuple[str, ...]:
    """Read the last lines of the job's last attempt."""
    report = read_report(job)
    if not report.log_stream:
        return ()
    return read_tail(clients.logs.get_log_events, report.log_group, report.log_stream, LOG_LINES)


def _tried(what: str, look: Callable[[], T], seconds: float) -> tuple[T | None, str]:
    """Look; or return a sentence that says why that could not be."""

    def guarded() -> T:
        with translated(f"look at its {what}"):
            return look()

    try:
        return call_within(seconds, guarded), ""
    except OverdueError:
        return None, f"could not look at its {what}: no answer within {seconds:.0f} s"
    except ProvisionError as error:
        return None, str(error)
