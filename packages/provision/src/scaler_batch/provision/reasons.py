"""What AWS Batch and ECS mean by what they say of a job, and what to do about it. Pure; one table for each source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scaler_batch.payload.contract import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Meaning:
    """What something means.

    Attributes:
        fix: What to do about it; empty where nothing is to be done.
    """

    message: str
    fix: str = ""


_BLOCKED: Final = (
    (
        "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
        Meaning(
            "AWS has no such instances at present",
            "allow more kinds with --instance-types (whole families such as c6i,m6i), or wait",
        ),
    ),
    (
        "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
        Meaning("the job takes more vCPUs than its compute environments may grow to", "raise --max-vcpus"),
    ),
    (
        "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
        Meaning(
            "no instance type of its compute environments is large enough for the job",
            "allow larger ones with --instance-types, or lower --vcpus and --memory",
        ),
    ),
    (
        "MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS",
        Meaning("AWS Batch's service role may not do what it has to", "give it back the policy that AWS keeps for it"),
    ),
    ("MISCONFIGURATION:", Meaning("the compute environment is not set up rightly", "scaler-batch-provision doctor")),
    ("CAPACITY:", Meaning("AWS cannot provide the capacity at present", "wait, or allow other --instance-types")),
)

_ENDED: Final = (
    (
        "Host EC2",
        Meaning(
            "its instance went away: AWS took a Spot instance back, or the instance failed",
            "nothing, if the worker tries again; without --spot it happens rarely",
        ),
    ),
    (
        "OutOfMemoryError",
        Meaning("its container ran out of memory", "run provision with more --memory, or give the task less to do"),
    ),
    (
        "CannotPullContainerError",
        Meaning(
            "its image could not be pulled",
            "see that the image is there, and that the execution role may pull it: scaler-batch-provision doctor",
        ),
    ),
    (
        "CannotInspectContainerError",
        Meaning("the instance was too busy to look at the container", "try again; larger instances help"),
    ),
    (
        "CannotStartContainerError",
        Meaning("the container could not be started", "see that the image holds the command of the job definition"),
    ),
    (
        "Container Overrides length must be at most",
        Meaning("its parameters were larger than ECS takes", "lower the worker's --inline-limit"),
    ),
    (
        "Job attempt duration exceeded timeout",
        Meaning("it took longer than it may", "raise the worker's --job-timeout"),
    ),
    ("Task failed to start", Meaning("ECS could not start it", "the reason of the attempt says why")),
)

_EXITED: Final[Mapping[int, Meaning]] = {
    ExitCode.PUBLISHED: Meaning("the runner answered every task of the job"),
    ExitCode.USAGE: Meaning(
        "the runner was started with a command that it does not know",
        "submit through the worker; see that image and job definition are of the same release",
    ),
    ExitCode.BAD_PACK: Meaning(
        "the runner cannot read what it was sent: it is damaged, or of another Python or release",
        "use an image of the clients' Python, and the same release on both sides: scaler-batch-provision doctor",
    ),
    ExitCode.NO_INPUT: Meaning(
        "what the job was to do is not in the bucket any more",
        "see that the bucket keeps objects longer than jobs wait; its rule removes them after a day",
    ),
    ExitCode.STORE_UNAVAILABLE: Meaning(
        "the runner could not read or write the bucket",
        "see that the bucket is there, and that the job role may use it: scaler-batch-provision doctor",
    ),
    ExitCode.INTERRUPTED: Meaning(
        "it was told to stop: a time limit, a termination, or its instance went away", "raise --job-timeout if need be"
    ),
    137: Meaning(
        "it was killed: most often out of memory, or it did not stop when told to",
        "run provision with more --memory, or give the task less to do",
    ),
    139: Meaning("it crashed in native code", "see the log; a library of the image may not suit the machine"),
    127: Meaning("the command is not in the image", "use an image that holds Python and scaler-batch-runner"),
    126: Meaning("the command cannot be run", "use an image for the processor type of the instances"),
    1: Meaning("the runner itself failed", "see the log"),
}


def blocked(status_reason: str) -> Meaning | None:
    """What keeps a RUNNABLE job from starting, where its status reason says so."""
    return next((meaning for code, meaning in _BLOCKED if status_reason.startswith(code)), None)


def ended(*reasons: str) -> Meaning | None:
    """What ended a job, where one of these words of AWS's says so."""
    return next((meaning for words, meaning in _ENDED if any(words in reason for reason in reasons)), None)


def exited(code: int | None) -> Meaning | None:
    """What an exit code of the container means."""
    return None if code is None else _EXITED.get(code)
