"""Why jobs wait, and when waiting for it is given up. Decisions only: time is an argument.

AWS Batch says of a job that does not start what is in its way. Most of that passes or can be mended while the job
waits: capacity comes, an operator corrects a role. Two reasons mean that no machine of the queue is large enough; but
AWS gives one of them for some minutes too while an environment starts its first machine. So they are believed when they
have stood for a while.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from scaler_batch.aws import JobReport, JobStatus, blocking_failure

PATIENCE: Final = 600.0
"""Seconds for which a job may wait for a machine that is large enough."""
_CODE: Final = re.compile(r"[A-Z][A-Z_]{2,40}(:[A-Z][A-Z0-9_]{2,80})?(?= |$)")


def reason_of(report: JobReport) -> str:
    """Return why a job waits, as AWS's code for it; empty where it does not wait, or AWS does not say why."""
    if report.status is not JobStatus.RUNNABLE:
        return ""
    code = _CODE.match(report.status_reason)
    return code[0] if code else ""


@dataclass(slots=True)
class Wait:
    """What the jobs of a submission wait for.

    Attributes:
        reason: AWS's code for it; empty while they wait for nothing.
        said: AWS's own words.
        since: When the reason was first seen.
        permanent: Whether it stands until somebody changes the jobs or the queue's compute environments.
    """

    reason: str = ""
    said: str = ""
    since: float = 0.0
    permanent: bool = False

    def note(self, report: JobReport, now: float) -> None:
        """Take note of what AWS Batch says. The end of a job does not change what it has waited for."""
        if report.status.is_final:
            return
        reason = reason_of(report)
        if reason != self.reason:
            failure = blocking_failure(reason)
            self.reason, self.since = reason, now
            self.permanent = failure is not None and failure.permanent
        self.said = report.status_reason if reason else ""

    def is_hopeless(self, now: float, patience: float) -> bool:
        """Whether it has been waited long enough for what will not come."""
        return self.permanent and now - self.since >= patience


def jobs_by_reason(waits: Iterable[tuple[Wait, int]]) -> dict[str, int]:
    """Count the jobs that wait, by reason."""
    counts: Counter[str] = Counter()
    for wait, jobs in waits:
        if wait.reason:
            counts[wait.reason] += jobs
    return dict(counts)
