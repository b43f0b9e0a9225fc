"""Why jobs wait or die: by which patterns a cause is known, what it is called, and what to do about it.

This is the one table. The worker makes errors from it, `scaler-batch-provision why` and `doctor` take their words from
it, and the retry rules that go along with each job are written from it, so its patterns are those of AWS Batch's own
rules: a trailing ``*`` stands for any rest.

Sources: the AWS Batch user guide (troubleshooting, retry strategies), the ECS agent's names of errors, sysexits.h and
the shell's convention for exit codes.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from scaler_batch.aws.models import JobReport, JobStatus
from scaler_batch.payload.contract import ExitCode

if TYPE_CHECKING:
    from mypy_boto3_batch.type_defs import EvaluateOnExitTypeDef

_SIGNALLED: Final = 128
"""What a shell, and with it Docker, adds to the number of the signal that ended a process."""

_NOT_EXECUTABLE, _NOT_FOUND = 126, 127
"""Exit codes of a container whose command cannot be executed, or is not there."""

_CRASHES: Final = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)
"""Signals that a process brings upon itself, in native code."""


class FailureKind(Enum):
    """Why a job has no outcome, or does not start."""

    TIMEOUT = "timeout"
    HOST_LOST = "host lost"
    IMAGE_PULL = "image pull"
    OVERRIDES_TOO_LARGE = "overrides too large"
    UNSCHEDULABLE = "unschedulable"
    OUT_OF_MEMORY = "out of memory"
    CONTAINER_START = "container start"
    INTERRUPTED = "interrupted"
    ENVIRONMENT_MISMATCH = "environment mismatch"
    INPUT_MISSING = "input missing"
    INPUT_ALTERED = "input altered"
    STORAGE = "storage"
    CRASHED = "crashed"
    RUNNER_FAILED = "runner failed"
    OUTCOME_MISSING = "outcome missing"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class FailurePattern:
    """What a cause is known by. Everything that is stated has to match; a trailing ``*`` stands for any rest.

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

    def matches(self, report: JobReport) -> bool:
        """Whether it matches a job."""
        return (
            _matches(self.status_reason, report.status_reason)
            and _matches(self.reason, report.reason)
            and self.exit_code in (None, report.exit_code)
            and self.terminated in (None, report.terminated)
            and self.status in (None, report.status)
        )


@dataclass(frozen=True, slots=True)
class JobFailure:
    """A cause: why jobs wait or die.

    Attributes:
        kind: What it is.
        patterns: What it is known by: any of them.
        headline: What happened to the job, to be read after its name.
        remedy: What to do about it: a sentence without its full stop, or a question.
        retried: Whether another attempt may well succeed, so that AWS Batch is asked to make one.
        permanent: Of a job that waits: whether it will not start until somebody changes its shape or its compute
            environments. AWS may say so for some minutes while an environment scales up, so it is not to be believed
            at first sight.
    """

    kind: FailureKind
    patterns: tuple[FailurePattern, ...]
    headline: str
    remedy: str
    retried: bool = False
    permanent: bool = False

    @property
    def advice(self) -> str:
        """The remedy as a sentence."""
        return self.remedy if self.remedy.endswith("?") else f"{self.remedy}."


def _blocked(code: str, headline: str, remedy: str, *, permanent: bool = False) -> JobFailure:
    """A reason why jobs stay RUNNABLE, which AWS Batch also gives when it cancels one for that."""
    patterns = (FailurePattern(status_reason=f"{code}*"),)
    return JobFailure(FailureKind.UNSCHEDULABLE, patterns, headline, remedy, permanent=permanent)


def _exited(kind: FailureKind, codes: int | tuple[int, ...], headline: str, remedy: str) -> JobFailure:
    codes = codes if isinstance(codes, tuple) else (codes,)
    return JobFailure(kind, tuple(FailurePattern(exit_code=code) for code in codes), headline, remedy)


