"""Outcomes into the store: while the bundle runs, and each once.

What finishes within a second goes out as one object; the rest goes at the end. An object's key is the position of the
first call that it answers, and it is written only where nothing lies. So when two attempts of a job meet, or a request
is repeated that had worked after all, the first answer stands, and what it does not answer goes out by itself.

Only those who have the job's key can tell where its outcomes belong (:class:`~scaler_batch.payload.JobSeal`), and its
own tasks may. What lies there and is not signed, or does not answer that call, is passed over: there are some more
places. Where all are taken, the outcomes of the other calls go out beside it, and the job says at its end what has
happened.
"""

from __future__ import annotations

import functools
import signal
import time
from collections.abc import Iterable, Sequence
from typing import BinaryIO, Final

from scaler_batch.payload import BlockingStore, Outcome, PayloadError, Status, decode_outcomes, encode_outcomes
from scaler_batch.payload.errors import AlreadyStoredError, MalformedError, NotStoredError, StoreError
from scaler_batch.payload.keys import PLACES
from scaler_batch.payload.outcomes import in_objects
from scaler_batch.runner import log
from scaler_batch.runner.errors import RunnerError, StoreFailedError
from scaler_batch.runner.forked import Child, Ended
from scaler_batch.runner.request import Request
from scaler_batch.runner.storage import answer, speaking_to
from scaler_batch.runner.supervision import Supervisor

_GATHER: Final = 1.0
"""Seconds for which an outcome waits for others to go out with."""

_UNTIL_KILLED: Final = 20.0
"""Seconds for which a put is tried after SIGTERM, which comes 30 before SIGKILL: what is left is for the last try, and
to say that it has failed."""


class Publisher:
    """Outcomes on their way into the store.

    Args:
        request: Which job's.
        supervisor: Starts the children that speak to the store; there is one at a time.
    """

    def __init__(self, request: Request, supervisor: Supervisor) -> None:
        self._request = request
        self._supervisor = supervisor
        self._gathered: list[Outcome] = []
        self._leaving: list[Outcome] = []
        self._child: Child | None = None
        self._failure: RunnerError | None = None
        self.due: float | None = None
        """When what has gathered is to go out, on the monotonic clock; ``None`` if nothing has, or cannot yet."""

    def add(self, outcome: Outcome) -> None:
        """Publish an outcome within a second, or with the next that go."""
        self._gathered.append(outcome)
        self._plan()

    def publish_if_due(self) -> None:
        """Send what has gathered, if it is time."""
        if self.due is not None and self.due <= time.monotonic():
            self._send()

    def took(self, child: Child, ended: Ended) -> None:
        """Take note of the end of a child that was not a call's."""
        if child is not self._child:
            return
        self._child = None
        try:
            answer(ended)
        except StoreFailedError as error:
            # The store has tried for as long as it does; with the next outcomes, or at the end, it tries again.
            log.line("not_published", outcomes=len(self._leaving), message=str(error))
            self._gathered = self._leaving + self._gathered
        except RunnerError as error:
            # Trying again does not help, but the calls that still run have nothing to do with it.
            self._failure = error
        self._leaving = []
        self._plan()

    def finish(self, unfinished: Sequence[int] = ()) -> None:
        """Send the rest, whatever signals come meanwhile: the time until SIGKILL is for this.

        Args:
            unfinished: Positions of calls that were interrupted.

        Raises:
            StoreFailedError: The store failed.
            PackError: Something else lies where outcomes belong.
        """
        self._await()
        if self._gathered or unfinished:
            child = self._send(unfinished)
            answer(self._ended(child))
        if self._failure is not None:
            raise self._failure

    def _plan(self) -> None:
        if self._child is not None or not self._gathered:
            self.due = None
        elif self.due is None:
            self.due = time.monotonic() + _GATHER

    def _send(self, unfinished: Sequence[int] = ()) -> Child:
        self._leaving, self._gathered, self.due = self._gathered, [], None
        action = functools.partial(_publish, self._request, self._leaving, unfinished)
        patience = _UNTIL_KILLED if self._supervisor.terminated else None
        self._child = self._supervisor.start(speaking_to(self._request.run, action, patience))
        return self._child

    def _await(self) -> None:
        if self._child is not None:
            self.took(self._child, self._ended(self._child))

    def _ended(self, child: Child) -> Ended:
        while True:
            for found, ended in self._supervisor.wait():
                if found is child:
                    return ended


def _publish(
    request: Request, outcomes: Sequence[Outcome], unfinished: Sequence[int], store: BlockingStore, _: BinaryIO
) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    blocked: list[str] = []
    for group in in_objects(outcomes):
        while group:
            group = _put(request, group, store, blocked)
    if unfinished:
        _say_interrupted(request, unfinished, store)
    if blocked:
        raise MalformedError(f"something else lies where outcomes belong, at {', '.join(blocked)}")


def _put(request: Request, outcomes: Sequence[Outcome], store: BlockingStore, blocked: list[str]) -> list[Outcome]:
    """Write outcomes; return those that could not be written because their place is taken.

    Args:
        request: Which job's.
        outcomes: What to write.
        store: Where to.
        blocked: Takes the key, if all places are taken and the first call is not answered; it has no answer then.
    """
    envelope, first = encode_outcomes(outcomes, request.origin), min(outcome.position for outcome in outcomes)
    for key in (request.seal.outcome_key(first, place) for place in range(PLACES)):
        try:
            store.put_once(key, request.seal.sign(key, envelope))
        except AlreadyStoredError:
            log.line("already_published", key=key)
        else:
            return []
        if (answered := _answered_at(request, key, store)) is None:
            return list(outcomes)
        if first in answered:
            return [outcome for outcome in outcomes if outcome.position not in answered]
    blocked.append(key)
    return [outcome for outcome in outcomes if outcome.position != first]


def _answered_at(request: Request, key: str, store: BlockingStore) -> set[int] | None:
    """Which calls an object answers; ``None`` where it has gone meanwhile."""
    try:
        return {outcome.position for outcome in decode_outcomes(request.seal.open(key, store.get(key)))[0]}
    except NotStoredError:
        return None
    except StoreError:
        raise
    except PayloadError:
        return set()


def _say_interrupted(request: Request, positions: Iterable[int], store: BlockingStore) -> None:
    outcomes = [Outcome(position, Status.INTERRUPTED) for position in positions]
    key = request.seal.interruption_key(request.origin.attempt)
    try:
        store.put_once(key, request.seal.sign(key, encode_outcomes(outcomes, request.origin)))
    except AlreadyStoredError:
        log.line("already_published", key=key)
