"""How long AWS takes: figures, each with its source, and what a local AWS does to take as long.

Start times become delays of states, request times and rates become faults (:class:`~.faults.Slow`,
:class:`~.faults.RateLimit`): a local AWS that is as slow as AWS needs no other machinery than one that has a bad day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from .batch.fleet import FleetRules
from .batch.vocabulary import State
from .faults import Fault, RateLimit, Slow

Likeness = Literal["aws", "aws-cold"]

LIKENESSES: Final = get_args(Likeness)


@dataclass(frozen=True)
class Figure:
    """Something that was measured, in seconds or calls a second.

    Attributes:
        value: The figure.
        source: Who has measured or published it.
    """

    value: float
    source: str


_WARM: Final = "Netflix/metaflow-service#7: one job on a warm instance, 13.7 s in all"
_COLD: Final = "aws-parallelcluster, baseline/statistics.json: mean 285 s, 149 to 329 (Slurm; none published for Batch)"
_ASSUMED: Final = "assumed: no figure is published"

STATES: Final[Mapping[State, Figure]] = {
    State.RUNNABLE: Figure(4.2, _WARM),
    State.STARTING: Figure(3.1, _WARM),
    State.RUNNING: Figure(6.3, _WARM),
}
"""Seconds that a job is in a state; RUNNING until its command begins."""

REQUESTS: Final[Mapping[str, Figure]] = {
    "s3.*": Figure(0.03, "AWS whitepaper, S3 Standard: tens of milliseconds for a small object"),
    "batch.*": Figure(0.05, _ASSUMED),
    "logs.*": Figure(0.05, _ASSUMED),
}
"""Seconds that a request takes, by the service's operations."""

SUBMIT_RATE: Final = Figure(50, "AWS Batch service limits: SubmitJob calls a second, by account and region")

SHORTEST_BOOT: Final = Figure(149, _COLD)
LONGEST_BOOT: Final = Figure(329, _COLD)
"""Seconds until an instance that was started has joined its cluster; most are near to the longest, as the mean says."""

IDLE: Final = Figure(600, _ASSUMED)
"""Seconds that an instance without jobs is kept. A compute environment's ``minScaleDownDelayMinutes`` goes first."""


def delays(scale: float) -> dict[State, float]:
    """Seconds that jobs are in each state at least, with all times multiplied by ``scale``."""
    return {state: figure.value * scale for state, figure in STATES.items()}


def fleet(scale: float) -> FleetRules:
    """How instances come and go, with all times multiplied by ``scale``."""
    return FleetRules(SHORTEST_BOOT.value * scale, LONGEST_BOOT.value * scale, IDLE.value * scale)


def slow_requests(scale: float) -> tuple[Fault, ...]:
    """Faults that have requests take as long as on AWS, with all times multiplied by ``scale``."""
    return tuple(Slow(calls, seconds=figure.value * scale) for calls, figure in REQUESTS.items())


def submit_limit(per_second: float) -> Fault:
    """A fault that throttles SubmitJob above a rate."""
    return RateLimit("batch.SubmitJob", per_second=per_second)


def submit_rate(scale: float) -> float:
    """SubmitJob calls a second, with all times multiplied by ``scale``."""
    return SUBMIT_RATE.value / scale