FAILURES: Final = (
    JobFailure(
        FailureKind.TIMEOUT,
        (FailurePattern(status_reason="Job attempt duration exceeded timeout*"),),
        "it took longer than the job timeout",
        "Raise the worker's --job-timeout, or split the task into shorter ones",
    ),
    JobFailure(
        FailureKind.HOST_LOST,
        (FailurePattern(status_reason="Host EC2*"),),
        "its instance went away, as Spot instances do when AWS reclaims them, and no attempt was left",
        "Submit the task again, raise the worker's --job-attempts, or use a queue of On-Demand instances",
        retried=True,
    ),
    JobFailure(
        FailureKind.IMAGE_PULL,
        # CannotPullContainerError, CannotPullImageManifestError, CannotPullECRContainerError,
        # CannotPullContainerAuthError: one rule for all, since there may be five rules in all.
        (FailurePattern(reason="CannotPull*"),),
        "its container image could not be pulled",
        "Does the image that the job definition names exist, may the execution role pull it, does the subnet reach the "
        "registry, and has the instance's disk room for it? Run scaler-batch-provision doctor",
        retried=True,
    ),
    JobFailure(
        FailureKind.CONTAINER_START,
        (FailurePattern(reason="DockerTimeoutError*"), FailurePattern(reason="CannotInspectContainerError*")),
        "its instance was too busy to start or to inspect the container, in every attempt",
        "Submit the task again; larger instances, or fewer jobs on each, help",
        retried=True,
    ),
    JobFailure(
        FailureKind.OVERRIDES_TOO_LARGE,
        (FailurePattern(status_reason="Container Overrides length must be at most*"),),
        "the task's data did not fit into the job's parameters",
        "Lower the worker's --inline-limit, so that data of this size travels through S3",
    ),
    _blocked(
        "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
        "it needs more vCPUs than its compute environments may grow to",
        "Raise the compute environment's limit (scaler-batch-provision provision --max-vcpus), or ask for fewer vCPUs",
        permanent=True,
    ),
    _blocked(
        "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
        "no instance type of its compute environments is large enough for it",
        "Allow larger instance types (scaler-batch-provision provision --instance-types), or ask for fewer vCPUs, GPUs "
        "or less memory (--vcpus, --memory)",
        permanent=True,
    ),
    _blocked(
        "MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS",
        "AWS Batch's service role lacks permissions",
        "Attach the policy that AWS manages for it, AWSBatchServiceRole, or use the service-linked role",
    ),
    _blocked(
        "MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED",
        "instances of its compute environments cannot be launched with their configuration",
        "Check the launch template, the image (AMI) and the instance types of the compute environments",
    ),
    _blocked(
        "MISCONFIGURATION:",
        "its compute environments are misconfigured",
        "Mend what the reason names; scaler-batch-provision doctor shows the state of each",
    ),
    _blocked(
        "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
        "AWS has no instances of the allowed types at present",
        "Wait, or allow more instance types or zones: whole families with --instance-types c6i,m6i",
    ),
    _blocked(
        "CAPACITY:",
        "AWS cannot provide the capacity at present",
        "Wait, or allow more instance types or zones (scaler-batch-provision provision --instance-types)",
    ),
    _blocked(
        "ACTION_REQUIRED",
        "AWS Batch waits for somebody to change its compute environments",
        "Do what the reason says; scaler-batch-provision doctor shows the state of each",
    ),
    _blocked(
        "UNDETERMINED",
        "AWS Batch does not start it, and does not know why",
        "Run scaler-batch-provision doctor: most often instances cannot register, for want of a way to the internet",
    ),
    _blocked(
        "Canceled by JobStateTimeLimit action",
        "it waited for longer than its queue allows, and AWS Batch cancelled it",
        "The reason says what it waited for; compare what the job asks for with the limits and the instance types of "
        "the queue's compute environments",
    ),
    JobFailure(
        FailureKind.OUT_OF_MEMORY,
        (FailurePattern(reason="OutOfMemoryError*"),),
        "it ran out of memory and was killed",
        "Give its jobs more memory (scaler-batch-provision provision --memory), or let the task use less",
    ),
    JobFailure(
        FailureKind.CONTAINER_START,
        (
            FailurePattern(reason="CannotStartContainerError*"),
            FailurePattern(reason="CannotCreateContainerError*"),
            FailurePattern(reason="ResourceInitializationError*"),
            FailurePattern(status_reason="ResourceInitializationError*"),
            FailurePattern(status_reason="Task failed to start*"),
        ),
        "its container could not be started",
        "The reason says what was in the way: most often a command that is not in the image, a secret or a log group "
        "that the execution role may not use, or an instance that is short of disk",
    ),
    JobFailure(
        FailureKind.INTERRUPTED,
        (FailurePattern(terminated=True),),
        "somebody ended it, by the AWS console, a command or another program",
        "The reason is what they gave; submit the task again if it was a mistake",
    ),
    _exited(
        FailureKind.ENVIRONMENT_MISMATCH,
        ExitCode.USAGE,
        "the runner in the image does not know the command line of the job definition",
        "Provision the job definition again, with an image of the same release as the worker",
    ),
    _exited(
        FailureKind.ENVIRONMENT_MISMATCH,
        ExitCode.BAD_PACK,
        "the runner in the image cannot read the task: it is of another Python or release, or it is damaged",
        "Use an image of the clients' Python, and the same release in worker and image",
    ),
    _exited(
        FailureKind.INPUT_MISSING,
        ExitCode.NO_INPUT,
        "the task's data was not in S3 any more",
        "Could the worker not renew it (see its log), or does anybody else remove objects below its prefix?",
    ),
    _exited(
        FailureKind.INPUT_ALTERED,
        ExitCode.ALTERED_INPUT,
        "the task's data in S3 was not what the worker had put there, and none of it was run",
        "Find out who else may write below the worker's prefix in the bucket, and submit the task again",
    ),
    _exited(
        FailureKind.STORAGE,
        ExitCode.STORE_UNAVAILABLE,
        "its container could not reach S3",
        "May the job role read and write the bucket under its prefix, and does the subnet have a way to S3?",
    ),
    _exited(
        FailureKind.INTERRUPTED,
        ExitCode.INTERRUPTED,
        "it was told to stop before the task ended",
        "An instance that shuts down does this; submit the task again",
    ),
    _exited(
        FailureKind.INTERRUPTED,
        _SIGNALLED + signal.SIGKILL,
        "its container was killed, and AWS does not say why",
        "When a whole instance runs out of memory it looks like this: give its jobs more memory "
        "(scaler-batch-provision provision --memory); otherwise submit the task again",
    ),
    _exited(
        FailureKind.CONTAINER_START,
        _NOT_FOUND,
        "the command of its job definition is not in the image",
        "Use an image that holds Python and scaler-batch-runner",
    ),
    _exited(
        FailureKind.CONTAINER_START,
        _NOT_EXECUTABLE,
        "the command of its job definition cannot be executed",
        "Use an image for the processor architecture of the instances",
    ),
    _exited(
        FailureKind.CRASHED,
        tuple(_SIGNALLED + number for number in _CRASHES),
        "its runner crashed in native code",
        "See the end of its log; a library in the image may not suit the processors of the instances",
    ),
    _exited(
        FailureKind.RUNNER_FAILED,
        1,
        "its runner failed before the task had an outcome",
        "See the end of its log; most often the image lacks scaler-batch-runner or one of its libraries",
    ),
    JobFailure(
        FailureKind.OUTCOME_MISSING,
        (FailurePattern(exit_code=ExitCode.PUBLISHED), FailurePattern(status=JobStatus.SUCCEEDED)),
        "it ended well and left no outcome in S3",
        "Is the job definition the one that was provisioned, and does its role write to this bucket?",
    ),
)
"""Why jobs wait or die. The first that matches counts: what AWS says in words comes before what the container says with
a number, because a job that is timed out, reclaimed or terminated still ends with some number."""

