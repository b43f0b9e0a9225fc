"""Bad days on demand: faults as objects, injected into a running local AWS or from a file at its start.

::

    with LocalAWS() as aws:
        aws.inject(Throttle("batch.SubmitJob", count=3), LoseResponse("s3.PutObject", share=0.01), seed=7)

::

    Fault                        how often and for how long
    ├── CallFault                strikes single calls to AWS
    │   ├── Throttle             refused: too many requests
    │   ├── RateLimit            the same, for calls above a rate
    │   ├── ServerError          a status of 500 or more
    │   ├── ExpiredToken         refused: credentials have expired
    │   ├── InvalidCredentials   refused: the access key is unknown
    │   ├── Deny                 refused: no permission
    │   ├── Conflict             refused: conditional writes to S3 meet
    │   ├── Slow                 answered late
    │   ├── Hang                 never answered
    │   ├── Drop                 the connection is closed or reset, nothing was done
    │   └── LoseResponse         the connection is closed or reset, and yet it was done
    ├── SightFault               DescribeJobs and ListJobs are answered, but do not show how it is
    │   ├── Vanish               jobs are not found
    │   ├── Stale                jobs are shown as they were a while ago
    │   ├── Duplicate            jobs are shown twice
    │   ├── UnknownState         jobs are shown in a state that no model has
    │   └── Omit                 jobs are shown without optional fields
    ├── BulkError                TerminateJobs and CancelJobs report errors for single jobs
    ├── JobFault                 on a job's way to its container
    │   ├── HoldRunnable         jobs stay RUNNABLE, with a status reason
    │   └── FailStart            ECS cannot pull, create, start or inspect the container
    └── HostFault                strikes processes of jobs, once
        ├── Reclaim              the host under running jobs is taken away
        └── Kill                 the jobs' processes get a signal

A fault says what it is and which events it is about, and does nothing by itself.
"""

from __future__ import annotations

from .base import Fault
from .calls import (
    CallFault,
    Conflict,
    Deny,
    Drop,
    ExpiredToken,
    Hang,
    InvalidCredentials,
    LoseResponse,
    RateLimit,
    ServerError,
    Slow,
    Throttle,
)
from .jobs import (
    FailStart,
    HoldRunnable,
    HostFault,
    JobFault,
    Kill,
    Reclaim,
)
from .reads import (
    BulkError,
    Duplicate,
    Omit,
    SightFault,
    Stale,
    UnknownState,
    Vanish,
)

__all__ = [
    "BulkError",
    "CallFault",
    "Conflict",
    "Deny",
    "Drop",
    "Duplicate",
    "ExpiredToken",
    "FailStart",
    "Fault",
    "Hang",
    "HoldRunnable",
    "HostFault",
    "InvalidCredentials",
    "JobFault",
    "Kill",
    "LoseResponse",
    "Omit",
    "RateLimit",
    "Reclaim",
    "ServerError",
    "SightFault",
    "Slow",
    "Stale",
    "Throttle",
    "UnknownState",
    "Vanish",
]
