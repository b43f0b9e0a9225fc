"""The calls of a bundle, some side by side, their outcomes on the way as soon as there are any."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Iterable

from scaler_batch.payload import Outcome
from scaler_batch.runner import log
from scaler_batch.runner.container import Container
from scaler_batch.runner.errors import TerminatedError
from scaler_batch.runner.execution import Told, outcome_of, told_by
from scaler_batch.runner.forked import Child, Ended
from scaler_batch.runner.loading import Loaded
from scaler_batch.runner.publication import Publisher
from scaler_batch.runner.request import Request
from scaler_batch.runner.serving import CallProcess, prepare
from scaler_batch.runner.supervision import Supervisor


class BundleRun:
    """One bundle's calls.

    Args:
        request: Which job's.
        loaded: The calls, and which of them are answered already.
        supervisor: Starts the children that run them.
        publisher: Takes the outcomes.
        container: What this job may use.
    """

    def __init__(
        self, request: Request, loaded: Loaded, supervisor: Supervisor, publisher: Publisher, container: Container
    ) -> None:
        self._request = request
        self._supervisor = supervisor
        self._publisher = publisher
        self._container = container
        self._kills = container.out_of_memory_kills()
        self._calls = loaded.bundle.calls
        self._waiting = deque(position for position, _ in loaded.unanswered)
        self._processes = request.processes or loaded.bundle.processes or self._room()
        self._by_child: dict[Child, CallProcess] = {}

    def run(self) -> None:
        """Run the calls, and publish while they run.

        Raises:
            TerminatedError: SIGTERM came before all had ended; those that had are published.
            StoreFailedError: The store failed.
        """
        if len(self._calls) > 1:
            prepare()
        while self._waiting or self._busy():
            self._start()
            self._take(self._supervisor.wait(self._publisher.due))
            self._hear()
            self._publisher.publish_if_due()
            if self._supervisor.terminated:
                self._stop()
        self._dismiss()

    def _room(self) -> int:
        """How many calls the container has processors for; for a single one it need not be asked."""
        return self._container.processors() or 1 if len(self._waiting) > 1 else 1

    def _busy(self) -> list[CallProcess]:
        return [process for process in self._by_child.values() if process.position is not None]

    def _start(self) -> None:
        for process in self._by_child.values():
            if process.position is None and self._waiting:
                process.order(self._waiting.popleft())
        while self._waiting and len(self._by_child) < self._processes:
            process = CallProcess(self._supervisor, self._calls, self._waiting.popleft())
            self._by_child[process.child] = process

    def _take(self, children: Iterable[tuple[Child, Ended]]) -> None:
        for child, ended in children:
            if child in self._by_child:
                self._bury(self._by_child.pop(child), ended)
            else:
                self._publisher.took(child, ended)

    def _bury(self, process: CallProcess, ended: Ended) -> None:
        """A process has ended, perhaps because it was not to run another call."""
        last = process.ended(ended)
        if process.position is not None:
            self._answer(process.position, last)

    def _hear(self) -> None:
        """Take the answers of processes that go on."""
        for process in self._busy():
            if (finished := process.finished()) is not None and process.position is not None:
                position, process.position = process.position, None
                self._answer(position, finished)

    def _dismiss(self) -> None:
        """Kill the processes that wait for orders: there are none any more."""
        self._take(self._supervisor.kill(list(self._by_child)))

    def _answer(self, position: int, ended: Ended) -> None:
        told = told_by(ended)
        outcome = outcome_of(position, told, ended, out_of_memory=self._kernel_killed(ended))
        self._log(outcome, told)
        self._publisher.add(outcome)

    def _kernel_killed(self, ended: Ended) -> bool | None:
        """Whether the kernel has killed for want of memory since the last time that a call was killed."""
        if ended.code != -signal.SIGKILL:
            return False
        before, self._kills = self._kills, self._container.out_of_memory_kills()
        return None if self._kills is None or before is None else self._kills > before

    def _stop(self) -> None:
        """Publish what is finished, and say what is not."""
        unfinished = list(self._waiting)
        for child, ended in self._supervisor.kill(list(self._by_child)):
            process = self._by_child.pop(child)
            position, last = process.position, process.ended(ended)
            if position is not None and last.whole:
                self._answer(position, last)
            elif position is not None:
                # Whether it died of our kill or an instant before, of its own: it is safe to run it again.
                unfinished.append(position)
        self._publisher.finish(sorted(unfinished))
        if unfinished:
            raise TerminatedError(f"SIGTERM came before {len(unfinished)} calls had ended; the job may run again")
        self._waiting.clear()

    def _log(self, outcome: Outcome, told: Told) -> None:
        job, usage = self._request, outcome.usage
        log.line(
            "task",
            task=f"{job.sequence}{'' if job.array_index is None else f'.{job.array_index}'}/{outcome.position}",
            **({} if job.private else _names(outcome, told)),
            status=outcome.status,
            seconds=round(usage.wall, 3),
            cpu_seconds=round(usage.cpu, 3),
            peak_memory_bytes=usage.memory,
        )


def _names(outcome: Outcome, told: Told) -> dict[str, str | None]:
    """Names that the user gave: of the function, and of the class of what it raised."""
    raised = outcome.failure.type if outcome.failure else ""
    return {"function": told.function or None, **({"raised": raised} if raised else {})}