OTHER_FAILURE: Final = JobFailure(
    FailureKind.OTHER,
    (),
    "it ended without an outcome",
    "What AWS says and the end of the log, as far as there are any, stand below",
)
"""What is said of a job that matches nothing else."""


def failure_of(report: JobReport) -> JobFailure:
    """Find out why a job died, or what it waits for."""
    return next((each for each in FAILURES if any(one.matches(report) for one in each.patterns)), OTHER_FAILURE)


def blocking_failure(status_reason: str) -> JobFailure | None:
    """Find out what keeps a RUNNABLE job from starting, where its status reason says so."""
    found = failure_of(JobReport("", JobStatus.RUNNABLE, status_reason=status_reason))
    return found if found.kind is FailureKind.UNSCHEDULABLE else None


def retry_rules() -> list[EvaluateOnExitTypeDef]:
    """Write down for AWS Batch which failures get another attempt.

    It takes five rules at most, and retries a failure that matches none of them, so the last one matches all.
    """
    rules = [_rule(pattern) for failure in FAILURES if failure.retried for pattern in failure.patterns]
    return [*rules, {"onReason": "*", "action": "EXIT"}]


def _rule(pattern: FailurePattern) -> EvaluateOnExitTypeDef:
    rule: EvaluateOnExitTypeDef = {"action": "RETRY"}
    if pattern.status_reason is not None:
        rule["onStatusReason"] = pattern.status_reason
    if pattern.reason is not None:
        rule["onReason"] = pattern.reason
    return rule


def _matches(pattern: str | None, text: str) -> bool:
    if pattern is None:
        return True
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern
