"""What a running stack has used: processor time of every process, calls to AWS by caller, memory of the adapter.

Processor time comes from the kernel's accounts. Jobs are children of the local AWS's job host, which waits for each of
them, so what the kernel books under that process's children is the time of all jobs that have ended, with the
processes that they made for their calls. No job is under way when a reading is taken, but for those that a row leaves
behind on purpose. Processes that a part has made and buried are booked under the part.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from scaler_batch.local import control
from stack import Part, Stack

JOBS, CLIENT, ADAPTER, LOCAL_AWS = "jobs", "client", "adapter", "local AWS"
JOB_HOST = str(Path("jobhost", "start.py"))
"""How the command of a job host ends."""

Calls = dict[str, dict[str, int]]
"""By caller, then by operation."""


@dataclass(frozen=True)
class Reading:
    """What was used until a moment.

    Attributes:
        cpu: Seconds of processor time by part.
        calls: Calls by caller (the adapter, or jobs) and operation.
    """

    cpu: dict[str, float]
    calls: Calls

    def since(self, before: Reading) -> Reading:
        """What was used since an earlier one."""
        cpu = {part: seconds - before.cpu.get(part, 0.0) for part, seconds in self.cpu.items()}
        calls = {
            caller: dict(Counter(counts) - Counter(before.calls.get(caller, {})))
            for caller, counts in self.calls.items()
        }
        return Reading(cpu, calls)


class Meter:
    """Reads the processes of a stack, this one as the client."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def read(self) -> Reading:
        """Take a reading."""
        cpu = {CLIENT: _own(psutil.Process()), JOBS: 0.0}
        for part in self._stack.parts:
            cpu[part.name] = 0.0
            for process in family(part):
                with contextlib.suppress(psutil.NoSuchProcess):
                    cpu[JOBS if _is_job_host(process) else part.name] += _of_children(process)
                    cpu[part.name] += _own(process)
        return Reading(cpu, self._calls())

    def forget_peak(self) -> None:
        """Make the adapter's memory of this moment its peak."""
        for process in family(self._stack.part(ADAPTER)):
            with contextlib.suppress(OSError):
                Path(f"/proc/{process.pid}/clear_refs").write_text("5")

    def peak(self) -> int:
        """The most resident memory that the adapter's processes have had since then, in bytes, added up."""
        return sum(map(_peak, family(self._stack.part(ADAPTER))))

    def memory(self) -> int:
        """Resident memory of the adapter's processes at this moment, in bytes."""
        return sum(process.memory_info().rss for process in family(self._stack.part(ADAPTER)))

    def _calls(self) -> Calls:
        environment = self._stack.environment
        return by_role(control.counters(environment).callers) if "AWS_ENDPOINT_URL" in environment else {}


def by_role(callers: Mapping[str, Mapping[str, int]]) -> Calls:
    """Add up the callers of one role: ``job/…`` are jobs, every other one is the adapter."""
    calls: dict[str, Counter[str]] = {ADAPTER: Counter(), JOBS: Counter()}
    for caller, counts in callers.items():
        calls[JOBS if caller.startswith("job/") else ADAPTER].update(counts)
    return {role: dict(counts) for role, counts in calls.items()}


def family(part: Part) -> Iterable[psutil.Process]:
    """The process of a part, and what descends from it; of the local AWS without jobs."""
    first = psutil.Process(part.process.pid)
    found = [first]
    for child in first.children():
        found += [child] if _is_job_host(child) else [child, *child.children(recursive=True)]
    return found


def _is_job_host(process: psutil.Process) -> bool:
    return any(word.endswith(JOB_HOST) for word in process.cmdline())


def _own(process: psutil.Process) -> float:
    spent = process.cpu_times()
    return float(spent.user + spent.system)


def _of_children(process: psutil.Process) -> float:
    spent = process.cpu_times()
    return float(spent.children_user + spent.children_system)


def _peak(process: psutil.Process) -> int:
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
