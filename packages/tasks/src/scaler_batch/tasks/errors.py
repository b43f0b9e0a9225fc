"""What can go wrong between a task and its outcome.

::

    TasksError
    ├── SettingsError            a setting that AWS Batch would refuse, with what it takes
    ├── IllegalMoveError         a stage tried a move that the table does not have: a bug of ours
    ├── ServiceError             a call to AWS Batch failed; says whether it may have worked all the same
    ├── InputError               an input of a task cannot be had
    └── TaskFailedError          why a task has no outcome of its own; becomes its answer
        ├── InputUnavailableError
        ├── SubmitRejectedError
        ├── StorageUnavailableError
        ├── OutcomeUnreadableError
        └── JobFailedError
            └── JobLostError
"""

from __future__ import annotations


class TasksError(Exception):
    """Root of all errors of this package."""


class SettingsError(TasksError):
    """A setting is outside what AWS Batch takes."""


class IllegalMoveError(TasksError):
    """A task was to move between stages that no arrow connects."""


class ServiceError(TasksError):
    """A call to AWS Batch failed.

    Attributes:
        retryable: Whether the same call may work later.
        ambiguous: Whether the call may have had its effect although no answer came.
    """

    def __init__(self, message: str, *, retryable: bool, ambiguous: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.ambiguous = ambiguous


class InputError(TasksError):
    """An input object cannot be had. Raised by input loaders."""


class TaskFailedError(TasksError):
    """Why a task has no outcome. Its text is what the user reads, so it says what to do."""


class InputUnavailableError(TaskFailedError):
    """The task's function or an argument could not be fetched."""


class SubmitRejectedError(TaskFailedError):
    """AWS Batch does not take the job."""


class StorageUnavailableError(TaskFailedError):
    """S3 did not take or give the task's data, retries included."""


class OutcomeUnreadableError(TaskFailedError):
    """There is an outcome, and it cannot be read."""


class JobFailedError(TaskFailedError):
    """The job ended without an outcome.

    Attributes:
        job_id: AWS Batch's id of the job.
        attempt: How many attempts were made; 0 where AWS Batch did not say.
        exit_code: The container's, if it came that far.
        reason: What AWS says, container and job together.
    """

    def __init__(self, message: str, *, job_id: str, attempt: int, exit_code: int | None, reason: str) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.attempt = attempt
        self.exit_code = exit_code
        self.reason = reason


class JobLostError(JobFailedError):
    """AWS Batch no longer knows the job."""
