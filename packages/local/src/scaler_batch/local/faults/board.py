"""The faults that are in force, and what they do to each event. The board is the sole owner of both.

Three sides ask it: the layer in front of moto for each call, the jobs' API for what it is about to show, and the
machine below, which is told when a fault of hosts is injected. It decides and counts; they act.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..batch.job import Job
from ..batch.strikes import Strike
from ..batch.texts import host_gone
from ..errors import FaultError
from ..web.chain import Call
from .reading import Plan, to_json
from .rewinding import as_of
from .selection import Selection
from .vocabulary import (
    CallFault,
    Duplicate,
    ExpiredToken,
    Fault,
    HostFault,
    Kill,
    Reclaim,
    SightFault,
    Stale,
    Vanish,
    fits,
)

Happen = Callable[[float, Strike], None]
"""Have something happen to running jobs, so many seconds from now."""

INSTANCE: Final = "i-0{:016x}"


@dataclass(frozen=True)
class Injected:
    """A fault in force.

    Attributes:
        number: By which it is taken back.
    """

    number: int
    fault: Fault
    selection: Selection


class FaultBoard:
    """What can be asked about faults, and by whom they are injected.

    Args:
        plan: The faults that are in force from the start, and again after a reset.
        happen: Tells the machine.
        clock: Seconds that only grow.
    """

    def __init__(self, plan: Plan, happen: Happen, clock: Callable[[], float] = time.monotonic) -> None:
        self._plan = plan
        self._happen = happen
        self._clock = clock
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._injected: tuple[Injected, ...] = ()
        self._of_calls: tuple[Injected, ...] = ()
        self._of_sight: tuple[Injected, ...] = ()

    # Injecting ----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Put the faults of the plan in force."""
        self.inject(self._plan)

    def inject(self, plan: Plan) -> list[int]:
        """Put faults in force. Returns their numbers."""
        now = self._clock()
        with self._lock:
            new = [self._admit(fault, place, plan.seed, now) for place, fault in enumerate(plan.faults)]
            self._keep([each for each in self._injected if not each.selection.over(now)] + new)
        for each in new:
            if isinstance(each.fault, HostFault):
                self._happen(each.fault.after, self._strike(each, each.fault))
        return [each.number for each in new]

    def remove(self, number: int) -> None:
        """Take a fault back.

        Raises:
            FaultError: No fault in force has this number.
        """
        with self._lock:
            left = [each for each in self._injected if each.number != number]
            if len(left) == len(self._injected):
                raise FaultError(f"there is no fault {number}")
            self._keep(left)

    def clear(self) -> None:
        """Take all faults back."""
        with self._lock:
            self._keep([])

    def report(self) -> list[dict[str, Any]]:
        """The faults in force or passed, with how often each has struck."""
        with self._lock:
            return [
                {"number": each.number, **to_json(each.fault), "strikes": each.selection.strikes}
                for each in self._injected
            ]

    def _admit(self, fault: Fault, place: int, seed: int, now: float) -> Injected:
        return Injected(next(self._numbers), fault, Selection(fault, now, f"{seed}/{place}"))

    def _keep(self, injected: Sequence[Injected]) -> None:
        self._injected = tuple(injected)
        self._of_calls = tuple(each for each in injected if isinstance(each.fault, CallFault))
        self._of_sight = tuple(each for each in injected if isinstance(each.fault, SightFault))

    # Calls --------------------------------------------------------------------------------------------------------

    def striking(self, call: Call) -> Iterator[CallFault]:
        """The faults that strike a call, one at a time; those that are not asked for are not counted."""
        for each in self._of_calls:
            fault = each.fault
            if isinstance(fault, CallFault) and _is_about(fault, call):
                with self._lock:
                    struck = each.selection.strike_call(self._clock())
                if struck:
                    yield fault

    # Sight --------------------------------------------------------------------------------------------------------

    def sight(self, operation: str, jobs: list[Job], now: float) -> list[Job]:
        """What an answer shows instead of these jobs; ``now`` is the time of the jobs, in seconds since 1970."""
        for each in self._of_sight:
            fault = each.fault
            if isinstance(fault, SightFault) and fits(f"batch.{operation}", fault.calls):
                with self._lock:
                    jobs = self._seen(each.selection, fault, jobs, now)
        return jobs

    def _seen(self, selection: Selection, fault: SightFault, jobs: list[Job], now: float) -> list[Job]:
        clock = self._clock()
        match fault:
            case Vanish(jobs=pattern):
                return [job for job in jobs if not (_named(job, pattern) and selection.strike_job(_place(job), clock))]
            case Stale(jobs=pattern, seconds=seconds) if selection.strike_call(clock):
                then = (as_of(job, now - seconds) if _named(job, pattern) else job for job in jobs)
                return [job for job in then if job is not None]
            case Duplicate(jobs=pattern) if selection.strike_call(clock):
                return [job for job in jobs for _ in range(2 if _named(job, pattern) else 1)]
        return jobs

    # Hosts --------------------------------------------------------------------------------------------------------

    def _strike(self, injected: Injected, fault: HostFault) -> Strike:
        def chosen(job: Job) -> bool:
            with self._lock:
                in_force = injected in self._injected
                return in_force and _named(job, fault.jobs) and injected.selection.strike_attempt()

        match fault:
            case Reclaim(notice=notice):
                return Strike(chosen, fate=host_gone(INSTANCE.format(injected.number)), grace=notice)
            case Kill(number=number):
                return Strike(chosen, signal=number)
            case _:
                raise FaultError(f"{type(fault).__name__} is no fault of hosts")


def _is_about(fault: CallFault, call: Call) -> bool:
    """Whether a call is one of those that a fault may strike."""
    if not (fits(call.name, fault.calls) and fits(call.caller, fault.caller)):
        return False
    return not isinstance(fault, ExpiredToken) or fits(call.key, fault.key)


def _named(job: Job, pattern: str) -> bool:
    return fits(job.spec.name, pattern)


def _place(job: Job) -> tuple[int, int]:
    """The job's place in line, its parent's being before that of all children."""
    return job.order, -1 if job.index is None else job.index
