"""What a simulation has shown."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import NamedTuple

from scaler_batch.tasks.simulation.figures import Cloud
from scaler_batch.tasks.simulation.fleet import Fleet
from scaler_batch.tasks.simulation.workloads import Workload


class Report(NamedTuple):
    """What a simulation has shown.

    Attributes:
        workload: What was asked for.
        tasks: How many tasks.
        seconds: Until the last answer.
        median: Seconds from a task's arrival to its answer, of half of them at most.
        slowest: The same of 99 in a hundred.
        calls: Requests, by operation.
        compute: Dollars for slots.
        requests: Dollars for requests to S3.
        idle: Part of the slots' time that no task ran in.
    """

    workload: str
    tasks: int
    seconds: float
    median: float
    slowest: float
    calls: Mapping[str, int]
    compute: float
    requests: float
    idle: float

    @property
    def dollars(self) -> float:
        """In all."""
        return self.compute + self.requests


def reported(
    workload: Workload,
    cloud: Cloud,
    seconds: float,
    latencies: array[float],
    calls: Mapping[str, int],
    fleet: Fleet,
    worked: float,
) -> Report:
    """Sum a simulation up."""
    ordered = sorted(latencies)
    paid = (calls.get("PutObject", 0) + calls.get("ListObjectsV2", 0)) * cloud.write
    return Report(
        workload.name,
        len(ordered),
        seconds,
        ordered[len(ordered) // 2],
        ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
        dict(calls),
        fleet.slot_seconds / 3600 * cloud.slot_hour,
        paid + calls.get("GetObject", 0) * cloud.read,
        1 - worked / fleet.slot_seconds if fleet.slot_seconds else 0.0,
    )
