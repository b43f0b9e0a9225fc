"""Whether there are credentials, whether AWS takes them, and for how long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from scaler_batch.provision.finding import Finding, Verdict, ok, problem, warning

if TYPE_CHECKING:
    from scaler_batch.provision.naming import Account

SUBJECT: Final = "credentials"
SOON: Final = timedelta(minutes=15)

HAND_OVER: Final = (
    "where the helper program or the browser for it is at hand: eval $(aws configure export-credentials --format env); "
    "in a container, pass AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN with docker run -e"
)
NONE: Final = problem(
    SUBJECT,
    "there are none: no variables (env | grep AWS), no profile, no role of this machine",
    f"aws configure, or aws sso login, or name a profile with --profile; {HAND_OVER}",
)


def hanging(seconds: float) -> Finding:
    """Somebody looks for credentials and does not come back."""
    message = f"no answer within {seconds:.0f} s: a credential_process, single sign-on or the network hangs"
    return problem(SUBJECT, message, HAND_OVER)


def refused(reason: str) -> Finding:
    """The credentials do not serve."""
    return problem(SUBJECT, reason, f"renew them; {HAND_OVER}")


def judge(account: Account, region: str, expires: datetime | None, now: datetime | None = None) -> Finding:
    """Say whose they are, and how long they last."""
    whose = f"of account {account.number}, in {region}"
    if expires is None:
        return ok(SUBJECT, f"{whose}; no end is known")
    left = expires - (now or datetime.now(UTC))
    minutes = f"{whose}; they end in {max(0, int(left.total_seconds() // 60))} minutes"
    if left < SOON:
        return warning(SUBJECT, minutes, HAND_OVER)
    return Finding(SUBJECT, Verdict.OK, minutes)
