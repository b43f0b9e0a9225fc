"""What can go wrong between a task and its outcome.

::

    TasksError
    ├── SettingsError            a setting that AWS Batch would refuse, with what it takes
    ├── IllegalMoveError         a stage tried a move that the table does not have: a bug of ours
    ├── InputError               an input of a task cannot be had
    └── TaskFailedError          why a task has no outcome of its own; becomes its answer
        ├── InputUnavailableError
        ├── SubmitRejectedError
        ├── StorageUnavailableError
        ├── BatchUnavailableError
        ├── OutcomeUnreadableError
        ├── OutcomeRefusedError
        └── JobFailedError       its job ended without an outcome, in a way that no class below names
            ├── JobOutOfMemoryError
            ├── JobTimeoutError
            ├── SpotReclaimedError
            ├── InterruptedJobError
            ├── ImagePullError
            ├── ContainerStartError
            ├── UnschedulableError
            ├── OverridesTooLargeError
            ├── EnvironmentMismatchError
            ├── JobInputMissingError
            ├── JobInputAlteredError
            ├── JobStorageError
            ├── JobCrashedError
            ├── OutcomeMissingError
            └── JobLostError

What is said to users of a dead job stands in the table of :mod:`scaler_batch.aws`, and which of these it is in
:mod:`~scaler_batch.tasks.failures`. A call to AWS that failed is a :class:`scaler_batch.aws.ServiceError`.
"""

from __future__ import annotations


class TasksError(Exception):
    """Root of all errors of this package."""


class SettingsError(TasksError):
    """A setting is outside what AWS Batch takes."""


class IllegalMoveError(TasksError):
    """A task was to move between stages that no arrow connects."""


class InputError(TasksError):
    """An input object cannot be had. Raised by input loaders."""


class TaskFailedError(TasksError):
    """Why a task has no outcome. Its text is what the user reads, so it says what to do.

    Attributes:
        job_id: AWS Batch's id of the job; empty where there was none.
        attempt: How many attempts were made; 0 where AWS Batch did not say.
        exit_code: The container's, if it came that far.
        reason: What AWS says, container and job together.
        log_tail: The last lines of the job's log, where they could be had.
    """

    job_id: str = ""
    attempt: int = 0
    exit_code: int | None = None
    reason: str = ""
    log_tail: tuple[str, ...] = ()


class InputUnavailableError(TaskFailedError):
    """The task's function or an argument could not be fetched."""


class SubmitRejectedError(TaskFailedError):
    """AWS Batch does not take the job."""


class StorageUnavailableError(TaskFailedError):
    """S3 did not take or give the task's data, retries included."""


class BatchUnavailableError(TaskFailedError):
    """AWS Batch does not say what becomes of the task's job."""


class OutcomeUnreadableError(TaskFailedError):
    """There is an outcome, and it cannot be read."""


class OutcomeRefusedError(TaskFailedError):
    """What lay in the place of the task's outcome was not signed by its job, and its job has left nothing else."""


class JobFailedError(TaskFailedError):
    """The job ended without an outcome."""

    def __init__(
        self,
        message: str,
        *,
        job_id: str,
        attempt: int,
        exit_code: int | None,
        reason: str,
        log_tail: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.attempt = attempt
        self.exit_code = exit_code
        self.reason = reason
        self.log_tail = log_tail


class JobOutOfMemoryError(JobFailedError):
    """The container used more memory than it may."""


class JobTimeoutError(JobFailedError):
    """The attempt took longer than the job's timeout."""


class SpotReclaimedError(JobFailedError):
    """AWS took the machine away, in every attempt."""


class InterruptedJobError(JobFailedError):
    """Somebody or something ended the job before it was done."""


class ImagePullError(JobFailedError):
    """The container image could not be fetched."""


class ContainerStartError(JobFailedError):
    """The image is there, and its container could not be started."""


class UnschedulableError(JobFailedError):
    """There is no machine for the job, and as things are there will be none."""


class OverridesTooLargeError(JobFailedError):
    """AWS took the job and then found its parameters too long."""


class EnvironmentMismatchError(JobFailedError):
    """The runner in the image does not understand what the worker wrote."""


class JobInputMissingError(JobFailedError):
    """The runner did not find the task's data in S3."""


class JobInputAlteredError(JobFailedError):
    """The runner found something else in S3 than the task's data, and ran nothing of it."""


class JobStorageError(JobFailedError):
    """The runner could not read from S3 or write to it."""


class JobCrashedError(JobFailedError):
    """The runner crashed in native code."""


class OutcomeMissingError(JobFailedError):
    """The job ended well and left no outcome."""


class JobLostError(JobFailedError):
    """AWS Batch no longer knows the job."""
