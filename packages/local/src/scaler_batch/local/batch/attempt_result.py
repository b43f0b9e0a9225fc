"""What an attempt's end means: how it is seen to have ended, and whether another follows.

The rules of ``evaluateOnExit`` are tried in order and the first that matches decides. When none matches the job is
retried, which surprises many; a strategy therefore usually ends with ``{"onReason": "*", "action": "EXIT"}``.
"""

from __future__ import annotations

from .job import Attempt, Job
from .vocabulary import Ending, ExitAction, ExitRule, RetryStrategy, State


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


def try_again(strategy: RetryStrategy, attempts_made: int, ending: Ending) -> bool:
    """Whether a job whose attempt failed like this gets one more."""
    if attempts_made >= strategy.attempts:
        return False
    deciding = next((rule for rule in strategy.rules if _matches(rule, ending)), None)
    return deciding is None or deciding.action is ExitAction.RETRY


def _matches(rule: ExitRule, ending: Ending) -> bool:
    """Whether every pattern that the rule gives fits."""
    code = "" if ending.exit_code is None else str(ending.exit_code)
    return (
        _fits(rule.on_exit_code, code)
        and _fits(rule.on_reason, ending.reason or "")
        and _fits(rule.on_status_reason, ending.status_reason)
    )


def _fits(pattern: str | None, text: str) -> bool:
    """A trailing asterisk stands for any rest; everything else is literal."""
    if pattern is None:
        return True
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1])
    return text == pattern
