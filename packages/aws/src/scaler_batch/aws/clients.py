"""Clients of boto3: how long they wait, how often they try, and what they call themselves."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from botocore.config import Config

from scaler_batch.aws.bridge import THREADS
from scaler_batch.aws.classification import service_errors
from scaler_batch.aws.credentials import renewal_of

if TYPE_CHECKING:
    import boto3

USER_AGENT: Final = f"scaler-batch/{version('scaler-batch-aws')}"


def _config(*, connect: float, read: float, tries: int) -> Config:
    """Make a configuration.

    Args:
        connect: Seconds that connecting may take.
        read: Seconds that AWS may be silent.
        tries: How often botocore makes a call, the first time included.
    """
    return Config(
        connect_timeout=connect,
        read_timeout=read,
        retries={"mode": "standard", "total_max_attempts": tries},
        max_pool_connections=THREADS,
        # A gateway or firewall that has dropped an idle connection would otherwise cost the next call its time-out.
        tcp_keepalive=True,
        user_agent_extra=USER_AGENT,
    )


UNREPEATED: Final = _config(connect=10, read=30, tries=1)
"""For a worker: it knows what is safe to repeat, and keeps to a rate that a retry behind its back would break."""

PATIENT: Final = _config(connect=10, read=60, tries=6)
"""For making resources: bounded, so that no call hangs, and throttling and lost connections are repeated."""

IMPATIENT: Final = _config(connect=3, read=10, tries=4)
"""For looking before the first task: a look that hangs tells nobody anything. But an account that is throttled has
other workers which work, so a call is repeated for up to seven seconds."""

QUICK: Final = _config(connect=3, read=5, tries=1)
"""For whoever would rather know soon than surely."""


def open_client(
    session: boto3.Session, service: str, region: str, config: Config, *, endpoint_url: str | None = None
) -> Any:
    """Make a client; no call goes out yet.

    Args:
        session: Where credentials come from.
        service: AWS's short name, such as ``batch``.
        region: Where its resources are.
        config: One of this module's.
        endpoint_url: Send all calls there instead of to AWS.

    Raises:
        ServiceError: The configuration or the credentials do not allow one.
    """
    with service_errors(renewal_of(session)):
        return session.client(service, region_name=region, endpoint_url=endpoint_url, config=config)
