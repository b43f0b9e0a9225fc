"""What an attempt's end means: how it is seen to have ended, and what becomes of the job."""

from __future__ import annotations

from .job import Attempt, Job
from .retries import try_again
from .vocabulary import Ending, State


def seen_as(ending: Ending, job: Job, attempt: Attempt) -> Ending:
    """The ending that Batch shows: a lost host explains a failure, and a stop the status reason."""
    if attempt.fate is not None and ending.exit_code != 0:
        ending = attempt.fate
    if job.stopping is not None:
        return Ending(ending.exit_code, ending.reason, job.stopping)
    return ending


def state_after(job: Job) -> State:
    """The state of a job whose latest attempt has just ended; RUNNABLE when there will be another."""
    ending = job.attempts[-1].ending
    if job.stopping is not None or ending is None:
        return State.FAILED
    if ending.exit_code == 0:
        return State.SUCCEEDED
    return State.RUNNABLE if try_again(job.spec.retry, len(job.attempts), ending) else State.FAILED
