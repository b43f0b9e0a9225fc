"""Everything that crosses the container wall, by name, in one place.

The task manager writes these names into SubmitJob, the provisioner into job definitions, and the runner reads them
back inside the container. The three are installed apart and upgraded apart, so a name that is spelled anywhere else
is a name that will drift.

AWS Batch replaces an element of a job definition's command that reads ``Ref::name`` with the job's parameter of that
name. One element holds one reference, and no name is the beginning of another, because not every implementation of
Batch matches whole words.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

FORMAT_VERSION: Final = 2
"""Version of packs and outcomes. A reader refuses every version it does not know."""

RUN_PARAMETER: Final = "run"
"""Where the run lies: an ``s3://bucket/prefix/run-id?region=…`` address, as :class:`~.keys.RunLocation` writes it."""

SEQUENCE_PARAMETER: Final = "sequence"
"""Which submission of the run this job belongs to: a decimal number without padding."""

PACK_PARAMETER: Final = "pack"
"""The pack itself in base64, or :data:`PACK_IN_STORE` when it has to be fetched from the store, followed by the SHA-256
of what is to be read there first: the pack, or the table of a pack in parts (:mod:`~.parts`), and then a colon and the
table's size."""

PACK_IN_STORE: Final = "sha256:"
"""Begins the pack parameter of a job whose pack is too large to travel inline. No base64 text has it."""

FIRST_PACK_IN_STORE: Final = "-"
"""Began it in version 1 of the format, where nothing vouched for the pack."""

KEY_PARAMETER: Final = "key"
"""The key of the submission (:mod:`~.seals`), or :data:`KEY_IN_CONTAINER` and the fingerprint of the payload key."""

KEY_IN_CONTAINER: Final = "container:"
"""Begins the key parameter of a job that has to find its key in :data:`PAYLOAD_KEY_VARIABLE`. No base64 text has it."""

PAYLOAD_KEY_VARIABLE: Final = "SCALER_BATCH_PAYLOAD_KEY"
"""The payload key, 64 hex digits, where the job definition has it delivered to the container as a secret."""

RUNNER_COMMAND: Final = (
    "python",
    "-m",
    "scaler_batch.runner",
    "--run",
    f"Ref::{RUN_PARAMETER}",
    "--sequence",
    f"Ref::{SEQUENCE_PARAMETER}",
    "--pack",
    f"Ref::{PACK_PARAMETER}",
    "--key",
    f"Ref::{KEY_PARAMETER}",
)
"""The container command of every job definition that scaler-batch submits to."""

ARRAY_INDEX_VARIABLE: Final = "AWS_BATCH_JOB_ARRAY_INDEX"
"""Set by AWS Batch in the children of an array job; the child's bundle in the pack. Absent in a single job."""

JOB_ID_VARIABLE: Final = "AWS_BATCH_JOB_ID"
"""Set by AWS Batch in every job; the child's own id (``parent:index``) in an array."""

ATTEMPT_VARIABLE: Final = "AWS_BATCH_JOB_ATTEMPT"
"""Set by AWS Batch in every job: 1 for the first attempt."""


PRIVATE_VARIABLE: Final = "SCALER_BATCH_PRIVATE"
"""Set by the task manager where the runner's own lines are to name neither functions nor classes of exceptions."""


LOG_EVENT: Final = "event"
LOG_MARK: Final = "mark"
"""Members of the runner's own lines in a job's log, which are JSON: what happened, and a word that the runner made up
for this attempt. Its first line tells the word, before any user's code runs; a line without it is the user's."""

LOG_BEGIN: Final = "runner"
LOG_TASK_ENDED: Final = "task"
"""Events: the first line of all, and the last of a task."""


class ExitCode(IntEnum):
    """What the runner's exit says to whoever looks at the job.

    A task that raised has been answered, so its job has done its work: the exit code tells how the *runner* fared.
    The numbers are those of ``sysexits.h`` where it has one.
    """

    PUBLISHED = 0
    """Every task of the bundle has its outcome in the store."""
    USAGE = 64
    """The command line or the environment is not what this contract says."""
    BAD_PACK = 65
    """The pack is damaged, or of a version or Python that this runner does not serve."""
    NO_INPUT = 66
    """The pack is not in the store."""
    STORE_UNAVAILABLE = 74
    """The store could not be read or written, retries included."""
    ALTERED_INPUT = 76
    """The pack, or an object that it refers to, is not what the task manager has put into the store."""
    INTERRUPTED = 143
    """SIGTERM came: a timeout, a termination, or a reclaimed host."""
