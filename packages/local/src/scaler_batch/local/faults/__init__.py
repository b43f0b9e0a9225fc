"""Bad days on demand: faults as objects, injected into a running local AWS or from a file at its start.

::

    with LocalAWS() as aws:
        aws.inject(Throttle("batch.SubmitJob", count=3), LoseResponse("s3.PutObject", share=0.01), seed=7)
"""

from __future__ import annotations

from .vocabulary import (
    CallFault,
    Drop,
    Duplicate,
    ExpiredToken,
    Fault,
    HostFault,
    Kill,
    LoseResponse,
    RateLimit,
    Reclaim,
    ServerError,
    SightFault,
    Slow,
    Stale,
    Throttle,
    Vanish,
)

__all__ = [
    "CallFault",
    "Drop",
    "Duplicate",
    "ExpiredToken",
    "Fault",
    "HostFault",
    "Kill",
    "LoseResponse",
    "RateLimit",
    "Reclaim",
    "ServerError",
    "SightFault",
    "Slow",
    "Stale",
    "Throttle",
    "Vanish",
]
