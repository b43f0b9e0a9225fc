"""What compute environments and job queues have in common: a status that moves by itself after a call has returned.

::

    CREATING ─► VALID ◄─► UPDATING
        └─► INVALID ◄─┘            any ─► DELETING ─► DELETED, then absent

Only what is not CREATING, UPDATING or DELETING takes a change. INVALID need not last: Batch finds an instance profile
that was made a second ago invalid, and valid when told to look again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scaler_batch.provision.errors import BrokenError
from scaler_batch.provision.vocabulary import Phase

if TYPE_CHECKING:
    from collections.abc import Callable

    from scaler_batch.provision.waiting import Waiter

ENABLED: Final = "ENABLED"
INVALID: Final = "INVALID"

_MOVING: Final = frozenset({"CREATING", "UPDATING", "DELETING"})


@dataclass(frozen=True, slots=True)
class Status:
    """One look at a status.

    Attributes:
        status: As AWS calls it.
        reason: AWS's words about it.
    """

    status: str
    reason: str

    def __str__(self) -> str:
        """Both, as they are shown."""
        return f"{self.status}: {self.reason}" if self.reason else self.status

    @property
    def phase(self) -> Phase:
        """What it means to whoever wants to use the resource."""
        phases = {"VALID": Phase.READY, "DELETING": Phase.LEAVING}
        return phases.get(self.status, Phase.SETTLING)


@dataclass(frozen=True, slots=True)
class StatusWatch:
    """Waits for a status of one resource.

    Attributes:
        what: The resource, in words.
        look: Looks once; ``None`` when there is no such resource, or no more.
        waiter: Bounds the waits.
    """

    what: str
    look: Callable[[], Status | None]
    waiter: Waiter

    def until_still(self) -> None:
        """Wait until the resource takes changes."""
        self.waiter.until(
            f"{self.what} to take changes",
            lambda: str(now) if (now := self.look()) and now.status in _MOVING else None,
            seconds=self.waiter.patience.ready,
        )

    def until_gone(self) -> None:
        """Wait until the resource is no more.

        Raises:
            BrokenError: AWS cannot remove it.
        """

        def probe() -> str | None:
            now = self.look()
            if now and now.status == INVALID:
                raise BrokenError(
                    f"{self.what} cannot be removed: {now.reason}",
                    fix="mend what AWS names, often a role that was removed too early, and run cleanup again",
                )
            return str(now) if now else None

        self.waiter.until(f"{self.what} to be gone", probe, seconds=self.waiter.patience.gone)

    def until_valid(self, look_again: Callable[[], object]) -> None:
        """Wait until the resource can be used.

        Args:
            look_again: Makes AWS judge an invalid resource anew.

        Raises:
            BrokenError: It is still invalid after the time that IAM may take.
        """
        judge_until = self.waiter.clock() + self.waiter.patience.propagation

        def probe() -> str | None:
            now = self.look()
            if now and now.status == INVALID:
                self._judge(now, in_time=self.waiter.clock() < judge_until)
                look_again()
            return None if now and now.status == "VALID" else str(now or "absent")

        self.waiter.until(f"{self.what} to be valid", probe, seconds=self.waiter.patience.ready)

    def _judge(self, now: Status, *, in_time: bool) -> None:
        if not in_time:
            fix = "mend what AWS names and run provision again; cleanup removes what is there"
            raise BrokenError(f"{self.what} is invalid: {now.reason}", fix=fix)


_STILL_RELATED: Final = "found existing JobQueue relationship"
"""AWS Batch has one code for most of its refusals, so the words have to tell."""


def once_unrelated(waiter: Waiter, what: str, delete: Callable[[], object]) -> None:
    """Delete what a queue led to. AWS Batch knows for some time after a queue has gone that it did.

    Raises:
        WaitError: AWS Batch still knows when time is over.
    """

    def attempt() -> str | None:
        try:
            delete()
        except Exception as error:
            if _STILL_RELATED not in str(error):
                raise
            return str(error)
        return None

    waiter.until(f"{what} to be free of its queue", attempt, seconds=waiter.patience.related)
