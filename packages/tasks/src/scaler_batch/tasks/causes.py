"""Why jobs die: by which signs a cause is known, which error it becomes, and what to do about it.

The patterns are those of AWS Batch's own retry rules, so that the causes worth another attempt are sent along with each
job as they stand here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from scaler_batch.payload.contract import ExitCode
from scaler_batch.tasks.errors import (
    ContainerStartError,
    EnvironmentMismatchError,
    ImagePullError,
    InterruptedJobError,
    JobFailedError,
    JobInputMissingError,
    JobOutOfMemoryError,
    JobStorageError,
    JobTimeoutError,
    OutcomeMissingError,
    OverridesTooLargeError,
    SpotReclaimedError,
    UnschedulableError,
)
from scaler_batch.tasks.vocabulary import JobReport, JobStatus

KILLED: Final = 128 + 9
"""Exit code of a container that SIGKILL ended."""


@dataclass(frozen=True, slots=True)
class Sign:
    """What gives a cause away. All that is stated has to fit; a trailing ``*`` stands for any rest.

    Attributes:
        status_reason: What Batch says about the state.
        reason: What ECS says about the container.
        exit_code: The container's.
        terminated: Whether somebody asked AWS Batch to end the job.
        status: The job's state.
    """

    status_reason: str | None = None
    reason: str | None = None
    exit_code: int | None = None
    terminated: bool | None = None
    status: JobStatus | None = None

    def fits(self, report: JobReport) -> bool:
        """Whether a job shows this sign."""
        return (
            _matches(self.status_reason, report.status_reason)
            and _matches(self.reason, report.reason)
            and self.exit_code in (None, report.exit_code)
            and self.terminated in (None, report.terminated)
            and self.status in (None, report.status)
        )


@dataclass(frozen=True, slots=True)
class Cause:
    """Why jobs die.

    Attributes:
        error: What it becomes.
        signs: What it is known by: any of them.
        happened: What the user is told of it.
        advice: What the user is told to do.
        retried: Whether another attempt may well succeed, so that AWS Batch is asked to make one.
    """

    error: type[JobFailedError]
    signs: tuple[Sign, ...]
    happened: str
    advice: str
    retried: bool = False

    @property
    def headline(self) -> str:
        """What the user reads first."""
        end = "" if self.advice.endswith("?") else "."
        return f"{self.happened}. {self.advice}{end}"


CAUSES: Final = (
    Cause(
        JobTimeoutError,
        (Sign(status_reason="Job attempt duration exceeded timeout*"),),
        "it took longer than the job timeout",
        "Raise the timeout, or split the task into shorter ones",
    ),
    Cause(
        SpotReclaimedError,
        (Sign(status_reason="Host EC2*"),),
        "AWS took the machine under it away, as it does with Spot instances, and no attempt was left",
        "Submit the task again, allow more attempts, or use a queue of On-Demand instances",
        retried=True,
    ),
    Cause(
        ImagePullError,
        (Sign(reason="CannotPullContainerError*"),),
        "the container image could not be fetched",
        "Does the image that the job definition names exist, may the execution role pull it, does the subnet reach the "
        "registry, and has the machine's disk room for it?",
        retried=True,
    ),
    Cause(
        OverridesTooLargeError,
        (Sign(status_reason="Container Overrides length must be at most*"),),
        "the task's data did not fit into the job's parameters",
        "Set a lower inline limit, so that data of this size travels through S3",
    ),
    Cause(
        UnschedulableError,
        (
            Sign(status_reason="MISCONFIGURATION:*"),
            Sign(status_reason="CAPACITY:*"),
            Sign(status_reason="Canceled by JobStateTimeLimit action*"),
        ),
        "AWS Batch has no machine to run it on",
        "Compare the vCPUs, memory and GPUs that the job asks for with the limit and the instance types of the queue's "
        "compute environments; for want of capacity, allow more instance types or zones",
    ),
    Cause(
        JobOutOfMemoryError,
        (Sign(reason="OutOfMemoryError*"),),
        "it used more memory than it may, and was killed",
        "Give its jobs more memory, or let the task use less",
    ),
    Cause(
        ContainerStartError,
        (
            Sign(reason="CannotStartContainerError*"),
            Sign(reason="CannotCreateContainerError*"),
            Sign(reason="DockerTimeoutError*"),
            Sign(reason="ResourceInitializationError*"),
            Sign(status_reason="ResourceInitializationError*"),
        ),
        "its container could not be started",
        "The reason says what was in the way: most often a command that is not in the image, a secret or a log group "
        "that the execution role may not use, or a machine that is short of disk",
    ),
    Cause(
        InterruptedJobError,
        (Sign(terminated=True),),
        "somebody ended it, by the AWS console, a command or another program",
        "The reason is what they gave; submit the task again if it was a mistake",
    ),
    Cause(
        EnvironmentMismatchError,
        (Sign(exit_code=ExitCode.USAGE),),
        "the runner in the image does not know the command line of the job definition",
        "Provision the job definition again, with an image of the same release as the worker",
    ),
    Cause(
        EnvironmentMismatchError,
        (Sign(exit_code=ExitCode.BAD_PACK),),
        "the runner in the image cannot read the task: its format is of another version, or it is damaged",
        "Install the same release in the worker and in the container image",
    ),
    Cause(
        JobInputMissingError,
        (Sign(exit_code=ExitCode.NO_INPUT),),
        "the task's data was not in S3 any more",
        "Does the bucket's lifecycle remove objects sooner than the queue's backlog is worked off?",
    ),
    Cause(
        JobStorageError,
        (Sign(exit_code=ExitCode.STORE_UNAVAILABLE),),
        "its container could not reach S3",
        "May the job role read and write the bucket under its prefix, and does the subnet have a way to S3?",
    ),
    Cause(
        InterruptedJobError,
        (Sign(exit_code=ExitCode.INTERRUPTED),),
        "it was told to stop before the task ended",
        "A machine that shuts down does this; submit the task again",
    ),
    Cause(
        InterruptedJobError,
        (Sign(exit_code=KILLED),),
        "its container was killed, and AWS does not say why",
        "When a whole machine runs out of memory it looks like this: give its jobs more memory; otherwise submit the "
        "task again",
    ),
    Cause(
        OutcomeMissingError,
        (Sign(exit_code=ExitCode.PUBLISHED), Sign(status=JobStatus.SUCCEEDED)),
        "it ended well and left no outcome in S3",
        "Is the job definition the one that was provisioned, and does its role write to this bucket?",
    ),
)
"""Why jobs die, and by what it is known. The first that fits counts: what AWS says in words comes before what the
container says with a number, because a job that is timed out, reclaimed or terminated still ends with some number."""

UNNAMED: Final = Cause(
    JobFailedError,
    (),
    "it ended without an outcome",
    "What AWS says and the end of the log, as far as there are any, stand below",
)
"""What is said of a job that fits nowhere else."""


def cause_of(report: JobReport) -> Cause:
    """Find out why a job died."""
    return next((cause for cause in CAUSES if any(sign.fits(report) for sign in cause.signs)), UNNAMED)


def _matches(pattern: str | None, text: str) -> bool:
    if pattern is None:
        return True
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern
