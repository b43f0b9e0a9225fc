"""The faults that are in force, and what they do to each event. The board is the sole owner of both.

Three sides ask it: the layer in front of moto for each call, the jobs' API for what it is about to show, and the
engine for what goes wrong with jobs; the machine is told when a fault of hosts is injected. The board decides and
counts; they act.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from ..batch.job import Job
from ..batch.rules import Strike
from ..batch.texts import STUCK, host_gone, start_error
from ..batch.vocabulary import Ending
from ..errors import FaultError
from ..web.chain import Call
from . import sight
from .base import Fault, fits
from .calls import CallFault, Conflict, ExpiredToken, InvalidCredentials
from .jobs import FailStart, HoldRunnable, HostFault, Kill, Reclaim
from .reading import Plan, to_json
from .reads import BulkError, SightFault
from .selection import Selection
from .sight import named, place

Happen = Callable[[float, Strike], None]
"""Have something happen to running jobs, so many seconds from now."""

Reconsider = Callable[[float], None]
"""Look again, so many seconds from now, which jobs are held."""

INSTANCE: Final = "i-0{:016x}"
_CONDITIONS: Final = ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")
_LATER: Final = 0.01
"""Seconds: the machine's clock may be behind the board's by a rounding error."""

_AnyFault = TypeVar("_AnyFault", bound=Fault)


@dataclass(frozen=True)
class Injected:
    """A fault in force.

    Attributes:
        number: By which it is taken back.
    """

    number: int
    fault: Fault
    selection: Selection


def _ignore(after: float) -> None:
    """No machine holds jobs."""


class FaultBoard:
    """What can be asked about faults, and by whom they are injected.

    Args:
        plan: The faults that are in force from the start, and again after a reset.
        happen: Tells the machine what happens to running jobs.
        reconsider: Tells the machine that other jobs are held than before.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        plan: Plan,
        happen: Happen,
        clock: Callable[[], float] = time.monotonic,
        reconsider: Reconsider = _ignore,
    ) -> None:
        self._plan = plan
        self._happen = happen
        self._reconsider = reconsider
        self._clock = clock
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._injected: tuple[Injected, ...] = ()

    # Injecting ----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Put the faults of the plan in force."""
        self.inject(self._plan)

    def inject(self, plan: Plan) -> list[int]:
        """Put faults in force. Returns their numbers."""
        now = self._clock()
        with self._lock:
            new = [self._admit(fault, nth, plan.seed, now) for nth, fault in enumerate(plan.faults)]
            self._injected = (*(each for each in self._injected if not each.selection.over(now)), *new)
        for each in new:
            self._announce(each)
        return [each.number for each in new]

    def remove(self, number: int) -> None:
        """Take a fault back.

        Raises:
            FaultError: No fault in force has this number.
        """
        with self._lock:
            left = tuple(each for each in self._injected if each.number != number)
            if len(left) == len(self._injected):
                raise FaultError(f"there is no fault {number}")
            self._injected = left
        self._reconsider(0)

    def clear(self) -> None:
        """Take all faults back."""
        with self._lock:
            self._injected = ()
        self._reconsider(0)

    def report(self) -> list[dict[str, Any]]:
        """The faults in force or passed, with how often each has struck."""
        return [
            {"number": each.number, **to_json(each.fault), "strikes": each.selection.strikes} for each in self._injected
        ]

    def _admit(self, fault: Fault, nth: int, seed: int, now: float) -> Injected:
        return Injected(next(self._numbers), fault, Selection(fault, now, f"{seed}/{nth}"))

    def _announce(self, injected: Injected) -> None:
        """Tell the machine what it has to do by itself when a fault begins or ends."""
        match injected.fault:
            case HostFault() as fault:
                self._happen(fault.after, self._strike(injected, fault))
            case HoldRunnable(after=after, span=span):
                for moment in (after, *(() if span is None else (after + span,))):
                    self._reconsider(moment + _LATER)

    def _in_force(self, kind: type[_AnyFault]) -> Sequence[tuple[_AnyFault, Selection]]:
        return [(fault, each.selection) for each in self._injected if isinstance(fault := each.fault, kind)]

    # Calls --------------------------------------------------------------------------------------------------------

    def striking(self, call: Call) -> Iterator[CallFault]:
        """The faults that strike a call, one at a time; those that are not asked for are not counted."""
        for fault, selection in self._in_force(CallFault):
            if _is_about(fault, call) and selection.strike_call(self._clock()):
                yield fault

    # Sight --------------------------------------------------------------------------------------------------------

    def sight(self, operation: str, jobs: list[Job], now: float) -> list[Job]:
        """What an answer shows instead of these jobs; ``now`` is the time of the jobs, in seconds since 1970."""
        for fault, selection in self._in_force(SightFault):
            if fits(f"batch.{operation}", fault.calls):
                jobs = sight.seen(fault, selection, jobs, self._clock(), now)
        return jobs

    def shown(self, operation: str, job: Job, members: dict[str, Any]) -> dict[str, Any]:
        """What an answer shows instead of these members of a job."""
        for fault, selection in self._in_force(SightFault):
            if fits(f"batch.{operation}", fault.calls) and named(job, fault.jobs):
                members = sight.without_omitted(fault, selection, operation, job, members, self._clock())
        return members

    def bulk_error(self, operation: str, job: Job) -> BulkError | None:
        """The error that a bulk operation reports for a job, if it does."""
        for fault, selection in self._in_force(BulkError):
            about = fits(f"batch.{operation}", fault.calls) and named(job, fault.jobs)
            if about and selection.strike_try(place(job), fault.tries, self._clock()):
                return fault
        return None

    # Jobs ---------------------------------------------------------------------------------------------------------

    def held(self, job: Job) -> str | None:
        """Why a job has to stay RUNNABLE; empty for no reason that is shown, None when it need not."""
        for fault, selection in self._in_force(HoldRunnable):
            if named(job, fault.jobs) and selection.strike_job(place(job), self._clock()):
                return STUCK.get(fault.reason, fault.reason)
        return None

    def start_error(self, job: Job) -> Ending | None:
        """How the attempt ends that is about to be launched; None when it is launched."""
        return self._failing(job, ran=False)

    def lost_exit(self, job: Job) -> Ending | None:
        """How the attempt is shown whose command has just ended; None when it is shown as it ended."""
        return self._failing(job, ran=True)

    def _failing(self, job: Job, *, ran: bool) -> Ending | None:
        for fault, selection in self._in_force(FailStart):
            if fault.ran == ran and named(job, fault.jobs) and selection.strike_call(self._clock()):
                return start_error(fault.error, fault.message, ran=ran, fargate=fault.fargate)
        return None

    # Hosts --------------------------------------------------------------------------------------------------------

    def _strike(self, injected: Injected, fault: HostFault) -> Strike:
        def chosen(job: Job) -> bool:
            return injected in self._injected and named(job, fault.jobs) and injected.selection.strike_attempt()

        match fault:
            case Reclaim(notice=notice):
                return Strike(chosen, fate=host_gone(INSTANCE.format(injected.number)), grace=notice)
            case Kill(number=number):
                return Strike(chosen, signal=number)
            case _:
                raise FaultError(f"{type(fault).__name__} is no fault of hosts")


def _is_about(fault: CallFault, call: Call) -> bool:
    """Whether a call is one of those that a fault may strike."""
    if not (fits(call.name, fault.calls) and fits(call.caller, fault.caller) and fits(call.path, fault.path)):
        return False
    match fault:
        case ExpiredToken(key=key) | InvalidCredentials(key=key):
            return fits(call.key, key)
        case Conflict():
            return call.service == "s3" and any(name in call.environ for name in _CONDITIONS)
        case _:
            return True
